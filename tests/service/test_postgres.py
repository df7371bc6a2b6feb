"""What is PostgreSQL's own: its URLs, its bounds, and a server that comes and goes."""

import sys
import threading
import time

import pytest
from sqlalchemy import insert
from sqlalchemy.engine import URL
from tests.postgres import PostgresServer
from tests.service.child import apply
from tests.service.support import NUMBERS, OUT, OUTBOX_ID, ROWS, Number, add_row, open_database, read, rows, write

from streambank.clock import system_clock
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import KIT_MIGRATIONS, Database
from streambank.service.errors import (
    DatabaseBusyError,
    DatabaseMissingError,
    DatabaseUnavailableError,
    DatabaseUrlError,
)
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.postgres import with_schema
from streambank.service.projection import Projection, Subscription
from streambank.service.workers import run_workers


@pytest.fixture
def log() -> EmbeddedLog:
    return EmbeddedLog.open(None)


def bounded(url: URL, setting: str) -> URL:
    return url.update_query_dict({"options": f"-c {setting}"})


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://me:hush@h/d", "use postgresql://"),
        ("postgresql+psycopg2://me:hush@h/d", "use postgresql://"),
        ("me:hush@h", "cannot be read"),
        ("postgresql://me:hush@h:port/d", "cannot be read"),
        ('postgresql://me:hush@h/d?schema=a"b', "schema"),
        ("postgresql://me:hush@h/d?schema=a&schema=b", "schema"),
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(DatabaseUrlError, match=says) as raised:
        Database.open(url)
    assert "hush" not in str(raised.value)


def test_a_server_that_is_not_there_is_named_without_secrets() -> None:
    # Port 1 is nobody's.
    url = "postgresql://me:hush@127.0.0.1:1/bank?schema=a&sslpassword=secret"
    with pytest.raises(DatabaseUnavailableError, match="See that its server runs") as raised:
        Database.open(url, KIT_MIGRATIONS)
    message = str(raised.value)
    assert "postgresql://me:***@127.0.0.1:1/bank?schema=a cannot be reached" in message
    assert "hush" not in message
    assert "secret" not in message


def test_a_database_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(DatabaseUnavailableError, match='database "nowhere" does not exist'):
        Database.open(postgres.url("nowhere"), KIT_MIGRATIONS)


def test_without_psycopg_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUrlError, match=r'pip install "streambank\[postgres\]"'):
        Database.open("postgresql://127.0.0.1/bank")


def test_looking_creates_nothing(postgres_url: URL) -> None:
    url = with_schema(postgres_url, "looked_at")
    with pytest.raises(DatabaseMissingError, match="schema=looked_at has no table service_version"):
        Database.open(url, KIT_MIGRATIONS, create=False)
    database = Database.open(postgres_url)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'looked_at'").scalar()
    assert found == 0
    database.close()
    Database.open(url, KIT_MIGRATIONS).close()
    Database.open(url, KIT_MIGRATIONS, create=False).close()


def test_a_user_who_may_not_create_the_schema_is_told_and_one_that_is_there_is_used(
    postgres: PostgresServer, postgres_url: URL
) -> None:
    # The name is a word of SQL on purpose.
    url = with_schema(postgres_url.set(username="poor"), "user")
    postgres.execute("CREATE ROLE poor LOGIN")
    with pytest.raises(DatabaseUrlError, match="own it"):
        Database.open(url, KIT_MIGRATIONS)
    owner = Database.open(postgres_url)
    with owner.begin() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "user" AUTHORIZATION poor')
    Database.open(url, KIT_MIGRATIONS).close()
    with owner.begin() as connection:
        connection.exec_driver_sql("DROP OWNED BY poor")
    owner.close()
    postgres.execute("DROP ROLE poor")


def test_services_do_not_see_or_hold_up_each_other(postgres_url: URL, log: EmbeddedLog) -> None:
    one, two = (open_database(with_schema(postgres_url, name), log) for name in ("one", "two"))
    with one.begin() as connection:
        connection.execute(insert(ROWS).values(n=1))
        add_row(two, 2)
    assert (rows(one), rows(two)) == ([1], [2])
    one.close()
    two.close()


def test_an_idle_connection_that_broke_is_not_noticed(
    postgres: PostgresServer, postgres_url: URL, log: EmbeddedLog
) -> None:
    database = open_database(postgres_url, log)
    end_connections(postgres, postgres_url)
    add_row(database, 1)
    end_connections(postgres, postgres_url)
    assert rows(database) == [1]
    database.close()


def test_a_transaction_whose_connection_breaks_says_so_and_the_next_one_works(
    postgres: PostgresServer, postgres_url: URL, log: EmbeddedLog
) -> None:
    database = open_database(postgres_url, log)
    with (  # noqa: PT012 - the block is what is tested
        pytest.raises(DatabaseUnavailableError, match="terminating connection"),
        database.begin() as connection,
    ):
        connection.execute(insert(ROWS).values(n=1))
        end_connections(postgres, postgres_url)
        connection.execute(insert(ROWS).values(n=2))
    add_row(database, 3)
    assert rows(database) == [3]
    database.close()


