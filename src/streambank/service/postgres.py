"""A service's database on a PostgreSQL server, in a schema of its own if the URL says so.

The URL is ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``. What follows ``?`` are libpq's parameters, and ``schema``:
the schema that all of the service's tables are in.

Write transactions of one schema take turns, as those of SQLite do: each begins with an advisory lock. So a service's
code needs no second thoughts for PostgreSQL, neither deadlocks nor serialization failures can come of it, and nothing
is lost that the outbox's counter of ids would allow: its row is locked until the transaction ends, too.
"""

import re
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import URL

from streambank.service.errors import DatabaseMissingError, DatabaseUrlError

LOCK_TIMEOUT_MS = 30_000
"""How long a writer waits for another's transaction: as long as on SQLite, and for the same reasons."""

IDLE_TIMEOUT_MS = 20_000
"""How long the server bears an open transaction that does nothing. Transactions here pause for microseconds; this is
for a process that is frozen or unplugged. Less than ``LOCK_TIMEOUT_MS``, so that those who wait for it live on."""

STATEMENT_TIMEOUT_MS = 120_000
"""How long one statement may run: longer than a wait for a lock, and longer than any query that somebody waits for."""

MIGRATION_WAIT_MS = 600_000
"""How long to wait for another process that migrates the same tables: to rebuild a large one takes minutes."""

CONNECT_TIMEOUT_S = 10
"""How long to wait for the server's answer: it is in the same data centre, and may just be starting."""

POOL_CONNECTIONS = 5
POOL_OVERFLOW_CONNECTIONS = 10
POOL_TIMEOUT_S = 30
"""A process has one writer at a time and few readers. A server takes 100 connections unless it is told otherwise."""

MIGRATING = "streambank_migrating"
"""An execution option: this transaction may take its time."""

_READ_ONLY = "streambank_read_only"

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_ADVISORY_CLASS = 0x5374426B
"""Tells these locks from those of other programs: the letters StBk."""

_LOCK = f"SELECT pg_advisory_xact_lock({_ADVISORY_CLASS}, quote_ident(current_schema())::regnamespace::oid::int4)"

# A server that is gone without a word is noticed after some half a minute, not after the system's quarter of an hour.
_LIBPQ = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "streambank",
}


def open_engines(url: URL, *, create: bool, version_tables: list[str], name: str) -> tuple[Engine, Engine]:
    """The engine for writing, whose transactions take turns, and the one for reading.

    A write transaction is READ COMMITTED: with the lock taken first, each statement sees all that was written before.
    A read is REPEATABLE READ: one snapshot, taken by its first statement. ``name`` is the database's in messages.

    Raises:
        DatabaseMissingError: not all ``version_tables`` are there, and ``create`` is False.
        DatabaseUrlError: the schema's name is not one, or psycopg is not installed.
        sqlalchemy.exc.OperationalError: the server cannot be reached, or does not let us in.
    """
    schema, url = _split(url)
    connect_args = _connect_args(url, schema)
    if create and schema is not None:
        _create_schema(url, connect_args, schema)
    engine = _engine(
        url,
        connect_args=connect_args,
        pool_size=POOL_CONNECTIONS,
        max_overflow=POOL_OVERFLOW_CONNECTIONS,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(MIGRATING, False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {MIGRATION_WAIT_MS}")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if not options.get(_READ_ONLY, False):
            connection.exec_driver_sql(_LOCK)

    reading = engine.execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True, **{_READ_ONLY: True}
    )
    if not create:
        _refuse_missing(reading, version_tables, name)
    return engine, reading


def with_schema(url: URL, schema: str) -> URL:
    """The URL of a schema in that database."""
    return url.update_query_dict({"schema": schema})


def _split(url: URL) -> tuple[str | None, URL]:
    schema = url.query.get("schema")
    if schema is not None and not (isinstance(schema, str) and _SCHEMA.fullmatch(schema)):
        raise DatabaseUrlError(
            f"a database URL names the schema {schema!r}: it must be one name of at most 63 small letters, digits and _"
        )
    return schema, url.set(drivername="postgresql+psycopg").difference_update_query(["schema"])


def _connect_args(url: URL, schema: str | None) -> dict[str, Any]:
    settings = {
        "lock_timeout": LOCK_TIMEOUT_MS,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
        "TimeZone": "UTC",
    }
    options = [f"-c {name}={value}" for name, value in settings.items()]
    # The user's own come later, and win; but the schema is not theirs to choose here.
    asked = url.query.get("options", ())
    options += [asked] if isinstance(asked, str) else asked
    if schema is not None:
        options.append(f'-c search_path="{schema}"')
    defaults = {name: value for name, value in _LIBPQ.items() if name not in url.query}
    return {**defaults, "options": " ".join(options)}


def _engine(url: URL, **arguments: Any) -> Engine:
    try:
        return create_engine(url, **arguments)
    except ModuleNotFoundError as error:
        raise DatabaseUrlError(
            'PostgreSQL needs psycopg, which is not installed: pip install "streambank[postgres]"'
        ) from error


def _create_schema(url: URL, connect_args: dict[str, Any], schema: str) -> None:
    # By a connection of its own: those of the pool ask for their default schema once, when it is there.
    engine = _engine(url, connect_args=connect_args, poolclass=NullPool)
    with engine.begin() as connection:
        # IF NOT EXISTS wants the right to create even where there is nothing to do, and fails for one of two at once.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_CLASS}, 0)")
        found = connection.exec_driver_sql("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).one_or_none()
        if found is None:
            connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')


def _refuse_missing(engine: Engine, version_tables: list[str], name: str) -> None:
    try:
        with engine.connect() as connection:
            for table in version_tables:
                if connection.exec_driver_sql("SELECT to_regclass(%s)", (table,)).scalar() is None:
                    raise DatabaseMissingError(f"{name} has no table {table}: nothing has been stored there yet")
    except BaseException:
        engine.dispose()
        raise
