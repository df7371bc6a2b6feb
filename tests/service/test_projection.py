import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert
from tests.postgres import Databases
from tests.service.support import (
    NUMBERS,
    OUTBOX_ID,
    ROWS,
    CrashError,
    Number,
    Ticker,
    open_database,
    read,
    rows,
    write,
)

from streambank.log import Record, TopicPartition, encode_headers
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.errors import StaleDatabaseError
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.projection import Projection, Received, Subscription
from streambank.streams.topic import Topic

NUMBER = count()
"""Names databases: each example has one of its own."""


class Harness:
    def __init__(self, log: EmbeddedLog, database: Database, topic: Topic[str, Number] = NUMBERS) -> None:
        self.fail = False
        self.database = database
        self.projection = Projection(
            log, database, Outbox(), group="numbers", subscriptions=[Subscription(topic, self._apply)]
        )

    def _apply(self, connection: Connection, received: Sequence[Received[Number]]) -> None:
        connection.execute(insert(ROWS), [{"n": item.value.n} for item in received])
        if self.fail:
            raise CrashError

    def drain(self) -> None:
        # The first poll of a new member, and the one after a fence, may only move its place.
        for _ in range(3):
            self.projection.step(0)
        while self.projection.step(0):
            pass


def value(n: int) -> bytes:
    return NUMBERS.value.serialize(Number(n))


def test_rows_and_position_are_stored_together(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1), value(2))
        first = Harness(log, database)
        first.drain()
        first.fail = True
        write(log, "numbers", value(3))
        with pytest.raises(CrashError):
            first.drain()
        assert rows(database) == [1, 2]
        first.projection.close()
        second = Harness(log, database)
        second.drain()
        assert rows(database) == [1, 2, 3]
        # Told to the log too, for whoever looks at the lag.
        assert log.committed("numbers")[TopicPartition("numbers", 0)].offset == 3
        second.projection.close()
        database.close()


def test_the_database_and_not_the_log_says_where_to_go_on(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1))
        first = Harness(log, database)
        first.drain()
        first.projection.close()
        with database.begin() as connection:
            connection.exec_driver_sql("UPDATE projection_position SET next_offset = 0")
        second = Harness(log, database)
        second.drain()
        assert rows(database) == [1, 1]
        second.projection.close()
        database.close()


def test_a_new_database_goes_on_where_the_group_stood(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1))
        first = Harness(log, database)
        first.drain()
        first.projection.close()
        database.close()
        write(log, "numbers", value(2))
        new = open_database(any_database("b"), log)
        second = Harness(log, new)
        second.drain()
        assert rows(new) == [2]
        second.projection.close()
        new.close()


@pytest.mark.parametrize("poison", [b"not json", b'{"n":"one"}', b"{}", b"\xff\xfe", None])
def test_a_record_that_cannot_be_decoded_becomes_a_dead_letter(any_database: Databases, poison: bytes | None) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        producer = log.producer()
        original = encode_headers([("ce_id", b"\x00\xff"), ("ce_id", None)])
        with producer.transaction() as transaction:
            transaction.append("numbers", value(1), timestamp=5, key=b"a", partition=1)
            transaction.append("numbers", poison, timestamp=-7, key=b"\xfe", headers=original, partition=1)
            transaction.append("numbers", value(2), timestamp=6, key=b"a", partition=1)
        harness = Harness(log, database)
        harness.drain()
        assert rows(database) == [1, 2]
        relay = OutboxRelay(log, database, service="numbers", outbox_id=OUTBOX_ID, clock=Ticker())
        relay.step()
        (dead,) = read(log, "numbers.dlq")
        assert (dead.key, dead.value, dead.timestamp) == (b"\xfe", poison, -7)
        assert dead.headers[:2] == (("ce_id", b"\x00\xff"), ("ce_id", None))
        reasons = dict(dead.headers[2:])
        assert reasons.pop("__streams.errors.message")
        assert reasons.pop("__streams.errors.exception") in {
            b"DeserializationError",
            b"DecodeError",
            b"ValidationError",
        }
        assert reasons == {
            "__streams.errors.topic": b"numbers",
            "__streams.errors.partition": b"1",
            "__streams.errors.offset": b"1",
            "__streams.errors.group": b"numbers",
        }
        assert harness.projection.dead_letter_count == 1
        harness.projection.close()
        relay.close()
        database.close()


