"""The log against a model of plain lists and dicts, under operations in any order."""

from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from streambank.log import (
    Consumer,
    FencedError,
    GroupMetadata,
    OffsetAndMetadata,
    TopicConfig,
    TopicPartition,
)
from streambank.log.embedded import EmbeddedLog, batches

PARTITIONS = [TopicPartition(topic, number) for topic in ("events", "state") for number in range(2)]
partitions = st.sampled_from(PARTITIONS)
keys = st.sampled_from([b"a", b"b", b"c", b"d"])
values = st.none() | st.binary(max_size=4)
records = st.lists(st.tuples(st.integers(0, 100), keys, values), max_size=8)


class LogMachine(RuleBasedStateMachine):
    """``written`` has all that was ever committed; compaction may only take away what a later record replaces."""

    consumers: Bundle[Consumer] = Bundle("consumers")

    @initialize(small=st.booleans())
    def open(self, small: bool) -> None:
        self.limit = batches.BATCH_MAX_RECORDS
        if small:
            batches.BATCH_MAX_RECORDS = 3
        self.now = 1_000
        self.log = EmbeddedLog.open(None, clock=lambda: self.now, monotonic_ms=lambda: 0)
        self.log.create_topics(
            [
                TopicConfig(name="events", partitions=2),
                TopicConfig(name="state", partitions=2, cleanup_policy="compact", delete_retention_ms=10),
            ]
        )
        self.producer = self.log.producer()
        self.written: dict[TopicPartition, list[tuple[int, bytes | None, bytes | None]]] = {at: [] for at in PARTITIONS}
        self.committed: dict[TopicPartition, int] = {}
        self.live: list[Consumer] = []

    def teardown(self) -> None:
        batches.BATCH_MAX_RECORDS = self.limit
        self.log.close()

    @rule(writes=st.lists(st.tuples(partitions, records, st.booleans()), max_size=3), abort=st.booleans())
    def transact(
        self, writes: Sequence[tuple[TopicPartition, list[tuple[int, bytes, bytes | None]], bool]], abort: bool
    ) -> None:
        try:
            with self.producer.transaction() as transaction:
                for at, rows, as_columns in writes:
                    if as_columns:
                        transaction.append_columns(
                            at, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
                        )
                    else:
                        for timestamp, key, value in rows:
                            transaction.append(at.topic, value, timestamp=timestamp, key=key, partition=at.partition)
                if abort:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return
        for at, rows, _ in writes:
            self.written[at] += rows

    @rule(past=st.integers(0, 20), ratio=st.sampled_from([0.0, 0.5]))
    def clean(self, past: int, ratio: float) -> None:
        self.now += past
        self.log.clean(ratio)

    @rule(target=consumers)
    def join(self) -> Consumer:
        consumer = self.log.consumer("group", ["events", "state"])
        self.live.append(consumer)
        return consumer

    @rule(consumer=consumers, count=st.integers(1, 5))
    def poll(self, consumer: Consumer, count: int) -> None:
        if consumer not in self.live:
            return
        before = {at: consumer.position(at) for at in consumer.assignment}
        polled = consumer.poll(count, 0.0)
        assert sum(map(len, polled)) <= count
        for batch in polled:
            at = batch.topic_partition
            assert at in consumer.assignment
            start = batch.offsets[0]
            assert start >= min(before.get(at, start), start)
            assert consumer.position(at) == batch.next_offset
            for record in batch:
                assert (record.timestamp, record.key, record.value) == self.written[at][record.offset]

    @rule(consumer=consumers)
    def commit(self, consumer: Consumer) -> None:
        if consumer not in self.live:
            return
        positions = {at: OffsetAndMetadata(consumer.position(at)) for at in consumer.assignment}
        described = {member.member_id: member.assignment for group in self.log.groups() for member in group.members}
        owned = described[consumer.metadata.member_id]
        try:
            with self.producer.transaction() as transaction:
                transaction.append("events", b"out", timestamp=0, key=b"a", partition=0)
                transaction.commit_offsets(consumer.metadata, positions)
        except FencedError:
            return
        assert positions.keys() <= owned
        self.written[PARTITIONS[0]].append((0, b"a", b"out"))
        self.committed |= {at: position.offset for at, position in positions.items()}

    @rule(at=partitions, back=st.integers(0, 3))
    def commit_as_nobody(self, at: TopicPartition, back: int) -> None:
        offset = max(0, len(self.written[at]) - back)
        try:
            with self.producer.transaction() as transaction:
                transaction.commit_offsets(GroupMetadata("group"), {at: OffsetAndMetadata(offset)})
        except FencedError:
            assert self.live
            return
        assert not self.live
        self.committed[at] = offset

    @rule(consumer=consumers, fraction=st.floats(0, 1))
    def seek(self, consumer: Consumer, fraction: float) -> None:
        if consumer not in self.live:
            return
        for at in consumer.assignment:
            consumer.seek(at, int(len(self.written[at]) * fraction))

    @rule(consumer=consumers)
    def leave(self, consumer: Consumer) -> None:
        if consumer in self.live:
            self.live.remove(consumer)
            consumer.close()

    @rule(at=partitions, timestamp=st.integers(0, 101))
    def offset_for_time(self, at: TopicPartition, timestamp: int) -> None:
        found = self.log.offset_for_time(at, timestamp)
        kept = [offset for offset, row in self.kept(at) if row[0] >= timestamp]
        assert found == (kept[0] if kept else len(self.written[at]))

    def kept(self, at: TopicPartition) -> list[tuple[int, tuple[int, bytes | None, bytes | None]]]:
        rows = []
        offset = 0
        while offset < len(self.written[at]):
            batch = self.log.read(at, offset, 2)
            rows += [(record.offset, (record.timestamp, record.key, record.value)) for record in batch]
            assert batch.next_offset > offset
            offset = batch.next_offset
        return rows

    @invariant()
    def the_log_has_what_was_written(self) -> None:
        for at in PARTITIONS:
            written = self.written[at]
            assert self.log.watermarks(at) == (0, len(written))
            kept = dict(self.kept(at))
            assert all(written[offset] == row for offset, row in kept.items())
            if at.topic == "events":
                assert len(kept) == len(written)
                continue
            last = {row[1]: offset for offset, row in enumerate(written)}
            for offset, row in enumerate(written):
                replaced = last[row[1]] != offset
                assert offset in kept or replaced or row[2] is None

    @invariant()
    def positions_are_those_committed(self) -> None:
        assert {at: position.offset for at, position in self.log.committed("group").items()} == self.committed

    @invariant()
    def partitions_have_one_owner(self) -> None:
        for group in self.log.groups():
            owned = [at for member in group.members for at in member.assignment]
            assert sorted(owned) == (PARTITIONS if group.members else [])


LogMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLog = LogMachine.TestCase
