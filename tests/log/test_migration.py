"""A log moves to another one: every record, and every position between the same two records."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from streambank.log import (
    EventLog,
    GroupMetadata,
    LogError,
    OffsetAndMetadata,
    TopicConfig,
    TopicPartition,
    encode_headers,
)
from streambank.log.embedded import EmbeddedLog
from streambank.log.migration import PROGRESS_TOPIC, Migration, MigrationError, MigrationProgress

ORDERS = TopicConfig(name="orders", partitions=2)
STATE = TopicConfig(name="state", partitions=1, cleanup_policy="compact")
AT = TopicPartition("orders", 0)
STATE_AT = TopicPartition("state", 0)


@pytest.fixture
def source() -> Iterator[EventLog]:
    with EmbeddedLog.open(None) as log:
        fill(log)
        yield log


@pytest.fixture
def target() -> Iterator[EventLog]:
    with EmbeddedLog.open(None) as log:
        yield log


def fill(log: EventLog) -> None:
    """Topics with records of every form, and groups in the middle of them."""
    log.create_topics([ORDERS, STATE, TopicConfig(name="empty")])
    with closing(log.producer()) as producer:
        for start in range(0, 100, 10):
            with producer.transaction() as transaction:
                for number in range(start, start + 10):
                    headers = encode_headers([("n", b"%d" % number), ("none", None)]) if number % 3 else None
                    value = None if number % 7 == 0 else b"value %d" % number
                    transaction.append(
                        "orders",
                        value,
                        timestamp=number,
                        key=b"k" if number % 2 else None,
                        headers=headers,
                        partition=number % 2,
                    )
                    transaction.append("state", value, timestamp=number, key=b"key %d" % (number % 8))
        with producer.transaction() as transaction:
            transaction.commit_offsets(
                GroupMetadata("readers"), {AT: OffsetAndMetadata(17, "time 34"), STATE_AT: OffsetAndMetadata(100)}
            )
            transaction.commit_offsets(
                GroupMetadata("late"), {AT: OffsetAndMetadata(0), TopicPartition("empty", 1): OffsetAndMetadata(0)}
            )


def after(log: EventLog, at: TopicPartition, offset: int) -> list[tuple[object, ...]]:
    """What is left to read from there."""
    return contents(log, at, offset)


def contents(log: EventLog, at: TopicPartition, offset: int = 0) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    while offset < log.watermarks(at).high:
        batch = log.read(at, offset, 7)
        found += [(record.timestamp, record.key, record.value, record.headers) for record in batch]
        offset = batch.next_offset
    return found


def run(source: EventLog, target: EventLog) -> Migration:
    migration = Migration(source, target, {AT: {33}})
    migration.copy()
    migration.verify()
    migration.commit_positions()
    return migration


def check_moved(source: EventLog, target: EventLog, migration: Migration) -> None:
    assert {name: of for name, of in target.topics().items() if name != PROGRESS_TOPIC} == source.topics()
    for at in (AT, TopicPartition("orders", 1), STATE_AT):
        assert contents(target, at) == contents(source, at)
    for group in ("readers", "late"):
        here, there = source.committed(group), target.committed(group)
        assert here.keys() == there.keys()
        for at, position in here.items():
            assert there[at].metadata == position.metadata
            assert after(target, at, there[at].offset) == after(source, at, position.offset)
    assert after(target, AT, migration.translated(AT, 33)) == after(source, AT, 33)


def test_everything_arrives(source: EventLog, target: EventLog) -> None:
    migration = run(source, target)
    check_moved(source, target, migration)
    topics = {topic.topic: topic for topic in migration.verify()}
    assert topics["orders"].records == 100
    assert topics["state"].records == 7, "8 keys, of which the last record of one is a tombstone"
    assert topics["empty"].records == 0
    migration.finish()
    assert target.topics().keys() == source.topics().keys()


@pytest.mark.parametrize("steps", range(1, 5))
def test_one_that_is_interrupted_is_gone_on_with(
    source: EventLog, target: EventLog, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streambank.log.migration.READ_RECORDS", 9)

    class StoppedError(Exception):
        pass

    def stop_after(progress: MigrationProgress) -> None:
        if progress.done > 30 * steps:
            raise StoppedError

    with pytest.raises(StoppedError):
        Migration(source, target, {AT: {33}}).copy(stop_after)
    check_moved(source, target, run(source, target))


def test_compacted_logs_keep_their_positions(source: EventLog, target: EventLog) -> None:
    assert isinstance(source, EmbeddedLog)
    with closing(source.producer()) as producer, producer.transaction() as transaction:
        transaction.append("state", b"last", timestamp=0, key=b"last")
        transaction.commit_offsets(GroupMetadata("readers"), {STATE_AT: OffsetAndMetadata(95)})
    assert source.clean(0.0).records_compacted > 0
    run(source, target)
    assert after(target, STATE_AT, target.committed("readers")[STATE_AT].offset) == after(source, STATE_AT, 95)


def test_records_that_are_there_already_are_not_mixed_up(source: EventLog, target: EventLog) -> None:
    target.create_topics([ORDERS])
    with closing(target.producer()) as producer, producer.transaction() as transaction:
        transaction.append("orders", b"other", timestamp=1)
    with pytest.raises(MigrationError, match="has records in topic 'orders' already"):
        Migration(source, target)


def test_a_log_in_use_is_refused(source: EventLog, target: EventLog) -> None:
    with closing(source.consumer("readers", ["orders"])) as consumer:
        consumer.poll(1, 0.0)
        with pytest.raises(MigrationError, match="in use by readers"):
            Migration(source, target)
    with pytest.raises(MigrationError, match="to itself"):
        Migration(source, source)


def test_a_difference_is_found(source: EventLog, target: EventLog) -> None:
    migration = run(source, target)
    with closing(target.producer()) as producer, producer.transaction() as transaction:
        transaction.append("orders", b"one more", timestamp=1, partition=0)
    with pytest.raises(MigrationError, match="orders-0: record 51 is not what it was: there are more"):
        migration.verify()
    with closing(target.producer()) as producer, producer.transaction() as transaction:
        transaction.append("state", b"changed", timestamp=99, key=b"key 1")
    with closing(source.producer()) as producer, producer.transaction() as transaction:
        transaction.append("orders", b"one more", timestamp=1, partition=0)
    with pytest.raises(MigrationError, match=r"state-0: key b'key 1' is not what it was: .*value"):
        migration.verify()


def test_a_position_that_moves_between_two_runs_is_noticed(source: EventLog, target: EventLog) -> None:
    Migration(source, target).copy()
    with closing(source.producer()) as producer, producer.transaction() as transaction:
        transaction.commit_offsets(GroupMetadata("readers"), {AT: OffsetAndMetadata(20)})
    with pytest.raises(MigrationError, match="orders-0: a position was moved"):
        Migration(source, target).copy()


def test_two_migrations_into_one_log_are_refused(source: EventLog, target: EventLog) -> None:
    Migration(source, target).copy()
    with EmbeddedLog.open(None) as other, pytest.raises(LogError, match="migration of another log"):
        Migration(other, target)
