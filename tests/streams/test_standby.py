"""Standby copies: who keeps them, and what is left to read when one takes over."""

from collections.abc import Iterator

import pytest
from tests.streams.support import IN, OUT, TABLE, topic

from streambank.log import EventLog, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import RestoreProgress, StreamBuilder, StreamRunner, StreamsConfig, Topology
from streambank.streams.errors import StreamsError
from streambank.streams.standby import LOOK_EVERY_MS, heirs

WIDE = topic("wide", partitions=2)


def parts(*numbers: int, of: str = "t") -> set[TopicPartition]:
    return {TopicPartition(of, number) for number in numbers}


@pytest.mark.parametrize(
    ("members", "replicas", "expected"),
    [
        ({"a": parts(0, 1)}, 1, {0: "", 1: ""}),
        ({"a": parts(0), "b": parts(1)}, 1, {0: "b", 1: "a"}),
        ({"a": parts(0), "b": parts(1)}, 2, {0: "b", 1: "a"}),
        ({"a": parts(0, 1), "b": parts(2), "c": parts(3)}, 1, {0: "b", 1: "b", 2: "c", 3: "b"}),
        ({"a": parts(0, 1), "b": parts(2), "c": parts(3)}, 2, {0: "bc", 1: "bc", 2: "ca", 3: "ba"}),
        ({"a": parts(0, 1), "b": parts()}, 1, {0: "b", 1: "b"}),
        ({"a": parts(0), "b": parts(1)}, 0, {0: "", 1: ""}),
    ],
)
def test_the_heirs_are_who_the_range_assignor_gives_the_partitions(
    members: dict[str, set[TopicPartition]], replicas: int, expected: dict[int, str]
) -> None:
    count = sum(len(owned) for owned in members.values())
    found = heirs(members, {"t": count}, replicas)
    assert {at.partition: "".join(line) for at, line in found.items()} == expected


class Group:
    """Members of one application, stepped by hand."""

    def __init__(self, topology: Topology, log: EventLog, *, standbys: int = 1) -> None:
        self._topology, self._log = topology, log
        self._config = StreamsConfig(application_id="app", num_standby_replicas=standbys)
        self.now = 0
        self.restored: list[RestoreProgress] = []
        self.members: list[StreamRunner] = []

    def join(self) -> StreamRunner:
        runner = StreamRunner(
            self._topology, self._log, self._config, on_restore=self.restored.append, monotonic_ms=lambda: self.now
        )
        self.members.append(runner)
        self.settle()
        return runner

    def settle(self) -> None:
        for _ in range(6):
            self.now += LOOK_EVERY_MS
            for runner in self.members:
                runner.step()

    def leave(self, runner: StreamRunner) -> None:
        self.members.remove(runner)
        runner.close()
        self.restored.clear()
        self.settle()

    def rows(self, store: str) -> dict[str, object]:
        return {
            key: value[0] for runner in self.members for part in runner.stores(store) for key, value in part.items()
        }


@pytest.fixture
def log() -> Iterator[EventLog]:
    with EmbeddedLog.open(None) as log:
        yield log


def write(log: EventLog, to: str, rows: dict[str, str]) -> None:
    producer = log.producer()
    with producer.transaction() as transaction:
        for number, (key, value) in enumerate(rows.items()):
            transaction.append(to, value.encode(), timestamp=number, key=key.encode())
    producer.close()


def counts() -> Topology:
    builder = StreamBuilder()
    builder.stream(WIDE).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


ROWS = {f'"k{number}"': "1" for number in range(20)}


@pytest.mark.parametrize(("standbys", "records_read"), [(0, 20), (1, 0)])
def test_a_copy_has_nothing_left_to_read(log: EventLog, standbys: int, records_read: int) -> None:
    log.create_topics([WIDE.config, OUT.config])
    group = Group(counts(), log, standbys=standbys)
    first, second = group.join(), group.join()
    for _ in range(2):
        write(log, "wide", ROWS)
    group.settle()
    lost = sum(len(part) for part in first.stores("n"))
    assert 0 < lost < 20
    group.leave(first)
    assert second.assignment == {TopicPartition("wide", 0), TopicPartition("wide", 1)}
    assert group.rows("n") == {f"k{number}": 2 for number in range(20)}
    read = sum(progress.records for progress in group.restored if progress.offset == progress.end)
    # Two updates a key, without a copy.
    assert read == (2 * lost if records_read else 0)
    write(log, "wide", ROWS)
    group.settle()
    assert group.rows("n") == {f"k{number}": 3 for number in range(20)}
    group.leave(second)


def test_a_copy_of_a_table_has_what_its_owner_has_processed(log: EventLog) -> None:
    """The table's topic may be ahead of it."""
    builder = StreamBuilder()
    builder.stream(IN).join(builder.table(TABLE), lambda value, row: [value, row]).to(OUT)
    log.create_topics([IN.config, TABLE.config, OUT.config])
    group = Group(builder.build(), log)
    group.join()
    group.join()
    write(log, "table", {'"a"': "1", '"b"': "2"})
    group.settle()
    owner = next(runner for runner in group.members if runner.assignment)
    # Nobody processes this, until the owner has gone.
    write(log, "table", {'"a"': "7"})
    heir = next(runner for runner in group.members if runner is not owner)
    group.members.remove(owner)
    group.settle()
    group.members.append(owner)
    group.restored.clear()
    group.leave(owner)
    done = [progress for progress in group.restored if progress.offset == progress.end]
    assert [progress.records for progress in done] == [0]
    group.settle()
    write(log, "in", {'"a"': "5", '"b"': "6"})
    group.settle()
    batch = log.read(TopicPartition("out", 0), 0)
    assert list(batch.values) == [b"[5,7]", b"[6,2]"]
    group.leave(heir)


def test_copies_end_with_the_need_for_them(log: EventLog) -> None:
    log.create_topics([WIDE.config, OUT.config])
    group = Group(counts(), log)
    first = group.join()
    assert first._manager._standbys.task_ids == frozenset()
    second = group.join()
    assert len(first._manager._standbys.task_ids | second._manager._standbys.task_ids) == 2
    group.leave(second)
    assert first._manager._standbys.task_ids == frozenset()
    group.leave(first)


def test_the_log_keeps_less_than_the_copy_has_read(log: EventLog) -> None:
    """As when a changelog was emptied: what the copy has is of no use."""
    log.create_topics([WIDE.config, OUT.config])
    group = Group(counts(), log)
    first, second = group.join(), group.join()
    write(log, "wide", ROWS)
    group.settle()
    for copy in second._manager._standbys._copies.values():
        copy.positions = dict.fromkeys(copy.positions, 10000)
    group.leave(first)
    assert group.rows("n") == {f"k{number}": 1 for number in range(20)}
    group.leave(second)


@pytest.mark.parametrize("bad", [{"num_standby_replicas": -1}, {"num_standby_replicas": 1, "store": "rocksdb"}])
def test_settings_that_cannot_be(bad: dict[str, object]) -> None:
    with pytest.raises(StreamsError, match="num_standby_replicas"):
        StreamsConfig(application_id="app", **bad)  # type: ignore[arg-type]
