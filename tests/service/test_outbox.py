import random
import threading
import time
from contextlib import closing
from typing import Any

import msgspec
import pytest
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table, delete, insert, text, update
from sqlalchemy.schema import DropTable
from tests.postgres import Databases
from tests.service.support import (
    OUT,
    OUTBOX_ID,
    ROWS,
    CrashError,
    CrashingLog,
    Number,
    Ticker,
    add_row,
    open_database,
    read,
    rows,
)

from streambank.errors import InvariantError
from streambank.log.embedded import EmbeddedLog
from streambank.service import outbox
from streambank.service.database import KIT_MIGRATIONS, Database
from streambank.service.errors import StaleDatabaseError
from streambank.service.outbox import (
    BATCH_RECORDS_MAX,
    BATCHES_KEPT_MAX,
    STAND_BY_MS,
    Outbox,
    OutboxRelay,
    OutgoingRecord,
    outbox_length,
    outgoing,
)
from streambank.service.tables import OUTBOX, SERVICE_STATE, BigKey


def relay_of(
    log: EmbeddedLog, database: Database, clock: Ticker | None = None, outbox_id: str = OUTBOX_ID
) -> OutboxRelay:
    log.create_topics([OUT.config])
    return OutboxRelay(log, database, service="numbers", outbox_id=outbox_id, clock=clock or Ticker())


def put(database: Database, *numbers: int) -> None:
    with database.begin() as connection:
        for n in numbers:
            connection.execute(insert(ROWS).values(n=n))
        Outbox().add(connection, [outgoing(OUT, str(n), Number(n), n) for n in numbers])


def published(log: EmbeddedLog) -> list[int]:
    return [OUT.value.deserialize(r.value or b"").n for r in read(log, "out")]


