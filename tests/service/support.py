"""A topic, a database and a log that can be told to fail, for the tests of the service kit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.engine import URL

from streambank.log import EventLog, Record, TopicPartition, Transaction
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import KIT_MIGRATIONS, Database
from streambank.streams.serde import STRING, JsonSerde
from streambank.streams.topic import Topic

OUTBOX_ID = "018f0000-0000-7000-8000-000000000001"


class Number(msgspec.Struct, frozen=True):
    """A value of the test's topic."""

    n: int


NUMBERS = Topic(name="numbers", key=STRING, value=JsonSerde(Number), partitions=2)
OUT = Topic(name="out", key=STRING, value=JsonSerde(Number), partitions=1)
ROWS = Table("rows", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))


class Ticker:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def open_database(where: Path | str | URL, log: EventLog) -> Database:
    database = Database.open(where, KIT_MIGRATIONS)
    with database.begin() as connection:
        ROWS.metadata.create_all(connection)
    database.bind_log(log.log_id, OUTBOX_ID)
    return database


def add_row(database: Database, n: int) -> None:
    with database.begin() as connection:
        connection.execute(insert(ROWS).values(n=n))


def rows(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(select(ROWS.c.n).order_by(ROWS.c.id)))


def write(log: EventLog, topic: str, *values: bytes | None, key: bytes | None = b"k", partition: int = 0) -> None:
    producer = log.producer()
    with producer.transaction() as transaction:
        for value in values:
            transaction.append(topic, value, timestamp=1, key=key, partition=partition)
    producer.close()


def read(log: EventLog, topic: str) -> list[Record]:
    return [r for p in range(log.topics()[topic].partitions) for r in log.read(TopicPartition(topic, p), 0)]


class CrashError(Exception):
    """Stands for a crash."""


class CrashingLog(EmbeddedLog):
    """Crashes around the commit of a producer's transaction, while ``crash`` says where; does ``meanwhile`` before."""

    crash: str | None = None
    meanwhile: Callable[[], None] | None = None

    def producer(self, transactional_id: str | None = None):  # type: ignore[no-untyped-def]
        inner = super().producer(transactional_id)
        log = self

        class Crashing:
            @contextmanager
            def transaction(self, **how: bool) -> Iterator[Transaction]:
                with inner.transaction(**how) as transaction:
                    yield transaction
                    if log.meanwhile is not None:
                        log.meanwhile()
                    if log.crash == "before commit":
                        raise CrashError
                if log.crash == "after commit":
                    raise CrashError

            def close(self) -> None:
                inner.close()

        return Crashing()