def test_a_commit_whose_connection_breaks_says_so(
    postgres: PostgresServer, postgres_url: URL, log: EmbeddedLog
) -> None:
    told: list[int] = []
    database = open_database(postgres_url, log)
    database.after_commit(lambda: told.append(1))
    with pytest.raises(DatabaseUnavailableError), database.begin() as connection:  # noqa: PT012 - as above
        connection.execute(insert(ROWS).values(n=1))
        end_connections(postgres, postgres_url)
    assert (rows(database), told) == ([], [])
    database.close()


def end_connections(postgres: PostgresServer, url: URL) -> None:
    ended = postgres.execute(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{url.database}'"
    )
    assert (False,) not in ended


def test_waiting_for_a_writer_has_an_end(postgres_url: URL, log: EmbeddedLog) -> None:
    database = open_database(postgres_url, log)
    hasty = Database.open(bounded(postgres_url, "lock_timeout=50"))
    with database.begin() as connection:
        connection.execute(insert(ROWS).values(n=1))
        with pytest.raises(DatabaseBusyError, match="lock timeout"):
            add_row(hasty, 2)
    add_row(hasty, 3)
    assert rows(database) == [1, 3]
    hasty.close()
    database.close()


def test_a_statement_has_an_end(postgres_url: URL) -> None:
    database = Database.open(bounded(postgres_url, "statement_timeout=50"))
    with pytest.raises(DatabaseBusyError, match="statement timeout"), database.read() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(10)")
    database.close()


def test_who_hangs_in_a_transaction_holds_others_up_for_a_while_only(postgres_url: URL, log: EmbeddedLog) -> None:
    database = open_database(postgres_url, log)
    frozen = Database.open(bounded(postgres_url, "idle_in_transaction_session_timeout=100"))
    took_s: list[float] = []

    def write() -> None:
        started = time.monotonic()
        add_row(database, 1)
        took_s.append(time.monotonic() - started)

    other = threading.Thread(target=write)
    with (  # noqa: PT012 - as above
        pytest.raises(DatabaseUnavailableError, match="idle-in-transaction timeout"),
        frozen.begin() as connection,
    ):
        connection.execute(insert(ROWS).values(n=2))
        other.start()
        other.join(10)
    assert took_s[0] < 5
    assert rows(database) == [1]
    frozen.close()
    database.close()


def test_the_bounds_are_those_that_are_written_down(postgres_url: URL) -> None:
    database = Database.open(postgres_url)
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "TimeZone", "application_name")
    with database.read() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
    assert found == ["30s", "2min", "20s", "UTC", "streambank"]
    database.close()


def test_a_reader_cannot_write(postgres_url: URL, log: EmbeddedLog) -> None:
    database = open_database(postgres_url, log)
    with pytest.raises(Exception, match="read-only transaction"), database.read() as connection:
        connection.execute(insert(ROWS).values(n=1))
    assert database.bind_log(log.log_id, "another") == OUTBOX_ID
    database.close()


# A cursor that was open as its server went cannot be closed.
@pytest.mark.filterwarnings("ignore:.*ServerCursor.*was deleted while still open:ResourceWarning")
def test_a_service_outlives_a_server_that_comes_and_goes(
    postgres: PostgresServer, postgres_url: URL, log: EmbeddedLog
) -> None:
    log.create_topics([NUMBERS.config, OUT.config])
    database = open_database(postgres_url, log)
    relay = OutboxRelay(log, database, service="numbers", outbox_id=OUTBOX_ID, clock=system_clock)
    projection = Projection(log, database, Outbox(), group="numbers", subscriptions=[Subscription(NUMBERS, apply)])
    stop = threading.Event()
    workers, how = [projection, relay], {"grace_s": 5, "random": lambda: 0.0}
    service = threading.Thread(target=run_workers, args=(stop, workers), kwargs=how, daemon=True)
    service.start()
    try:
        for n in range(60):
            write(log, "numbers", NUMBERS.value.serialize(Number(n)), partition=n % 2)
            if n % 20 == 10:
                postgres.execute(f"ALTER DATABASE {postgres_url.database} ALLOW_CONNECTIONS false")
                end_connections(postgres, postgres_url)
                write(log, "numbers", NUMBERS.value.serialize(Number(1000 + n)))
                time.sleep(0.3)
                postgres.execute(f"ALTER DATABASE {postgres_url.database} ALLOW_CONNECTIONS true")
        deadline = time.monotonic() + 60
        while len(read(log, "out")) < 63 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        stop.set()
        service.join(10)
    stored = rows(database)
    assert sorted(stored) == [*range(60), 1010, 1030, 1050]
    assert [OUT.value.deserialize(record.value or b"").n for record in read(log, "out")] == stored
    database.close()
