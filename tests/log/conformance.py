"""What every event log must do, written against the interface alone. Each implementation's tests subclass this
and :mod:`tests.log.group_conformance`.

``features`` names the true differences: an implementation lists what it has.

* ``dense_offsets``: offsets count records only (Kafka's transaction markers take offsets too).
* ``epoch_timestamps``: a record may be of the first millisecond of 1970.
* ``memberless_fenced``: a commit by nobody's member is refused while the group has members.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import ClassVar

import pytest

from streambank.log import (
    ClosedError,
    Consumer,
    EventLog,
    FencedError,
    GroupMetadata,
    InvalidRecordError,
    LogError,
    OffsetAndMetadata,
    OffsetOutOfRangeError,
    Producer,
    Record,
    RecordTooLargeError,
    TopicConfig,
    TopicMismatchError,
    TopicPartition,
    UnknownTopicError,
    encode_headers,
    partition_for,
)

ORDERS = TopicConfig(name="orders", partitions=4)
PAYMENTS = TopicConfig(name="payments", partitions=4)
SINGLE = TopicConfig(name="single", partitions=1)
STATE = TopicConfig(name="state", partitions=2, cleanup_policy="compact")

P0 = TopicPartition("single", 0)

SETTLE_S = 20.0
"""How long a rebalance may take on the slowest log."""


class Listener:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, frozenset[TopicPartition]]] = []

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        self.calls.append(("assigned", frozenset(partitions)))

    def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.calls.append(("revoked", frozenset(partitions)))

    def on_lost(self, partitions: Collection[TopicPartition]) -> None:
        self.calls.append(("lost", frozenset(partitions)))


def put(log: EventLog, topic: str, *values: str, partition: int | None = None, key: bytes | None = None) -> None:
    """Write each value in one transaction for all."""
    producer = log.producer()
    with producer.transaction() as transaction:
        for number, value in enumerate(values):
            transaction.append(topic, value.encode(), timestamp=number, key=key, partition=partition)
    producer.close()


def everything(log: EventLog, topic_partition: TopicPartition, max_records: int = 10_000) -> list[Record]:
    """Every record of a partition."""
    records: list[Record] = []
    offset = log.watermarks(topic_partition).low
    while offset < log.watermarks(topic_partition).high:
        batch = log.read(topic_partition, offset, max_records)
        assert batch.next_offset > offset
        records += batch
        offset = batch.next_offset
    return records


def values_of(log: EventLog, topic_partition: TopicPartition) -> list[str]:
    return [(record.value or b"").decode() for record in everything(log, topic_partition)]


def drain(consumer: Consumer, count: int, timeout_s: float = SETTLE_S) -> list[Record]:
    """Poll until ``count`` records have come, or more than that."""
    records: list[Record] = []
    deadline = time.monotonic() + timeout_s
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(100, 0.05):
            records += batch
    return records


def settle(*consumers: Consumer, partitions: int, keep: list[Record] | None = None) -> None:
    """Poll all members until they share ``partitions`` partitions without overlap, each having some."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        for consumer in consumers:
            for batch in consumer.poll(1000, 0.0):
                if keep is not None:
                    keep += batch
        owned = [consumer.assignment for consumer in consumers]
        union: frozenset[TopicPartition] = frozenset().union(*owned)
        if len(union) == partitions == sum(map(len, owned)) and all(owned):
            return
    raise AssertionError(f"the members did not settle: {[consumer.assignment for consumer in consumers]}")


class LogConformance:
    """Subclasses provide the ``log`` fixture: an empty log, closed after the test."""

    features: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture
    def log(self) -> Iterator[EventLog]:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _topics(self, log: EventLog) -> None:
        log.create_topics([ORDERS, PAYMENTS, SINGLE, STATE])

    def needs(self, feature: str) -> None:
        if feature not in self.features:
            pytest.skip(f"this log has no {feature}")


