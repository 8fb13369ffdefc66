"""Errors that a person can act on."""


class UserError(Exception):
    """A mistake in what the user gave: a file, a config key, a command line.

    The message names the file or key, what was found, what was expected and what to do. Commands
    print it without a traceback and exit with status 1.
    """
