"""What every event log must do for consumer groups: the second half of :mod:`tests.log.conformance`."""

import threading
import time
from collections.abc import Collection

import pytest
from tests.log.conformance import P0, SETTLE_S, Listener, LogConformance, drain, everything, put, settle, values_of

from streambank.log import (
    ClosedError,
    EventLog,
    FencedError,
    GroupMetadata,
    LogError,
    OffsetAndMetadata,
    Record,
    TopicPartition,
)


class GroupConformance(LogConformance):
    def test_start_positions(self, log: EventLog) -> None:
        put(log, "single", "before")
        earliest = log.consumer("early", ["single"])
        latest = log.consumer("late", ["single"], start="latest")
        settle(latest, partitions=1)
        put(log, "single", "after")
        assert [record.value for record in drain(earliest, 2)] == [b"before", b"after"]
        assert [record.value for record in drain(latest, 1)] == [b"after"]

    def test_unknown_start_is_refused(self, log: EventLog) -> None:
        with pytest.raises(ValueError, match="middle"):
            log.consumer("group", ["single"], start="middle")  # type: ignore[arg-type]

    def test_goes_on_from_the_committed_position(self, log: EventLog) -> None:
        put(log, "single", *map(str, range(10)))
        consumer = log.consumer("group", ["single"])
        fourth = drain(consumer, 10)[4]
        with log.producer().transaction() as transaction:
            transaction.commit_offsets(consumer.metadata, {P0: OffsetAndMetadata(fourth.offset, "memo")})
        assert consumer.committed([P0, TopicPartition("orders", 0)]) == {P0: OffsetAndMetadata(fourth.offset, "memo")}
        assert log.committed("group") == {P0: OffsetAndMetadata(fourth.offset, "memo")}
        consumer.close()
        again = log.consumer("group", ["single"])
        assert [record.value for record in drain(again, 6)] == [b"4", b"5", b"6", b"7", b"8", b"9"]
        assert log.committed("nobody") == {}

    def test_offsets_commit_with_the_outputs_or_not_at_all(self, log: EventLog) -> None:
        put(log, "single", "in")
        consumer = log.consumer("group", ["single"])
        (record,) = drain(consumer, 1)
        position = {P0: OffsetAndMetadata(record.offset + 1)}
        producer = log.producer()

        def process(failing: bool) -> None:
            with producer.transaction() as transaction:
                transaction.append("orders", b"out", timestamp=0, partition=0)
                transaction.commit_offsets(consumer.metadata, position)
                if failing:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            process(failing=True)
        assert log.committed("group") == {}
        assert values_of(log, TopicPartition("orders", 0)) == []
        process(failing=False)
        assert log.committed("group") == position
        assert values_of(log, TopicPartition("orders", 0)) == ["out"]

    def test_groups_do_not_share_positions(self, log: EventLog) -> None:
        put(log, "single", "a", "b")
        one, two = log.consumer("one", ["single"]), log.consumer("two", ["single"])
        assert len(drain(one, 2)) == len(drain(two, 2)) == 2

    def test_max_records_and_order(self, log: EventLog) -> None:
        for start in range(0, 200, 20):
            put(log, "single", *map(str, range(start, start + 20)))
        consumer = log.consumer("group", ["single"])
        seen: list[int] = []
        deadline = time.monotonic() + SETTLE_S
        while len(seen) < 200 and time.monotonic() < deadline:
            records = [record for batch in consumer.poll(5, 1.0) for record in batch]
            assert len(records) <= 25
            seen += [int(record.value or b"") for record in records]
        assert seen == list(range(200))

    def test_partitions_take_turns(self, log: EventLog) -> None:
        for partition in range(4):
            put(log, "orders", *map(str, range(100)), partition=partition)
        consumer = log.consumer("group", ["orders"])
        met: set[int] = set()
        count = 0
        deadline = time.monotonic() + SETTLE_S
        while len(met) < 4 and time.monotonic() < deadline:
            for batch in consumer.poll(40, 1.0):
                met.add(batch.topic_partition.partition)
                count += len(batch)
        assert met == {0, 1, 2, 3}
        assert count < 400 or "dense_offsets" not in self.features

    @pytest.mark.alone
    def test_poll_returns_at_once_without_records(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        begin = time.monotonic()
        assert consumer.poll(10, 0.0) == []
        assert time.monotonic() - begin < 1.0

    def test_poll_waits_for_a_record(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        timer = threading.Timer(0.05, put, (log, "single", "late"))
        timer.start()
        (batch,) = consumer.poll(10, SETTLE_S)
        timer.join()
        assert batch.values == [b"late"]

    def test_wakeup(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        begin = time.monotonic()
        timer = threading.Timer(0.05, consumer.wakeup)
        timer.start()
        assert consumer.poll(10, SETTLE_S) == []
        timer.join()
        consumer.wakeup()
        assert consumer.poll(10, SETTLE_S) == []
        assert time.monotonic() - begin < SETTLE_S / 2
        put(log, "single", "still read")
        assert len(drain(consumer, 1)) == 1

    def test_current_lag_is_what_the_last_poll_saw(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        assert consumer.current_lag(P0) == 0
        put(log, "single", *map(str, range(10)))
        assert consumer.current_lag(P0) == 0
        taken = len(consumer.poll(1, SETTLE_S)[0])
        consumer.poll(1, SETTLE_S)
        left = 10 - taken - 1
        # Where marks of transactions take offsets, one of them lies behind these.
        assert consumer.current_lag(P0) == left + (0 if "dense_offsets" in self.features else 1)
        drain(consumer, left)
        if "dense_offsets" not in self.features:
            assert consumer.current_lag(P0) <= 1
            consumer.poll(1, 1.0)
        assert consumer.current_lag(P0) == 0

    def test_position_and_seek(self, log: EventLog) -> None:
        put(log, "single", *map(str, range(10)))
        consumer = log.consumer("group", ["single"])
        records = drain(consumer, 10)
        assert consumer.position(P0) >= records[-1].offset + 1
        consumer.seek(P0, records[3].offset)
        assert consumer.position(P0) == records[3].offset
        assert [record.value for record in drain(consumer, 7)] == [b"3", b"4", b"5", b"6", b"7", b"8", b"9"]

    def test_seek_drops_what_was_fetched(self, log: EventLog) -> None:
        put(log, "single", *map(str, range(100)))
        consumer = log.consumer("group", ["single"])
        first = next(iter(drain(consumer, 1)))
        consumer.seek(P0, first.offset)
        assert [int(record.value or b"") for record in drain(consumer, 100)] == list(range(100))

    def test_seek_within_the_listener(self, log: EventLog) -> None:
        put(log, "single", *map(str, range(10)))
        target = everything(log, P0)[6].offset

        class Seeker(Listener):
            def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
                super().on_assigned(partitions)
                consumer.seek(P0, target)

        consumer = log.consumer("group", ["single"], listener=Seeker())
        assert [record.value for record in drain(consumer, 4)] == [b"6", b"7", b"8", b"9"]

    def test_pause_and_resume(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["orders"])
        settle(consumer, partitions=4)
        paused = TopicPartition("orders", 1)
        consumer.pause([paused])
        put(log, "orders", "a", partition=0)
        put(log, "orders", "b", partition=1)
        assert [record.partition for record in drain(consumer, 1)] == [0]
        assert consumer.poll(10, 0.05) == []
        consumer.resume([paused])
        assert [record.partition for record in drain(consumer, 1)] == [1]

    def test_partitions_of_others_are_refused(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        other = TopicPartition("orders", 0)
        for call in (consumer.position, lambda at: consumer.seek(at, 0), lambda at: consumer.pause([at])):
            with pytest.raises(LogError, match="orders-0"):
                call(other)

    def test_a_closed_consumer(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        consumer.close()
        consumer.close()
        with pytest.raises(ClosedError):
            consumer.poll(1, 0.0)


class MembershipConformance(LogConformance):
    def test_members_share_by_range(self, log: EventLog) -> None:
        members = [log.consumer("group", ["orders", "payments"]) for _ in range(3)]
        settle(*members, partitions=8)
        for member in members:
            orders = {number for topic, number in member.assignment if topic == "orders"}
            assert orders == {number for topic, number in member.assignment if topic == "payments"}
        assert sorted(len(member.assignment) for member in members) == [2, 2, 4]

    def test_each_record_goes_to_one_member(self, log: EventLog) -> None:
        one, two = log.consumer("group", ["orders"]), log.consumer("group", ["orders"])
        settle(one, two, partitions=4)
        for number in range(40):
            put(log, "orders", str(number), partition=number % 4)
        mine, theirs = drain(one, 20), drain(two, 20)
        assert sorted(int(record.value or b"") for record in mine + theirs) == list(range(40))
        assert {record.partition for record in mine}.isdisjoint({record.partition for record in theirs})

    def test_a_member_that_leaves_hands_over(self, log: EventLog) -> None:
        first, second = Listener(), Listener()
        one = log.consumer("group", ["orders"], listener=first)
        settle(one, partitions=4)
        two = log.consumer("group", ["orders"], listener=second)
        settle(one, two, partitions=4)
        every = frozenset(TopicPartition("orders", number) for number in range(4))
        assert first.calls[0] == ("assigned", every)
        given = frozenset().union(*(what for call, what in first.calls if call == "revoked"))
        assert two.assignment <= given
        two.close()
        assert second.calls[-1][0] == "revoked"
        settle(one, partitions=4)
        assert one.assignment == every
        assert first.calls[-1][0] == "assigned"

    def test_kept_partitions_keep_their_positions(self, log: EventLog) -> None:
        one = log.consumer("group", ["orders"])
        settle(one, partitions=4)
        put(log, "orders", "a", partition=0)
        assert len(drain(one, 1)) == 1
        two = log.consumer("group", ["orders"])
        again: list[Record] = []
        settle(one, two, partitions=4, keep=again)
        if TopicPartition("orders", 0) in one.assignment and "dense_offsets" in self.features:
            assert again == []

    def test_a_commit_for_partitions_that_moved_is_fenced(self, log: EventLog) -> None:
        for partition in range(4):
            put(log, "orders", *"abcd", partition=partition)
        one = log.consumer("group", ["orders"])
        drain(one, 16)
        before = one.metadata
        two = log.consumer("group", ["orders"])
        settle(one, two, partitions=4)
        producer = log.producer()
        position = {min(two.assignment): OffsetAndMetadata(4)}

        def commit_as(stale: GroupMetadata) -> None:
            with producer.transaction() as transaction:
                transaction.append("single", b"zombie", timestamp=0)
                transaction.commit_offsets(stale, position)

        for stale in (before, one.metadata):
            with pytest.raises(FencedError):
                commit_as(stale)
        assert everything(log, P0) == []
        assert log.committed("group") == {}

    def test_a_member_that_left_is_fenced(self, log: EventLog) -> None:
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        left = consumer.metadata
        consumer.close()
        with pytest.raises(FencedError), log.producer().transaction() as transaction:
            transaction.commit_offsets(left, {P0: OffsetAndMetadata(0)})
        assert log.committed("group") == {}

    def test_committing_without_membership(self, log: EventLog) -> None:
        producer = log.producer()
        with producer.transaction() as transaction:
            transaction.commit_offsets(GroupMetadata("group"), {P0: OffsetAndMetadata(0, "set by hand")})
        assert log.committed("group") == {P0: OffsetAndMetadata(0, "set by hand")}
        self.needs("memberless_fenced")
        consumer = log.consumer("group", ["single"])
        settle(consumer, partitions=1)
        with pytest.raises(FencedError, match="member"), producer.transaction() as transaction:
            transaction.commit_offsets(GroupMetadata("group"), {P0: OffsetAndMetadata(0)})
        consumer.close()
        with producer.transaction() as transaction:
            transaction.commit_offsets(GroupMetadata("group"), {P0: OffsetAndMetadata(0)})

    def test_members_may_want_different_topics(self, log: EventLog) -> None:
        both = log.consumer("group", ["orders", "single"])
        orders = log.consumer("group", ["orders"])
        settle(both, orders, partitions=5)
        assert P0 in both.assignment
        assert {at.topic for at in orders.assignment} == {"orders"}

    def test_groups_are_described(self, log: EventLog) -> None:
        consumer = log.consumer("zeta", ["single"])
        settle(consumer, partitions=1)
        with log.producer().transaction() as transaction:
            transaction.commit_offsets(GroupMetadata("alpha"), {P0: OffsetAndMetadata(0)})
        alpha, zeta = log.groups()
        assert (alpha.group, alpha.members, alpha.committed) == ("alpha", (), {P0: OffsetAndMetadata(0)})
        assert zeta.group == "zeta"
        assert [(member.member_id, member.assignment) for member in zeta.members] == [
            (consumer.metadata.member_id, frozenset({P0}))
        ]
        consumer.close()
        assert [group.group for group in log.groups()] == ["alpha"]

    def test_closing_the_log_closes_what_came_from_it(self, log: EventLog) -> None:
        consumer, producer = log.consumer("group", ["single"]), log.producer()
        settle(consumer, partitions=1)
        log.close()
        log.close()
        with pytest.raises(ClosedError):
            consumer.poll(1, 0.0)
        with pytest.raises(ClosedError), producer.transaction():
            pass
        with pytest.raises(ClosedError):
            log.producer()
        with pytest.raises(ClosedError):
            log.consumer("group", ["single"])
