"""A service's database in one file of SQLite."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from streambank.errors import StreambankError
from streambank.service.errors import DatabaseMissingError

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another process's transaction. Transactions here take milliseconds; a full disk flush on
a slow machine takes seconds; beyond half a minute somebody holds the file by hand, and an error is of more use."""

SCRUB_WAIT_MS = 2_000
"""How long :func:`empty_write_ahead_log` waits for who still reads. Reads take milliseconds; later is soon enough."""

_READ_ONLY = "streambank_read_only"


def open_engines(url: URL, *, create: bool) -> tuple[Engine, Engine]:
    """The engine for writing, whose transactions take turns, and the one for reading.

    Raises:
        DatabaseMissingError: no such file, and ``create`` is False.
        StreambankError: the file cannot be made.
    """
    if url.database:
        _prepare_file(Path(url.database), create)
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: it would begin them deferred, and not before a SELECT.
        connection.isolation_level = None
        # secure_delete: what was erased must not stay in the free parts of the file. Not every build has it on.
        # recursive_triggers: INSERT OR REPLACE deletes, which the ledger's triggers are to refuse like any DELETE.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "recursive_triggers=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine, engine.execution_options(**{_READ_ONLY: True})


def empty_write_ahead_log(engine: Engine) -> bool:
    """Move what it has into the database, and leave nothing; False: somebody still reads an older state."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={SCRUB_WAIT_MS}")
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    finally:
        raw.close()
    return not busy


def _prepare_file(path: Path, create: bool) -> None:
    if path.exists():
        return
    if not create:
        raise DatabaseMissingError(f"{path} does not exist: nothing has been stored there yet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Only the owner may read it: it holds names, addresses and amounts. SQLite gives its -wal file the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StreambankError(f"cannot create the database {path}: {error.strerror}") from error
