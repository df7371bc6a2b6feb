"""The process's own log: JSON lines on stderr, plain coloured lines where that is a terminal, or a file."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TextIO

import structlog

LOG_FILE = "streambank.log"
"""In the data folder: where the log goes while the terminal shows something else."""


class _Stderr:
    """Writes to what ``sys.stderr`` is at the moment: a live display puts something else there."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Forward(logging.Handler):
    """Hands the standard library's log records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def configure(*, level: str = "info", file: Path | None = None) -> None:
    """Set the log up for the whole process; with ``file`` it goes there, as JSON."""
    if file is not None:
        out: TextIO | _Stderr = os.fdopen(
            os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", buffering=1
        )
    else:
        out = _Stderr()
    pretty = file is None and sys.stderr.isatty()
    number = logging.getLevelNamesMapping()[level.upper()]
    timestamp = structlog.processors.TimeStamper("%H:%M:%S" if pretty else "iso", utc=not pretty)
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, pad_event_to=0)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, timestamp, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # One write a line, so that the lines of several processes do not run into one another.
        logger_factory=structlog.WriteLoggerFactory(out),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    # structlog filters those by level, once; the standard library's own warnings go the same way.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_Forward()], force=True)
