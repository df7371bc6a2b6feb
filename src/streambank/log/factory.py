"""Opening an event log by its address."""

import re
from pathlib import Path

from streambank.clock import Clock, system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.log.errors import LogError
from streambank.log.interface import EventLog

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)


def open_log(url_or_path: str | Path, *, clock: Clock = system_clock) -> EventLog:
    """Open the event log at a folder's path, or at ``embedded:PATH``. ``embedded:`` alone is a private log in memory.

    Raises:
        LogError: the address has another scheme.
        StorageVersionError: see :meth:`EmbeddedLog.open`.
    """
    if isinstance(url_or_path, Path):
        return EmbeddedLog.open(url_or_path, clock=clock)
    match = _SCHEME.fullmatch(url_or_path)
    if match is None:
        if not url_or_path:
            raise LogError("the event log's address is empty; give a folder, or 'embedded:PATH'")
        return EmbeddedLog.open(Path(url_or_path), clock=clock)
    scheme, rest = match.groups()
    if scheme != "embedded":
        raise LogError(f"this version has no event log for {scheme!r} addresses; give a folder, or 'embedded:PATH'")
    return EmbeddedLog.open(Path(rest) if rest else None, clock=clock)