class TopicConformance(LogConformance):
    def test_lists_what_was_created(self, log: EventLog) -> None:
        topics = log.topics()
        assert topics["orders"] == ORDERS
        assert topics["state"] == STATE

    def test_creating_again_changes_nothing(self, log: EventLog) -> None:
        put(log, "single", "kept")
        log.create_topics([SINGLE, STATE])
        assert values_of(log, P0) == ["kept"]

    @pytest.mark.parametrize(
        "other",
        [TopicConfig(name="orders", partitions=5), TopicConfig(name="orders", partitions=4, cleanup_policy="compact")],
    )
    def test_mismatch_creates_none(self, log: EventLog, other: TopicConfig) -> None:
        with pytest.raises(TopicMismatchError, match="orders"):
            log.create_topics([TopicConfig(name="new"), other])
        assert "new" not in log.topics()

    def test_unknown_topics_are_refused_everywhere(self, log: EventLog) -> None:
        nowhere = TopicPartition("nowhere", 0)
        producer = log.producer()
        calls: list[Callable[[], object]] = [
            lambda: log.watermarks(nowhere),
            lambda: log.read(nowhere, 0),
            lambda: log.offset_for_time(nowhere, 0),
            lambda: log.consumer("group", ["orders", "nowhere"]),
            lambda: log.watermarks(TopicPartition("orders", 4)),
            lambda: log.read(TopicPartition("orders", -1), 0),
        ]
        for call in calls:
            with pytest.raises(UnknownTopicError):
                call()
        for topic, partition in (("nowhere", None), ("orders", 4), ("orders", -1)):
            with pytest.raises(UnknownTopicError), producer.transaction() as transaction:
                transaction.append(topic, b"", timestamp=0, partition=partition)

    def test_a_deleted_topic_is_gone_with_all_that_was_in_it(self, log: EventLog) -> None:
        put(log, "orders", "old", partition=0)
        put(log, "single", "kept")
        with log.producer().transaction() as transaction:
            offsets = {TopicPartition("orders", 0): OffsetAndMetadata(1), P0: OffsetAndMetadata(1)}
            transaction.commit_offsets(GroupMetadata("some"), offsets)
        with pytest.raises(UnknownTopicError, match="nowhere"):
            log.delete_topics(["orders", "nowhere"])
        assert values_of(log, TopicPartition("orders", 0)) == ["old"]

        log.delete_topics(["orders"])
        assert "orders" not in log.topics()
        with pytest.raises(UnknownTopicError):
            log.read(TopicPartition("orders", 0), 0)
        assert values_of(log, P0) == ["kept"]
        deadline = time.monotonic() + SETTLE_S
        while log.committed("some").keys() != {P0}:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_a_topic_made_again_is_empty_and_works(self, log: EventLog) -> None:
        put(log, "orders", "old", partition=0)
        log.delete_topics(["orders"])
        log.create_topics([TopicConfig(name="orders", partitions=2)])
        put(log, "orders", "new", partition=0)
        assert values_of(log, TopicPartition("orders", 0)) == ["new"]
        consumer = log.consumer("reader", ["orders"])
        assert [record.value for record in drain(consumer, 1)] == [b"new"]

    def test_log_id_does_not_change(self, log: EventLog) -> None:
        first = log.log_id
        put(log, "single", "a")
        assert log.log_id == first
        assert len(first) >= 16


