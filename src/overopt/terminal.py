"""What prints to a terminal, a pipe or a log, whatever its encoding."""

import io
import sys


def show_any_character() -> None:
    r"""Let stdout and stderr escape (`\u2026`) what their encoding lacks, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
