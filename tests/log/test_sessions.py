"""Sessions of group members, driven by a clock of the tests."""

import pytest
from tests.log.conformance import Listener, put

from streambank.log import FencedError, GroupMetadata, OffsetAndMetadata, TopicConfig, TopicPartition
from streambank.log.embedded import EmbeddedLog

ALL = frozenset(TopicPartition("orders", number) for number in range(4))
LAST = TopicPartition("orders", 3)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> EmbeddedLog:
    log = EmbeddedLog.open(None, clock=clock, monotonic_ms=clock, session_timeout_ms=9_000)
    log.create_topics([TopicConfig(name="orders", partitions=4)])
    return log


def commit(log: EmbeddedLog, member: GroupMetadata, topic_partition: TopicPartition, offset: int) -> None:
    with log.producer().transaction() as transaction:
        transaction.commit_offsets(member, {topic_partition: OffsetAndMetadata(offset)})


def test_a_member_that_hangs_is_expelled_and_joins_again(log: EmbeddedLog, clock: FakeClock) -> None:
    told = Listener()
    hanging = log.consumer("group", ["orders"], listener=told)
    hanging.poll(1, 0.0)
    before = hanging.metadata
    other = log.consumer("group", ["orders"])
    other.poll(1, 0.0)
    for _ in range(7):
        clock.now += 1_500
        other.poll(1, 0.0)
    assert other.assignment == ALL
    with pytest.raises(FencedError, match="orders-3"):
        commit(log, before, LAST, 0)
    hanging.poll(1, 0.0)
    assert told.calls[:2] == [("assigned", ALL), ("lost", ALL)]
    assert told.calls[2][0] == "assigned"
    assert hanging.metadata.member_id != before.member_id
    other.poll(1, 0.0)
    assert hanging.assignment | other.assignment == ALL
    assert not hanging.assignment & other.assignment


def test_polling_keeps_the_membership(log: EmbeddedLog, clock: FakeClock) -> None:
    one, two = log.consumer("group", ["orders"]), log.consumer("group", ["orders"])
    for _ in range(40):
        clock.now += 1_000
        one.poll(1, 0.0)
        two.poll(1, 0.0)
    assert {len(one.assignment), len(two.assignment)} == {2}
    assert [len(group.members) for group in log.groups()] == [2]


def test_a_lonely_member_outlives_its_session(log: EmbeddedLog, clock: FakeClock) -> None:
    consumer = log.consumer("group", ["orders"])
    consumer.poll(1, 0.0)
    clock.now += 1_000_000
    consumer.poll(1, 0.0)
    commit(log, consumer.metadata, LAST, 0)
    assert consumer.assignment == ALL


def test_expired_members_do_not_stand_in_the_way_of_others(log: EmbeddedLog, clock: FakeClock) -> None:
    log.consumer("group", ["orders"]).poll(1, 0.0)
    with pytest.raises(FencedError, match="1 live member"):
        commit(log, GroupMetadata("group"), LAST, 0)
    clock.now += 9_001
    commit(log, GroupMetadata("group"), LAST, 0)
    joined = log.consumer("group", ["orders"])
    joined.poll(1, 0.0)
    assert joined.assignment == ALL


def test_a_partition_that_went_and_came_back_counts_as_new(log: EmbeddedLog) -> None:
    put(log, "orders", *map(str, range(10)), partition=3)
    told = Listener()
    one = log.consumer("group", ["orders"], listener=told)
    assert sum(map(len, one.poll(100, 0.0))) == 10
    stale = one.metadata
    two = log.consumer("group", ["orders"])
    two.poll(100, 0.0)
    commit(log, two.metadata, LAST, 4)
    two.close()
    with pytest.raises(FencedError):
        commit(log, stale, LAST, 10)
    commit(log, stale, TopicPartition("orders", 0), 0)
    (batch,) = one.poll(100, 0.0)
    assert list(batch.offsets) == [4, 5, 6, 7, 8, 9]
    assert [call for call, what in told.calls if LAST in what] == ["assigned", "revoked", "assigned"]
    commit(log, one.metadata, LAST, 10)


def test_a_rebalance_does_not_fence_what_was_kept(log: EmbeddedLog) -> None:
    one = log.consumer("group", ["orders"])
    one.poll(1, 0.0)
    before = one.metadata
    log.consumer("group", ["orders"])
    kept = TopicPartition("orders", 0)
    commit(log, before, kept, 0)
    with pytest.raises(FencedError, match="orders-3"):
        commit(log, before, LAST, 0)


def test_member_ids_ascend_though_the_clock_goes_back(log: EmbeddedLog, clock: FakeClock) -> None:
    ids = []
    for _ in range(5):
        ids.append(log.consumer("group", ["orders"]).metadata.member_id)
        clock.now -= 10
    assert ids == sorted(ids)


def test_a_listener_that_fails_is_told_again(log: EmbeddedLog) -> None:
    class Failing(Listener):
        failing = True

        def on_revoked(self, partitions: object) -> None:
            self.calls.append(("revoked", ALL))
            if self.failing:
                raise RuntimeError("not now")

    told = Failing()
    one = log.consumer("group", ["orders"], listener=told)
    one.poll(1, 0.0)
    log.consumer("group", ["orders"])
    with pytest.raises(RuntimeError, match="not now"):
        one.poll(1, 0.0)
    assert one.assignment == ALL
    told.failing = False
    one.poll(1, 0.0)
    assert [call for call, _ in told.calls] == ["assigned", "revoked", "revoked"]
    assert len(one.assignment) == 2


def test_a_commit_still_counts_while_closing(log: EmbeddedLog) -> None:
    class Committing(Listener):
        def on_revoked(self, partitions: object) -> None:
            commit(log, consumer.metadata, LAST, 0)

    consumer = log.consumer("group", ["orders"], listener=Committing())
    consumer.poll(1, 0.0)
    consumer.close()
    assert log.committed("group") == {LAST: OffsetAndMetadata(0)}
    assert [group.members for group in log.groups()] == [()]


def test_topics_made_later_take_part(log: EmbeddedLog) -> None:
    one = log.consumer("group", ["orders"])
    one.poll(1, 0.0)
    log.create_topics([TopicConfig(name="late", partitions=2)])
    two = log.consumer("group", ["late"])
    two.poll(1, 0.0)
    one.poll(1, 0.0)
    assert one.assignment == ALL
    assert {partition.topic for partition in two.assignment} == {"late"}
