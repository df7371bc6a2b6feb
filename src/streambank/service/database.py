"""A service's own database: SQLAlchemy, migrated when it is opened.

By default it is one file of SQLite (:mod:`streambank.service.sqlite`); by a URL, PostgreSQL
(:mod:`streambank.service.postgres`). Both keep the same promises.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from streambank.service import postgres, sqlite
from streambank.service.errors import DatabaseUrlError, DatabaseVersionError, WrongLogError
from streambank.service.failures import clear_failures
from streambank.service.tables import SERVICE_STATE


@dataclass(frozen=True, slots=True)
class Migrations:
    """A history of Alembic migrations: the package with the version files, and the table that says how far they ran."""

    package: str
    version_table: str


KIT_MIGRATIONS = Migrations("streambank.service:migrations/versions", "service_version")
"""The tables of :mod:`streambank.service.tables`."""


_NEWS = "streambank_news"
"""The execution option that holds what was announced."""


class Database:
    """One service's database. May be shared by threads; several processes may open the same one.

    Write transactions take turns, those of other processes too, so that each finds what the one before left, and no two
    deadlock. Each is durable when it ends: on SQLite by WAL with ``synchronous=FULL``, on PostgreSQL as its server is
    configured.

    :meth:`begin`, :meth:`read` and what is built on them raise DatabaseUnavailableError and DatabaseBusyError, as
    :mod:`streambank.service.failures` says; the next transaction connects anew.
    """

    def __init__(self, name: str, writing: Engine, reading: Engine) -> None:
        self._name = name
        self._engine = writing
        self._reading = reading
        self._after_commit: list[tuple[Callable[[], None], str | None]] = []
        # One that finds the database taken by another process sleeps before it looks again (SQLite), or waits with a
        # connection (PostgreSQL). Threads of one process can queue up without that.
        self._one_writer = threading.Lock()

    @classmethod
    def open(cls, where: Path | str | URL, *migrations: Migrations, create: bool = True) -> "Database":
        """Open a file of SQLite (a path) or the database of a URL, and bring its tables up to date.

        Without ``create`` nothing is migrated and the database must exist: that is for those who only look.

        Raises:
            DatabaseMissingError: no such database, and ``create`` is False.
            DatabaseUrlError: the URL is neither one of SQLite nor of PostgreSQL, psycopg is not installed, or the user
                may not create tables.
            DatabaseUnavailableError: the server cannot be reached, or does not let us in.
            DatabaseVersionError: a newer streambank wrote it.
        """
        url = database_url(where)
        name = _shown(url)
        with clear_failures(name):
            if url.get_backend_name() == "sqlite":
                engines = sqlite.open_engines(url, create=create)
            else:
                tables = [history.version_table for history in migrations]
                engines = postgres.open_engines(url, create=create, version_tables=tables, name=name)
            database = cls(name, *engines)
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
        with self._one_writer, clear_failures(self._name), self._engine.begin() as connection:
            yield connection
            news = connection.get_execution_options().get(_NEWS, frozenset())
        for hook, of in self._after_commit:
            if of is None or of in news:
                hook()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view for reading, as of its first query, that blocks no writer."""
        with clear_failures(self._name), self._reading.connect() as connection:
            yield connection

    def after_commit(self, hook: Callable[[], None], *, of: str | None = None) -> None:
        """Call ``hook`` after each write transaction of this object: a hint to look, for whoever waits for rows.

        With ``of``, only after those of which somebody said so by :func:`announce`. It carries nothing, since a crash
        loses it. It must be quick and must not raise.
        """
        self._after_commit.append((hook, of))

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
        return self._name

    def scrub(self) -> bool:
        """Take what was deleted out of SQLite's files, where the write-ahead log still has it; False: still read.

        What was deleted is overwritten in the database itself by ``secure_delete``. PostgreSQL has its own way
        (vacuum), and nothing is done. Not within a transaction of the same thread.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with self._one_writer, clear_failures(self._name):
            return sqlite.empty_write_ahead_log(self._engine)

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
        with self._engine.execution_options(**{postgres.MIGRATING: True}).begin() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise DatabaseVersionError(
                    f"the database {self.name} cannot be used: {error}. A newer streambank wrote it, or it is another "
                    "program's; update streambank, or name another database"
                ) from error


def announce(connection: Connection, news: str) -> None:
    """Let the hooks for ``news`` be called once the connection's transaction has committed."""
    known: frozenset[str] = connection.get_execution_options().get(_NEWS, frozenset())
    if news not in known:
        connection.execution_options(**{_NEWS: known | {news}})


def database_url(where: Path | str | URL) -> URL:
    """The URL of a file of SQLite (a path), or the URL itself.

    Raises:
        DatabaseUrlError: it is neither one of SQLite nor of PostgreSQL.
    """
    if isinstance(where, Path):
        return URL.create("sqlite", database=str(where))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        # Its text is not shown: there may be a password in it.
        raise DatabaseUrlError(
            "the database's URL cannot be read. Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in the "
            "password %40 for @, %3A for :, %2F for / and %25 for %"
        ) from error
    if url.drivername not in _DRIVERS:
        raise DatabaseUrlError(f"{url.drivername}:// is no database of streambank's: use postgresql:// or sqlite:///")
    return url


_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgres", "postgresql+psycopg")

_SHOWN = ("host", "port", "schema")


def _shown(url: URL) -> str:
    # Parameters of libpq may be secrets.
    shown = {name: value for name, value in url.query.items() if name in _SHOWN}
    return url.set(query=shown).render_as_string(hide_password=True)