class WritingConformance(LogConformance):
    def test_a_record_comes_back_as_it_was_written(self, log: EventLog) -> None:
        headers = encode_headers([("ce_id", b"1"), ("ce_id", None)])
        with log.producer().transaction() as transaction:
            transaction.append("single", b"value", timestamp=1_700_000_000_123, key=b"key", headers=headers)
            transaction.append("single", None, timestamp=5, key=b"")
            transaction.append("single", b"", timestamp=7)
        first, second, third = everything(log, P0)
        assert first[:2] == ("single", 0)
        assert first[3:] == (1_700_000_000_123, b"key", b"value", (("ce_id", b"1"), ("ce_id", None)))
        assert second[3:] == (5, b"", None, ())
        assert third[3:] == (7, None, b"", ())
        assert first.offset < second.offset < third.offset

    def test_columns_and_single_records_keep_their_order(self, log: EventLog) -> None:
        with log.producer().transaction() as transaction:
            transaction.append("single", b"0", timestamp=0)
            transaction.append_columns(P0, [1, 2], [None, b"k"], [b"1", b"2"])
            transaction.append_columns(P0, [3], [b"k"], [b"3"], [encode_headers([("h", b"x")])])
            transaction.append("single", b"4", timestamp=4)
            transaction.append_columns(P0, [], [], [])
        records = everything(log, P0)
        assert [record.value for record in records] == [b"0", b"1", b"2", b"3", b"4"]
        assert [record.key for record in records] == [None, None, b"k", b"k", None]
        first = 0 if "epoch_timestamps" in self.features else 1
        assert [record.timestamp for record in records] == [first, 1, 2, 3, 4]
        assert [record.headers for record in records] == [(), (), (), (("h", b"x"),), ()]

    def test_columns_of_unequal_length_are_refused(self, log: EventLog) -> None:
        with pytest.raises(ValueError, match="equally long"), log.producer().transaction() as transaction:
            transaction.append_columns(P0, [1, 2], [None], [b"a", b"b"])
        assert everything(log, P0) == []

    def test_keys_go_where_kafka_puts_them(self, log: EventLog) -> None:
        keys = [f"account-{number}".encode() for number in range(50)]
        with log.producer().transaction() as transaction:
            for key in keys:
                transaction.append("orders", b"", timestamp=0, key=key)
        for partition in range(4):
            found = [record.key for record in everything(log, TopicPartition("orders", partition))]
            assert found == [key for key in keys if partition_for(key, 4) == partition]

    def test_records_without_a_key_take_turns(self, log: EventLog) -> None:
        producer = log.producer()
        for _ in range(4):
            with producer.transaction() as transaction:
                for _ in range(25):
                    transaction.append("orders", b"", timestamp=0)
        assert [len(everything(log, TopicPartition("orders", number))) for number in range(4)] == [25] * 4

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
    def test_an_exception_aborts(self, log: EventLog, error: type[BaseException]) -> None:
        producer = log.producer()

        def fail() -> None:
            with producer.transaction() as transaction:
                transaction.append("single", b"never", timestamp=0)
                transaction.append("orders", b"never", timestamp=0, partition=0)
                raise error

        with pytest.raises(error):
            fail()
        with producer.transaction() as transaction:
            transaction.append("single", b"next", timestamp=0)
        assert values_of(log, P0) == ["next"]
        assert values_of(log, TopicPartition("orders", 0)) == []

    def test_nothing_shows_before_the_commit(self, log: EventLog) -> None:
        with log.producer().transaction() as transaction:
            transaction.append("single", b"a", timestamp=0)
            assert everything(log, P0) == []
        assert values_of(log, P0) == ["a"]

    def test_end_offsets(self, log: EventLog) -> None:
        producer = log.producer()
        for _ in range(2):
            with producer.transaction() as transaction:
                transaction.append("single", b"a", timestamp=0)
                transaction.append("orders", b"b", timestamp=0, partition=2)
                transaction.append("orders", b"c", timestamp=0, partition=2)
        ends = transaction.end_offsets
        assert set(ends) == {P0, TopicPartition("orders", 2)}
        for topic_partition, end in ends.items():
            assert everything(log, topic_partition)[-1].offset == end - 1
        if "dense_offsets" in self.features:
            assert dict(ends) == {P0: 2, TopicPartition("orders", 2): 4}

    def test_a_record_may_be_too_large(self, log: EventLog) -> None:
        huge = bytes(64 << 20)
        producer = log.producer()
        with pytest.raises(RecordTooLargeError, match="single-0"), producer.transaction() as transaction:
            transaction.append("single", huge, timestamp=0)
        with pytest.raises(RecordTooLargeError, match="single-0"), producer.transaction() as transaction:
            transaction.append_columns(P0, [0, 0], [None, None], [b"small", huge])
        assert everything(log, P0) == []

    def test_many_large_records_are_not_a_large_record(self, log: EventLog) -> None:
        values: list[bytes | None] = [bytes([number]) * 300_000 for number in range(12)]
        with log.producer().transaction() as transaction:
            transaction.append_columns(P0, [0] * 12, [None] * 12, values)
        assert [record.value for record in everything(log, P0)] == values

    @pytest.mark.parametrize("bad", ["text", 5, [b"list"]])
    def test_values_that_are_not_bytes_are_refused(self, log: EventLog, bad: object) -> None:
        with pytest.raises(TypeError), log.producer().transaction() as transaction:
            transaction.append("single", bad, timestamp=0)  # type: ignore[arg-type]
        assert everything(log, P0) == []

    def test_a_compacted_topic_needs_keys(self, log: EventLog) -> None:
        producer = log.producer()
        with pytest.raises(InvalidRecordError, match="key"), producer.transaction() as transaction:
            transaction.append("state", b"a", timestamp=0)
        with pytest.raises(InvalidRecordError, match="key"), producer.transaction() as transaction:
            transaction.append_columns(TopicPartition("state", 0), [0, 0], [b"k", None], [b"a", b"b"])

    def test_one_transaction_at_a_time(self, log: EventLog) -> None:
        producer = log.producer()
        with producer.transaction() as outer:
            outer.append("single", b"outer", timestamp=0)
            with pytest.raises(LogError), producer.transaction():
                pass
        assert values_of(log, P0) == ["outer"]

    def test_a_transaction_that_ended_takes_nothing(self, log: EventLog) -> None:
        with log.producer().transaction() as transaction:
            transaction.append("single", b"in", timestamp=0)
        with pytest.raises(ClosedError):
            transaction.append("single", b"late", timestamp=0)
        with pytest.raises(ClosedError):
            transaction.append_columns(P0, [0], [None], [b"late"])
        with pytest.raises(ClosedError):
            transaction.commit_offsets(GroupMetadata("group"), {P0: OffsetAndMetadata(1)})
        assert values_of(log, P0) == ["in"]

    def test_a_closed_producer_refuses_and_aborts(self, log: EventLog) -> None:
        producer = log.producer()

        def close_within() -> None:
            with producer.transaction() as transaction:
                transaction.append("single", b"lost", timestamp=0)
                producer.close()

        with pytest.raises(ClosedError):
            close_within()
        with pytest.raises(ClosedError), producer.transaction():
            pass
        producer.close()
        assert everything(log, P0) == []

    def test_a_commit_may_be_decided_after_the_block(self, log: EventLog) -> None:
        producer = log.producer()
        for number in range(3):
            with producer.transaction(wait=False) as transaction:
                transaction.append("single", b"%d" % number, timestamp=0)
            transaction.wait()
            assert transaction.decided
            assert everything(log, P0)[-1].offset == transaction.end_offsets[P0] - 1
        with producer.transaction(wait=False) as nothing:
            pass
        nothing.wait()
        assert values_of(log, P0) == ["0", "1", "2"]

    def test_who_waits_for_a_commit_later_hears_of_its_failure(self, log: EventLog) -> None:
        def write_and_wait(producer: Producer) -> None:
            with producer.transaction(wait=False) as transaction:
                transaction.append("single", b"zombie", timestamp=0)
            transaction.wait()

        old = log.producer("billing")
        log.producer("billing")
        for _ in range(2):
            with pytest.raises(FencedError, match="billing"):
                write_and_wait(old)
        assert everything(log, P0) == []

    def test_no_columns_are_no_records(self, log: EventLog) -> None:
        with log.producer().transaction() as transaction:
            transaction.append_columns(P0, [], [], [])
            transaction.append("single", b"one", timestamp=0)
        assert values_of(log, P0) == ["one"]

    def test_a_newer_producer_fences_the_older(self, log: EventLog) -> None:
        old = log.producer("billing")
        with old.transaction() as transaction:
            transaction.append("single", b"old", timestamp=0)
        new = log.producer("billing")
        with pytest.raises(FencedError, match="billing"), old.transaction() as transaction:
            transaction.append("single", b"zombie", timestamp=0)
        with new.transaction() as transaction:
            transaction.append("single", b"new", timestamp=0)
        with log.producer("other").transaction() as transaction:
            transaction.append("single", b"other", timestamp=0)
        assert values_of(log, P0) == ["old", "new", "other"]