def test_records_arrive_once_in_order_as_they_were(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        put(database, 1, 2)
        put(database, 3)
        assert [relay.step(), relay.step()] == [3, 0]
        put(database, 4)
        assert relay.step() == 1
        assert [(r.key, r.value, r.timestamp) for r in read(log, "out")] == [
            (str(n).encode(), b'{"n":%d}' % n, n) for n in (1, 2, 3, 4)
        ]
        assert outbox_length(database) == 0
        relay.close()
        database.close()


def test_a_rolled_back_transaction_publishes_nothing(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        with pytest.raises(CrashError):  # noqa: PT012, SIM117 - the block is what is tested
            with database.begin() as connection:
                Outbox().add(connection, [OutgoingRecord("out", None, b"x", None, 1)])
                raise CrashError
        put(database, 5)
        assert relay.step() == 1
        assert published(log) == [5]
        relay.close()
        database.close()


@pytest.mark.parametrize("where", ["before commit", "after commit"])
def test_a_crash_around_the_commit_neither_loses_nor_repeats(any_database: Databases, where: str) -> None:
    log = CrashingLog.open(None)
    assert isinstance(log, CrashingLog)
    database = open_database(any_database("a"), log)
    relay = relay_of(log, database)
    put(database, 1, 2)
    log.crash = where
    with pytest.raises(CrashError):
        relay.step()
    assert published(log) == ([] if where == "before commit" else [1, 2])
    log.crash = None
    put(database, 3)
    restarted = relay_of(log, database)
    while outbox_length(database):
        restarted.step()
    assert published(log) == [1, 2, 3]
    restarted.close()
    database.close()
    log.close()


def test_crashes_anywhere(any_database: Databases) -> None:
    chance = random.Random(11)
    log = CrashingLog.open(None)
    assert isinstance(log, CrashingLog)
    database = open_database(any_database("a"), log)
    relay, written = relay_of(log, database), 0
    for _ in range(60):
        count = chance.randrange(4)
        put(database, *range(written, written + count))
        written += count
        log.crash = chance.choice([None, "before commit", "after commit"])
        try:
            relay.step()
        except CrashError:
            relay = relay_of(log, database)
    log.crash = None
    relay.step()
    assert published(log) == list(range(written)) == rows(database)
    relay.close()
    database.close()
    log.close()


def test_the_newer_relay_works_and_the_older_takes_over_when_it_is_gone(any_database: Databases) -> None:
    clock = Ticker()
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        older, newer = relay_of(log, database, clock), relay_of(log, database, clock)
        put(database, 1)
        assert older.step() == 1
        put(database, 2)
        assert newer.step() == 1
        put(database, 3)
        # Fenced by the newer one; it must not fence back for as long as the newer one may be at work.
        assert [older.step(), older.step()] == [0, 0]
        assert newer.step() == 1
        put(database, 4)
        assert older.step() == 0
        clock.now_ms += STAND_BY_MS
        assert older.step() == 1
        assert published(log) == [1, 2, 3, 4]
        older.close()
        newer.close()
        database.close()


def test_a_relay_that_is_fenced_as_it_starts_stands_by(
    any_database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        late, winner = relay_of(log, database), relay_of(log, database)
        put(database, 1, 2)
        committed = log.committed

        def committed_then_overtaken(group: str) -> Any:
            before = committed(group)
            monkeypatch.undo()
            # Between the late one's look at the log and its look at the rows, another starts and publishes them.
            assert winner.step() == 2
            put(database, 3)
            return before

        monkeypatch.setattr(log, "committed", committed_then_overtaken)
        assert late.step() == 0
        assert winner.step() == 1
        assert published(log) == [1, 2, 3]
        late.close()
        winner.close()
        database.close()


def test_a_lost_row_stops_the_relay(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        put(database, 1)
        put(database, 2)
        with database.begin() as connection:
            connection.execute(delete(OUTBOX).where(OUTBOX.c.id == 1))
        with pytest.raises(InvariantError, match="ids have a gap after 0"):
            relay.step()
        assert published(log) == []
        relay.close()
        database.close()


def test_a_new_database_starts_anew_and_an_older_copy_is_refused(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        put(database, 1, 2, 3)
        relay.step()
        relay.close()
        database.close()

        stale = open_database(any_database("b"), log)
        put(stale, 8)
        with pytest.raises(StaleDatabaseError, match="older copy"):
            relay_of(log, stale).step()
        assert outbox_length(stale) == 1
        new = relay_of(log, stale, outbox_id="another")
        assert new.step() == 1
        assert published(log) == [1, 2, 3, 8]
        new.close()
        stale.close()


def test_an_outbox_without_a_log_is_a_bug(any_database: Databases) -> None:
    database = Database.open(any_database("a"), KIT_MIGRATIONS)
    with pytest.raises(InvariantError), database.begin() as connection:
        Outbox().add(connection, [OutgoingRecord("out", None, b"x", None, 1)])
    database.close()


def test_batches_are_bounded_by_bytes_and_by_records(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        with database.begin() as connection:
            Outbox().add(connection, [OutgoingRecord("out", b"k", b"x" * 900_000, None, 1)] * 5)
            Outbox().add(connection, [OutgoingRecord("out", b"k", b"x", None, 1)] * 600)
        assert [relay.step() for _ in range(4)] == [4, 500, 101, 0]
        relay.close()
        database.close()


def test_a_relay_goes_on_in_the_midst_of_a_row(any_database: Databases) -> None:
    numbers = range(BATCH_RECORDS_MAX + 100)
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        put(database, 1_000, 1_001, 1_002)
        put(database, *numbers)
        relay = relay_of(log, database)
        assert relay.step() == BATCH_RECORDS_MAX
        relay.close()
        restarted = relay_of(log, database)
        assert [restarted.step(), restarted.step()] == [103, 0]
        assert published(log) == [1_000, 1_001, 1_002, *numbers]
        assert outbox_length(database) == 0
        restarted.close()
        database.close()


def test_what_waited_before_records_shared_rows_is_published(any_database: Databases) -> None:
    before = Table(
        "outbox",
        MetaData(),
        Column("id", BigKey, primary_key=True, autoincrement=False),
        Column("topic", String(249), nullable=False),
        Column("key", LargeBinary, nullable=True),
        Column("value", LargeBinary, nullable=True),
        Column("headers", LargeBinary, nullable=True),
        Column("timestamp", BigInteger, nullable=False),
    )
    numbers = range(1_201)
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        put(database, 7_000)
        assert relay_of(log, database).step() == 1
        with database.begin() as connection:
            connection.execute(DropTable(OUTBOX))
            before.metadata.create_all(connection)
            connection.execute(text("UPDATE service_version SET version_num = '0002'"))
            told = [outgoing(OUT, str(n), Number(n), n) for n in numbers]
            connection.execute(
                insert(before), [{"id": 2 + n, **msgspec.structs.asdict(record)} for n, record in enumerate(told)]
            )
            connection.execute(insert(before).values(id=1_203, topic="out", key=b"k", value=None, timestamp=5))
            connection.execute(update(SERVICE_STATE).values(outbox_last_id=1_203))
        database.close()

        upgraded = open_database(any_database("a"), log)
        assert outbox_length(upgraded) == 1_202
        put(upgraded, 8_000)
        relay = relay_of(log, upgraded)
        while relay.step():
            pass
        records = read(log, "out")
        assert [r.value and OUT.value.deserialize(r.value).n for r in records] == [7_000, *numbers, None, 8_000]
        assert (records[-2].key, records[-2].timestamp) == (b"k", 5)
        relay.close()
        upgraded.close()


@pytest.mark.alone
def test_a_running_relay_is_woken_by_a_commit(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay, stop = relay_of(log, database), threading.Event()
        thread = threading.Thread(target=relay.run, args=(stop,))
        thread.start()
        time.sleep(0.1)
        started = time.monotonic()
        put(database, 1)
        while not published(log):
            time.sleep(0.005)
        assert time.monotonic() - started < 0.8
        stop.set()
        relay.interrupt()
        thread.join(1)
        assert not thread.is_alive()
        database.close()


def test_only_outgoing_records_wake_the_relay(any_database: Databases) -> None:
    with EmbeddedLog.open(None) as log:
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        woken: list[str] = []
        database.after_commit(lambda: woken.append("any"))
        database.after_commit(lambda: woken.append("outgoing"), of=OUTBOX.name)
        add_row(database, 1)
        put(database, 2)
        assert relay.step() == 1
        # The last ones are the relay's own: it deletes what is published, when it starts and after each batch.
        assert woken == ["any", "any", "outgoing", "any", "any"]
        relay.close()
        database.close()


def test_rows_of_several_batches_are_deleted_at_once_while_more_come(any_database: Databases) -> None:
    with CrashingLog.open(None) as log:
        assert isinstance(log, CrashingLog)
        database = open_database(any_database("a"), log)
        relay, numbers = relay_of(log, database), iter(range(1_000))
        log.meanwhile = lambda: put(database, next(numbers))
        put(database, next(numbers))
        waiting = []
        for _ in range(2 * BATCHES_KEPT_MAX + 2):
            assert relay.step() == 1
            waiting.append(outbox_length(database))
        # One row is always new; the others are published.
        assert waiting == [*range(2, BATCHES_KEPT_MAX + 2), 1] * 2
        log.meanwhile = None
        log.crash = "after commit"
        with pytest.raises(CrashError):
            relay.step()
        log.crash = None
        # Whoever takes over publishes none of them again.
        newer = relay_of(log, database)
        assert newer.step() == 0
        assert published(log) == list(range(2 * BATCHES_KEPT_MAX + 3))
        assert outbox_length(database) == 0
        newer.close()
        database.close()


def test_what_was_kept_is_deleted_when_nothing_more_came(any_database: Databases) -> None:
    with CrashingLog.open(None) as log:
        assert isinstance(log, CrashingLog)
        database = open_database(any_database("a"), log)
        relay = relay_of(log, database)
        # As if a commit were told of only after its rows were read.
        log.meanwhile = relay._wake_up
        put(database, 1)
        assert (relay.step(), outbox_length(database)) == (1, 1)
        assert (relay.step(), outbox_length(database)) == (0, 0)
        relay.close()
        database.close()


def test_a_stop_that_comes_just_after_the_look_at_it_is_not_missed(
    any_database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "FALLBACK_POLL_S", 60)
    with EmbeddedLog.open(None) as log, closing(open_database(any_database("service"), log)) as database:
        relay = relay_of(log, database)

        class JustAfter(threading.Event):
            def is_set(self) -> bool:
                seen = super().is_set()
                self.set()
                relay.interrupt()
                return seen

        running = threading.Thread(target=relay.run, args=(JustAfter(),), daemon=True)
        running.start()
        running.join(10)
        assert not running.is_alive()
