"""A service's own database: SQLAlchemy, migrated when it is opened, one file of SQLite by default."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.engine import URL, make_url

from streambank.errors import StreambankError
from streambank.service.errors import DatabaseMissingError, DatabaseVersionError, WrongLogError
from streambank.service.tables import SERVICE_STATE

BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another process's transaction. Transactions here take milliseconds; a full disk flush on
a slow machine takes seconds; beyond half a minute somebody holds the file by hand, and an error is of more use."""

SCRUB_WAIT_MS = 2_000
"""How long :meth:`Database.scrub` waits for who still reads. Reads take milliseconds; later is soon enough."""

_READ_ONLY = "streambank_read_only"


@dataclass(frozen=True, slots=True)
class Migrations:
    """A history of Alembic migrations: the package with the version files, and the table that says how far they ran."""

    package: str
    version_table: str


KIT_MIGRATIONS = Migrations("streambank.service:migrations/versions", "service_version")
"""The tables of :mod:`streambank.service.tables`."""


class Database:
    """One service's database. May be shared by threads; several processes may open the same one.

    On SQLite every write transaction is ``BEGIN IMMEDIATE`` (no deadlock between two that first read) and durable when
    it ends: WAL with ``synchronous=FULL``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(**{_READ_ONLY: True})
        self._after_commit: list[Callable[[], None]] = []
        # SQLite takes one writer at a time, and one that finds it taken sleeps for milliseconds before it looks again.
        # Threads of one process can queue up without that.
        self._one_writer = threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()

    @classmethod
    def open(cls, where: Path | str, *migrations: Migrations, create: bool = True) -> "Database":
        """Open a file of SQLite (a path) or the database of an SQLAlchemy URL, and bring its tables up to date.

        Without ``create`` nothing is migrated and the file must exist: that is for those who only look.

        Raises:
            DatabaseMissingError: no such file, and ``create`` is False.
            DatabaseVersionError: a newer streambank wrote it.
        """
        url = URL.create("sqlite", database=str(where)) if isinstance(where, Path) else make_url(where)
        if url.get_backend_name() == "sqlite" and url.database:
            _prepare_file(Path(url.database), create)
        engine = create_engine(url, connect_args=_connect_args(url))
        if url.get_backend_name() == "sqlite":
            _set_up_sqlite(engine)
        database = cls(engine)
        try:
            if create:
                for history in migrations:
                    database._migrate(history)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: commits durably when the block ends, rolls back when it raises. They do not nest."""
        with self._one_writer, self._engine.begin() as connection:
            yield connection
        for hook in self._after_commit:
            hook()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for reading that blocks no writer."""
        with self._reading.connect() as connection:
            yield connection

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` after each write transaction of this object: a hint to look, for whoever waits for rows.

        It carries nothing, since a crash loses it. It must be quick and must not raise.
        """
        self._after_commit.append(hook)

    def bind_log(self, log_id: str, new_outbox_id: str) -> str:
        """Tie the database to a log for ever; the outbox's id (``new_outbox_id`` where there was none yet).

        Raises:
            WrongLogError: it is tied to another log.
        """
        with self.begin() as connection:
            state = connection.execute(select(SERVICE_STATE)).one_or_none()
            if state is None:
                values = {"id": 1, "log_id": log_id, "outbox_id": new_outbox_id, "outbox_last_id": 0}
                connection.execute(insert(SERVICE_STATE).values(values))
                return new_outbox_id
        if state.log_id != log_id:
            raise WrongLogError(
                f"the database {self.name} belongs to the log {state.log_id}, but this is the log {log_id}: its "
                "positions mean nothing here. Use the data folder that both came from, or move the database away "
                "so that a new one is made"
            )
        return str(state.outbox_id)

    @property
    def name(self) -> str:
        """The database's URL without its password, for messages."""
        return self._engine.url.render_as_string(hide_password=True)

    def scrub(self) -> bool:
        """Take what was deleted out of SQLite's files, where the write-ahead log still has it; False: still read.

        What was deleted is overwritten in the database itself by ``secure_delete``. Other databases have their own
        ways (on PostgreSQL: vacuum), and nothing is done. Not within a transaction of the same thread.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with self._one_writer:
            raw = self._engine.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute(f"PRAGMA busy_timeout={SCRUB_WAIT_MS}")
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            finally:
                raw.close()
        return not busy

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._engine.dispose()

    def _migrate(self, history: Migrations) -> None:
        # Here, since Alembic takes a tenth of a second to import and those who only read do not need it.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", "streambank.service:migrations")
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", history.package)
        config.attributes["version_table"] = history.version_table
        with self._engine.begin() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise DatabaseVersionError(
                    f"the database {self.name} cannot be used: {error}. A newer streambank wrote it, or it is another "
                    "program's; update streambank, or name another database"
                ) from error


def _connect_args(url: URL) -> dict[str, Any]:
    return {"timeout": BUSY_TIMEOUT_MS / 1000} if url.get_backend_name() == "sqlite" else {}


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


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: it would begin them deferred, and not before a SELECT.
        connection.isolation_level = None
        # secure_delete: what was erased must not stay in the free parts of the file. Not every build has it on.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