def test_tombstones_are_told_in_their_place(any_database: Databases) -> None:
    told: list[object] = []

    def apply(_: Connection, received: Sequence[Received[Number]]) -> None:
        told.append([item.value.n for item in received])

    def remove(_: Connection, tombstones: Sequence[Record]) -> None:
        told.append([record.key for record in tombstones])

    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1), value(2), None, None, value(3), None)
        projection = Projection(
            log, database, Outbox(), group="numbers", subscriptions=[Subscription(NUMBERS, apply, remove)]
        )
        for _ in range(3):
            projection.step(0)
        assert told == [[1, 2], [b"k", b"k"], [3], [b"k"]]
        assert projection.dead_letter_count == 0
        projection.close()
        database.close()


def test_a_new_database_reads_all_of_a_table(any_database: Databases) -> None:
    table = replace(NUMBERS, name="table", cleanup_policy="compact")
    with EmbeddedLog.open(None) as log:
        log.create_topics([table.config])
        write(log, "table", value(1))
        found = []
        for name in ("a", "b"):
            database = open_database(any_database(name), log)
            harness = Harness(log, database, table)
            harness.drain()
            harness.projection.close()
            found.append(rows(database))
            database.close()
    assert found == [[1], [1]]


def test_who_lost_its_place_without_noticing_is_fenced(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1))
        harness = Harness(log, database)
        harness.drain()
        # Another process reads offset 1 and stores what it makes of it.
        write(log, "numbers", value(2), value(3))
        with database.begin() as connection:
            connection.exec_driver_sql("UPDATE projection_position SET next_offset = 2 WHERE partition = 0")
            connection.execute(insert(ROWS).values(n=20))
        harness.drain()
        assert harness.projection.fenced_count == 1
        assert rows(database) == [1, 20, 3]
        harness.projection.close()
        database.close()


def test_two_members_share_the_records(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        members = [Harness(log, database), Harness(log, database)]
        for n in range(40):
            write(log, "numbers", value(n), partition=n % 2)
            members[n % 3 % 2].projection.step(0)
        for member in members * 2:
            member.drain()
        assert sorted(rows(database)) == list(range(40))
        for member in members:
            member.projection.close()
        database.close()


def test_a_log_that_ends_before_the_position_is_refused(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        write(log, "numbers", value(1))
        first = Harness(log, database)
        first.drain()
        first.projection.close()
        with database.begin() as connection:
            connection.exec_driver_sql("UPDATE projection_position SET next_offset = 9")
        second = Harness(log, database)
        with pytest.raises(StaleDatabaseError, match="older copy"):
            second.drain()
        second.projection.close()
        database.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ok", "crash", "close"])), max_size=12))
def test_whatever_happens_each_record_is_stored_once(
    any_database: Databases, happenings: list[tuple[int, str]]
) -> None:
    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database(f"p{next(NUMBER)}"), log)
        harness, written = Harness(log, database), 0
        for count, happening in happenings:
            write(log, "numbers", *(value(n) for n in range(written, written + count)))
            written += count
            harness.fail = happening == "crash"
            try:
                harness.projection.step(0)
            except CrashError:
                happening = "close"
            if happening == "close":
                harness.projection.close()
                harness = Harness(log, database)
        harness.fail = False
        harness.drain()
        assert rows(database) == list(range(written))
        harness.projection.close()
        database.close()


def test_with_a_wait_in_between_records_gather_and_a_stop_does_not_wait_for_it(any_database: Databases) -> None:
    batches: list[list[int]] = []

    def apply(_: Connection, received: Sequence[Received[Number]]) -> None:
        batches.append([item.value.n for item in received])

    with EmbeddedLog.open(None) as log:
        log.create_topics([NUMBERS.config])
        database = open_database(any_database("a"), log)
        projection = Projection(
            log, database, Outbox(), group="numbers", subscriptions=[Subscription(NUMBERS, apply)], gather_s=60
        )
        stop = threading.Event()
        thread = threading.Thread(target=projection.run, args=(stop,), daemon=True)
        write(log, "numbers", value(1))
        thread.start()
        deadline = time.monotonic() + 20
        while not batches:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        write(log, "numbers", value(2), value(3))
        time.sleep(0.1)
        assert batches == [[1]]
        stop.set()
        projection.interrupt()
        thread.join(20)
        assert not thread.is_alive()
        database.close()
