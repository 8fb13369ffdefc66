"""Errors that a person can act on."""


class UserError(Exception):
    """A mistake in what the user gave: a file, a config key, a command line.

    The message names the file or key, what was found, what was expected and what to do. Commands
    print it without a traceback and exit with status 1.
    """


_LONGEST_CAUSE = 200


def in_one_line(error: BaseException) -> str:
    """What a library says of a fault, short and without line breaks."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= _LONGEST_CAUSE else f"{text[: _LONGEST_CAUSE - 3]}..."
