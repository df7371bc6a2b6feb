"""What the command line raises, and how any error ends: one message on stderr, and an exit code."""

import contextlib
import os
import sys
from pathlib import Path

from streambank.errors import StreambankError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

DETAILS_FILE = "errors.log"
"""In the data folder: the details of unexpected errors."""


class CommandError(StreambankError):
    """The command cannot do what it was asked to."""


class UsageError(CommandError):
    """The command was called in a way that cannot work; exit code 2."""


class RoleFailedError(CommandError):
    """A part of the running bank stopped by an error; everything else was stopped too."""


class RoleCrashedError(Exception):
    """A part of the running bank stopped by an error that nobody foresaw. The text says which."""


def say(text: str) -> None:
    """A message for the user, on stderr."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def report(error: BaseException, folder: Path | None = None) -> int:
    """Print the error for the user; the exit code. What nobody foresaw goes to a file, under an incident's id."""
    if isinstance(error, UsageError):
        say(f"streambank: {error}")
        return EXIT_USAGE
    if isinstance(error, StreambankError):
        say(f"streambank: {error}")
        return EXIT_FAILED
    from streambank.clock import system_clock
    from streambank.ids import uuid7

    incident = uuid7(system_clock())
    where = _write_details(incident, error, folder)
    what = str(error) if isinstance(error, RoleCrashedError) else "something unexpected went wrong"
    say(
        f"streambank: {what} (incident {incident}). The details are in {where}; please report them."
        " Nothing that was committed is lost, so that the same command may be run again"
    )
    return EXIT_FAILED


def _write_details(incident: str, error: BaseException, folder: Path | None) -> str:
    import traceback

    # What follows the command's name may be a code from an e-mail, or somebody's address.
    text = f"incident {incident}\ncommand: {sys.argv[1:2]}\n{''.join(traceback.format_exception(error))}\n"
    for path in [folder / DETAILS_FILE if folder is not None and folder.is_dir() else None, _fallback(incident)]:
        if path is None:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a") as file:
                file.write(text)
            return str(path)
    say(text)
    return "the lines above"


def _fallback(incident: str) -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / f"streambank-{incident}.log"
