"""Retention and compaction."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.log.conformance import drain, everything, values_of

from streambank.log import OffsetAndMetadata, OffsetOutOfRangeError, TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog, compaction
from streambank.log.embedded.cleaner import Cleaner, CleaningReport
from streambank.log.embedded.locks import FileLock
from streambank.log.topics import MAX_COMPACTION_LAG_MS

DAY_MS = 86_400_000
STATE = TopicPartition("state", 0)
EVENTS = TopicPartition("events", 0)
BOTH = TopicPartition("both", 0)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000 * DAY_MS

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["folder", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[EmbeddedLog]:
    folder = tmp_path / "log" if request.param == "folder" else None
    with EmbeddedLog.open(folder, clock=clock, background_cleaning=False) as log:
        log.create_topics(
            [
                TopicConfig(name="state", partitions=1, cleanup_policy="compact", delete_retention_ms=DAY_MS),
                TopicConfig(name="events", partitions=1, retention_ms=7 * DAY_MS),
                TopicConfig(name="both", partitions=1, cleanup_policy="compact,delete", retention_ms=DAY_MS),
                TopicConfig(name="kept", partitions=1),
            ]
        )
        yield log


def put(log: EmbeddedLog, topic: str, *records: tuple[str, str | None], timestamp: int = 0) -> None:
    with log.producer().transaction() as transaction:
        for key, value in records:
            transaction.append(
                topic, value.encode() if value is not None else None, key=key.encode(), timestamp=timestamp
            )


def pairs(log: EmbeddedLog, topic_partition: TopicPartition) -> list[tuple[int, str, str | None]]:
    return [
        (record.offset, (record.key or b"").decode(), record.value.decode() if record.value is not None else None)
        for record in everything(log, topic_partition)
    ]


def test_compaction_keeps_the_last_record_of_each_key_at_its_offset(log: EmbeddedLog) -> None:
    put(log, "state", ("a", "1"), ("b", "1"), ("a", "2"))
    put(log, "state", ("b", "2"), ("c", "1"))
    put(log, "state", ("d", "1"), ("a", "3"))
    report = log.clean()
    assert (report.partitions_compacted, report.records_compacted) == (1, 3)
    assert pairs(log, STATE) == [(3, "b", "2"), (4, "c", "1"), (5, "d", "1"), (6, "a", "3")]
    assert log.watermarks(STATE) == (0, 7)


def test_the_newest_batch_is_left_alone(log: EmbeddedLog) -> None:
    put(log, "state", ("a", "1"), ("a", "2"))
    assert log.clean().partitions_compacted == 0
    put(log, "state", ("a", "3"), ("a", "4"))
    log.clean()
    assert pairs(log, STATE) == [(2, "a", "3"), (3, "a", "4")]


def test_reading_goes_on_behind_a_gap(log: EmbeddedLog) -> None:
    put(log, "state", ("a", "1"), ("a", "2"), ("b", "1"), ("a", "3"))
    put(log, "state", ("z", "1"))
    consumer = log.consumer("group", ["state"])
    log.clean()
    for offset, first in ((0, 2), (1, 2), (2, 2), (3, 3), (4, 4)):
        assert log.read(STATE, offset).offsets[0] == first
    assert [record.offset for record in drain(consumer, 3)] == [2, 3, 4]
    assert consumer.position(STATE) == 5


def test_a_position_in_a_batch_that_is_gone_moves_on(log: EmbeddedLog) -> None:
    put(log, "state", *[("a", str(number)) for number in range(5)])
    consumer = log.consumer("group", ["state"])
    assert len(consumer.poll(2, 0.0)[0]) == 2
    with log.producer().transaction() as transaction:
        transaction.commit_offsets(consumer.metadata, {STATE: OffsetAndMetadata(2)})
    consumer.close()
    put(log, "state", ("a", "last"))
    log.clean()
    assert [record.value for record in drain(log.consumer("group", ["state"]), 1)] == [b"last"]


def test_headers_and_timestamps_survive(log: EmbeddedLog) -> None:
    with log.producer().transaction() as transaction:
        transaction.append("state", b"old", key=b"a", timestamp=9)
        transaction.append("state", b"kept", key=b"b", timestamp=5, headers=b"\x91\x92\xa1h\xc4\x01x")
        transaction.append("state", b"new", key=b"a", timestamp=3)
    put(log, "state", ("z", ""))
    log.clean()
    kept, new, _ = everything(log, STATE)
    assert (kept.timestamp, kept.headers) == (5, (("h", b"x"),))
    assert (new.timestamp, new.value, new.headers) == (3, b"new", ())
    assert log.offset_for_time(STATE, 4) == kept.offset
    assert log.offset_for_time(STATE, 6) == log.watermarks(STATE).high


def test_tombstones_stay_readable_for_a_while(log: EmbeddedLog, clock: FakeClock) -> None:
    put(log, "state", ("a", "1"), ("b", "1"))
    put(log, "state", ("a", None))
    put(log, "state", ("z", "1"))
    log.clean()
    assert pairs(log, STATE) == [(1, "b", "1"), (2, "a", None), (3, "z", "1")]
    clock.now += DAY_MS - 1
    log.clean()
    assert (2, "a", None) in pairs(log, STATE)
    clock.now += 1
    log.clean()
    assert pairs(log, STATE) == [(1, "b", "1"), (3, "z", "1")]
    assert log.clean().partitions_compacted == 0


def test_tombstones_go_even_where_new_ones_keep_coming(log: EmbeddedLog, clock: FakeClock) -> None:
    put(log, "state", ("old", None))
    for _ in range(40):
        clock.now += DAY_MS // 16
        put(log, "state", ("new", None), ("other", "x"))
        log.clean(0.0)
    assert "old" not in [key for _, key, _ in pairs(log, STATE)]


def test_compaction_waits_for_half_to_be_dirty(log: EmbeddedLog) -> None:
    put(log, "state", *[(f"key-{number}", "x" * 100) for number in range(100)])
    put(log, "state", ("z", "1"))
    assert log.clean().partitions_compacted == 1
    put(log, "state", ("key-1", "y"))
    put(log, "state", ("key-1", "z"))
    assert log.clean().partitions_compacted == 0
    assert log.clean(min_dirty_ratio=0.0).records_compacted == 2


def test_what_was_replaced_long_ago_goes_however_little_is_new(log: EmbeddedLog, clock: FakeClock) -> None:
    put(log, "state", *[(f"key-{number}", "x" * 100) for number in range(100)])
    put(log, "state", ("z", "1"))
    log.clean()
    put(log, "state", ("key-1", None))
    clock.now += MAX_COMPACTION_LAG_MS - 1
    assert log.clean().partitions_compacted == 0
    clock.now += 1
    assert log.clean() == CleaningReport(partitions_compacted=1, records_compacted=1)
    assert [value for _, key, value in pairs(log, STATE) if key == "key-1"] == [None]
    assert log.clean().partitions_compacted == 0


def test_the_newest_batch_is_cleaned_when_that_is_overdue_and_its_end_stays(log: EmbeddedLog, clock: FakeClock) -> None:
    put(log, "state", ("a", "1"), ("b", "1"), ("a", None))
    clock.now += MAX_COMPACTION_LAG_MS
    assert log.clean().records_compacted == 1
    assert pairs(log, STATE) == [(1, "b", "1"), (2, "a", None)]
    assert log.watermarks(STATE) == (0, 3)
    assert log.clean().partitions_compacted == 0
    put(log, "state", ("c", "1"))
    clock.now += MAX_COMPACTION_LAG_MS
    log.clean()
    assert pairs(log, STATE) == [(1, "b", "1"), (3, "c", "1")]


def test_a_consumer_comes_to_the_end_of_a_partition_that_has_only_a_tombstone(
    log: EmbeddedLog, clock: FakeClock
) -> None:
    put(log, "state", ("a", "1"))
    put(log, "state", ("a", None))
    for _ in range(3):
        clock.now += MAX_COMPACTION_LAG_MS
        log.clean()
    assert pairs(log, STATE) == [(1, "a", None)]
    consumer = log.consumer("group", ["state"])
    drain(consumer, 1)
    assert consumer.position(STATE) == log.watermarks(STATE).high == 2


def test_what_compaction_removes_is_not_left_in_the_file(tmp_path: Path, clock: FakeClock) -> None:
    secret = "a key that somebody wants erased"
    with EmbeddedLog.open(tmp_path / "log", clock=clock, background_cleaning=False) as log:
        log.create_topics([TopicConfig(name="state", partitions=1, cleanup_policy="compact")])
        # As most builds of SQLite have it; Debian's overwrites what is deleted by itself.
        log._database._writer.execute("PRAGMA secure_delete = OFF")
        put(log, "state", ("a", secret), ("b", "x" * 20_000))
        put(log, "state", ("a", None))
        put(log, "state", ("b", "y"))
        # Into the database file, from where it has to be removed again.
        checkpoint(log)
        assert secret.encode() in files(tmp_path)
        log.clean(0.0)
        checkpoint(log)
    assert secret.encode() not in files(tmp_path)


def checkpoint(log: EmbeddedLog) -> None:
    with log._database.write():
        pass
    log._database._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_small_memory_takes_more_passes(log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "KEYS_MAX", 20)
    chance = random.Random(7)
    expected: dict[str, str] = {}
    for number in range(60):
        records = [(f"k{chance.randrange(60)}", f"{number}-{position}") for position in range(9)]
        expected |= dict(records)
        put(log, "state", *records)
    log.clean()
    found = pairs(log, STATE)
    assert {key: value for _, key, value in found} == expected
    assert len(found) < 120
    assert [offset for offset, _, _ in found] == sorted(offset for offset, _, _ in found)


def test_small_batches_are_joined(log: EmbeddedLog) -> None:
    for number in range(300):
        put(log, "state", (str(number), "v"))
    log.clean()
    assert len(log.read(STATE, 0, max_records=1)) >= 200
    assert [offset for offset, _, _ in pairs(log, STATE)] == list(range(300))


def test_retention_deletes_whole_old_batches(log: EmbeddedLog, clock: FakeClock) -> None:
    now = clock.now
    put(log, "events", ("a", "old"), timestamp=now - 9 * DAY_MS)
    put(log, "events", ("a", "older"), timestamp=now - 30 * DAY_MS)
    put(log, "events", ("a", "young"), timestamp=now - 6 * DAY_MS)
    put(log, "events", ("a", "behind a young one"), timestamp=now - 30 * DAY_MS)
    put(log, "kept", ("a", "for ever"))
    report = log.clean()
    assert (report.batches_expired, report.records_expired) == (2, 2)
    assert values_of(log, EVENTS) == ["young", "behind a young one"]
    assert values_of(log, TopicPartition("kept", 0)) == ["for ever"]
    assert log.watermarks(EVENTS) == (2, 4)
    with pytest.raises(OffsetOutOfRangeError, match="retention"):
        log.read(EVENTS, 1)
    clock.now += 9 * DAY_MS
    log.clean()
    assert log.watermarks(EVENTS) == (4, 4)
    assert len(log.read(EVENTS, 4)) == 0


def test_a_batch_with_one_young_record_stays(log: EmbeddedLog, clock: FakeClock) -> None:
    with log.producer().transaction() as transaction:
        transaction.append("events", b"old", timestamp=0)
        transaction.append("events", b"young", timestamp=clock.now)
    log.clean()
    assert values_of(log, EVENTS) == ["old", "young"]


@pytest.mark.parametrize(("start", "expected"), [("earliest", [b"young"]), ("latest", [])])
def test_a_consumer_behind_retention_says_so_and_goes_on(
    start: str, expected: list[bytes], log: EmbeddedLog, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    put(log, "events", ("a", "old"), ("a", "old"))
    consumer = log.consumer("group", ["events"], start="earliest")
    assert len(consumer.poll(1, 0.0)) == 1
    with log.producer().transaction() as transaction:
        transaction.commit_offsets(consumer.metadata, {EVENTS: OffsetAndMetadata(1)})
    consumer.close()
    put(log, "events", ("a", "young"), timestamp=clock.now)
    log.clean()
    again = log.consumer("group", ["events"], start=start)  # type: ignore[arg-type]
    assert [value for batch in again.poll(10, 0.0) for value in batch.values] == expected
    assert "events-0: position 1 is out of range" in caplog.text


def test_compact_and_delete(log: EmbeddedLog, clock: FakeClock) -> None:
    put(log, "both", ("a", "old"), timestamp=0)
    put(log, "both", ("b", "1"), ("b", "2"), timestamp=clock.now)
    put(log, "both", ("c", "1"), timestamp=clock.now)
    log.clean()
    assert pairs(log, BOTH) == [(2, "b", "2"), (3, "c", "1")]
    assert log.watermarks(BOTH).low == 1


def test_only_one_process_cleans(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path) as log:
        other = FileLock(tmp_path / "clean.lock")
        assert other.try_acquire()
        assert log.clean().skipped
        other.release()
        assert not log.clean().skipped
        other.close()


def test_the_background_cleans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.log.embedded.cleaner.CLEANING_INTERVAL_S", 0.01)
    with EmbeddedLog.open(tmp_path) as log:
        log.create_topics([TopicConfig(name="events", partitions=1, retention_ms=0)])
        put(log, "events", ("a", "old"))
        for _ in range(500):
            if log.watermarks(EVENTS).low == 1:
                break
            log.wait({EVENTS: 99}, 0.01)
        assert log.watermarks(EVENTS) == (1, 1)


def test_memory_logs_clean_only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Cleaner) -> None:
        raise AssertionError("started")

    monkeypatch.setattr(Cleaner, "start", fail)
    EmbeddedLog.open(None).close()
    with pytest.raises(AssertionError, match="started"):
        EmbeddedLog.open(None, background_cleaning=True)


def test_freed_space_is_used_again(tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path, background_cleaning=False, synchronous="OFF") as log:
        log.create_topics([TopicConfig(name="state", partitions=1, cleanup_policy="compact")])
        sizes = []
        for _ in range(6):
            for _ in range(10):
                put(log, "state", *[(str(number), "x" * 1000) for number in range(100)])
            log.clean(0.0)
            sizes.append((tmp_path / "log.db").stat().st_size)
        assert len(everything(log, STATE)) == 100
    assert (tmp_path / "log.db").stat().st_size < 4_000_000