class ReadingConformance(LogConformance):
    def test_small_reads_see_everything_once(self, log: EventLog) -> None:
        for start in range(0, 300, 50):
            put(log, "single", *map(str, range(start, start + 50)))
        assert [int(record.value or b"") for record in everything(log, P0, max_records=7)] == list(range(300))

    def test_read_from_the_middle(self, log: EventLog) -> None:
        put(log, "single", *map(str, range(100)))
        put(log, "single", *map(str, range(100, 110)))
        for record in everything(log, P0)[::13]:
            assert next(iter(log.read(P0, record.offset))) == record

    def test_the_end_is_an_empty_batch(self, log: EventLog) -> None:
        put(log, "single", "a")
        end = log.watermarks(P0).high
        batch = log.read(P0, end)
        assert (len(batch), batch.next_offset, batch.topic_partition) == (0, end, P0)
        with pytest.raises(OffsetOutOfRangeError):
            log.read(P0, end + 1)

    def test_watermarks(self, log: EventLog) -> None:
        assert log.watermarks(P0) == (0, 0)
        put(log, "single", "a", "b")
        low, high = log.watermarks(P0)
        assert low == 0
        assert high == 2 or "dense_offsets" not in self.features

    def test_offset_for_time(self, log: EventLog) -> None:
        producer = log.producer()
        for times in ([10, 20, 15], [30, 25], [40]):
            with producer.transaction() as transaction:
                for at in times:
                    transaction.append("single", str(at).encode(), timestamp=at)
        by_time = {record.timestamp: record.offset for record in everything(log, P0)}
        cases = {0: 10, 10: 10, 11: 20, 20: 20, 21: 30, 30: 30, 31: 40, 40: 40}
        assert {at: log.offset_for_time(P0, at) for at in cases} == {at: by_time[to] for at, to in cases.items()}
        assert log.offset_for_time(P0, 41) == log.watermarks(P0).high

    def test_wait(self, log: EventLog) -> None:
        other = TopicPartition("orders", 3)
        assert not log.wait({P0: 0, other: 0}, 0.01)
        put(log, "single", "a")
        end = log.watermarks(P0).high
        assert log.wait({P0: 0, other: 0}, 0.0)
        assert not log.wait({P0: end, other: 0}, 0.01)
        timer = threading.Timer(0.05, put, (log, "orders", "b"), {"partition": 3})
        timer.start()
        assert log.wait({P0: end, other: 0}, SETTLE_S)
        timer.join()
