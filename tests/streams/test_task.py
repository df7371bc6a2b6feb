"""A task alone: which record is next, what a rollback brings back, and what is committed with the offsets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from tests.streams.support import ANY, IN, IN2, OUT, TABLE

from streambank.log import OffsetAndMetadata, RecordBatch, TopicPartition
from streambank.streams import StreamBuilder, StreamsConfig, Topology
from streambank.streams.collector import RecordCollector
from streambank.streams.drops import Drops
from streambank.streams.operators.base import Process, Stateless, TaskContext
from streambank.streams.queue import RecordFailedError
from streambank.streams.stores import StateStore
from streambank.streams.task import StreamTask

Rows = Sequence[tuple[str, int]]
"""Name and timestamp of each record of a partition."""


@dataclass(frozen=True, slots=True)
class Note(Stateless):
    """Notes each record's key with the stream time at that moment."""

    seen: list[tuple[str, int]]
    kind: str = "note"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None, /) -> None:
            self.seen.append((key, context.stream_time))
            forward(key, value, timestamp, headers)

        return process


def batch(topic: str, rows: Rows, first_offset: int = 0) -> RecordBatch:
    return RecordBatch(
        TopicPartition(topic, 0),
        range(first_offset, first_offset + len(rows)),
        [timestamp for _, timestamp in rows],
        [ANY.serialize(name) for name, _ in rows],
        [b"1"] * len(rows),
        None,
        first_offset + len(rows),
    )


def task_of(topology: Topology) -> StreamTask:
    config = StreamsConfig(application_id="app")
    collector = RecordCollector({topic.name: topic.partitions for topic in topology.topic_configs("app")})
    (sub,) = topology.sub_topologies
    return StreamTask(topology, sub, 0, config=config, collector=collector, drops=Drops())


def noting(seen: list[tuple[str, int]], *, with_table: bool = False) -> Topology:
    """IN and IN2 merged and noted; with a table, each of its rows is noted too."""
    builder = StreamBuilder()
    merged = builder.stream(IN).merge(builder.stream(IN2))
    builder.add_node("note", Note(seen), (merged._node,))
    if with_table:
        table = builder.table(TABLE)
        merged.left_join(table, lambda value, _row: value, value=ANY).to(OUT)
        builder.add_node("note-table", Note(seen), (table.to_stream()._node,))
    return builder.build()


def nothing_behind(_at: TopicPartition) -> bool:
    return False


@pytest.mark.parametrize(
    ("first", "second", "table", "order"),
    [
        ([("a", 1), ("b", 3)], [("c", 2), ("d", 4)], [], "acbd"),
        ([("a", 5), ("b", 1)], [("c", 3)], [], "cab"),
        ([("a", 5), ("b", 1)], [("c", 5), ("d", 2)], [], "abcd"),
        ([("a", 2)], [("c", 1)], [("t", 2)], "cta"),
        ([("a", 1), ("b", 1)], [("c", 1)], [("t", 1), ("u", 1)], "tuabc"),
        ([("a", 1)], [("c", 0)], [("t", 9), ("u", 0)], "catu"),
        ([("a", 0), ("b", 9), ("e", 2)], [("c", 4), ("d", 9)], [("t", 9)], "actbed"),
    ],
    ids=[
        "lowest time first",
        "within a partition by offset",
        "a late record behind a tie",
        "a tie is the table's",
        "all ties: tables, then in the order of the topology",
        "a late row waits behind the one before it",
        "a late record does not overtake",
    ],
)
def test_which_record_is_next(first: Rows, second: Rows, table: Rows, order: str) -> None:
    seen: list[tuple[str, int]] = []
    task = task_of(noting(seen, with_table=True))
    for topic, rows in ((IN, first), (IN2, second), (TABLE, table)):
        task.add(batch(topic.name, rows))
    assert task.process(100, nothing_behind) == len(order)
    assert "".join(name for name, _ in seen) == order


def test_stream_time_is_the_highest_seen_and_never_goes_back() -> None:
    seen: list[tuple[str, int]] = []
    task = task_of(noting(seen))
    assert task.stream_time == -1
    task.add(batch("in", [("a", 5), ("b", 1), ("c", 7), ("d", 6)]))
    task.process(100, nothing_behind)
    assert seen == [("a", 5), ("b", 5), ("c", 7), ("d", 7)]


@pytest.mark.parametrize(("limit", "done"), [(1, "a"), (2, "ab"), (3, "abc"), (9, "abcd")])
def test_the_limit(limit: int, done: str) -> None:
    seen: list[tuple[str, int]] = []
    task = task_of(noting(seen))
    task.add(batch("in", [("a", 1), ("c", 3)]))
    task.add(batch("in2", [("b", 2), ("d", 4)]))
    assert task.process(limit, nothing_behind) == len(done)
    assert "".join(name for name, _ in seen) == done


def test_it_waits_while_an_empty_partition_is_known_to_be_behind() -> None:
    #  in:  a@1  c@3          in2: (behind) b@2, then (not behind)
    seen: list[tuple[str, int]] = []
    task = task_of(noting(seen))
    task.add(batch("in", [("a", 1), ("c", 3)]))
    behind: Callable[[TopicPartition], bool] = lambda at: at.topic == "in2"  # noqa: E731
    assert task.process(100, behind) == 0
    task.add(batch("in2", [("b", 2)]))
    assert task.process(100, behind) == 2
    assert task.process(100, behind) == 0
    assert task.process(100, nothing_behind) == 1
    assert [name for name, _ in seen] == ["a", "b", "c"]


def test_a_task_with_one_partition_never_waits() -> None:
    builder = StreamBuilder()
    builder.stream(IN).to(OUT)
    task = task_of(builder.build())
    task.add(batch("in", [("a", 1)]))
    assert task.process(100, lambda _at: True) == 1


def counting() -> Topology:
    def refuse(key: str, value: object) -> None:
        if key == "bad":
            raise ValueError("bad record")

    builder = StreamBuilder()
    builder.stream(IN).merge(builder.stream(IN2)).peek(refuse).group_by_key().count(name="n").to_stream().to(OUT)
    return builder.build()


def counts(task: StreamTask) -> dict[Any, Any]:
    return {key: value for key, (value, _) in task.stores["n"].items()}


def reload_nothing(_store: StateStore) -> None:
    """For a rollback to a state without entries, or with stores that recorded."""


def test_a_rollback_brings_back_queues_stores_and_stream_time() -> None:
    task, reloads = task_of(counting()), []

    def reload(store: StateStore) -> None:
        reloads.append(store.spec.name)
        store.clear()
        store.load("a", 1, 1)
        store.load("b", 1, 2)

    task.add(batch("in", [("a", 1), ("b", 2), ("a", 8)]))
    task.process(2, nothing_behind)
    task.committed()
    assert (counts(task), task.stream_time, task.buffered(TopicPartition("in", 0))) == ({"a": 1, "b": 1}, 2, 1)

    task.add(batch("in2", [("c", 3), ("bad", 9)]))
    for _ in range(2):
        with pytest.raises(RecordFailedError, match=r"in2-0 offset 1: .*bad record"):
            task.process(100, nothing_behind)
        assert counts(task) == {"a": 2, "b": 1, "c": 1}
        assert task.stream_time == 9
        task.rollback(reload)
        assert (counts(task), task.stream_time) == ({"a": 1, "b": 1}, 2)
        assert (task.buffered(TopicPartition("in", 0)), task.buffered(TopicPartition("in2", 0))) == (1, 2)
        assert task.offsets() == {}
    assert reloads == ["n"], "the second time, the store had recorded what it replaced"


def test_what_is_committed_is_the_next_offset_and_the_partitions_time() -> None:
    task = task_of(counting())
    task.add(batch("in", [("a", 7), ("b", 2), ("c", 3)], first_offset=40))
    assert task.offsets() == {}
    task.process(2, nothing_behind)
    assert task.offsets() == {TopicPartition("in", 0): OffsetAndMetadata(42, '{"t":7}')}
    task.committed()
    assert task.offsets() == {}
    for _ in range(2):
        task.process(1, nothing_behind)
        assert task.offsets() == {TopicPartition("in", 0): OffsetAndMetadata(43, '{"t":7}')}
        task.rollback(reload_nothing)


def test_offsets_that_compaction_left_out_are_committed_past() -> None:
    task = task_of(counting())
    gaps = RecordBatch(TopicPartition("in", 0), [3, 7], [1, 2], [b'"a"', b'"b"'], [b"1", b"1"], None, 12)
    task.add(gaps)
    task.process(1, nothing_behind)
    assert task.offsets()[TopicPartition("in", 0)].offset == 7
    task.rollback(reload_nothing)
    task.process(2, nothing_behind)
    assert task.offsets()[TopicPartition("in", 0)].offset == 12


def test_stream_time_is_taken_over_from_what_was_committed() -> None:
    task = task_of(counting())
    task.resume_at(
        {
            TopicPartition("in", 0): OffsetAndMetadata(3, '{"t":50}'),
            TopicPartition("in2", 0): OffsetAndMetadata(1, '{"t":9}'),
        }
    )
    assert task.stream_time == 50
    task.add(batch("in2", [("a", 20)], first_offset=1))
    task.process(1, nothing_behind)
    assert task.stream_time == 50
    assert task.offsets() == {TopicPartition("in2", 0): OffsetAndMetadata(2, '{"t":20}')}


def test_a_rollback_right_after_a_restart_keeps_the_committed_stream_time() -> None:
    task = task_of(counting())
    task.resume_at({TopicPartition("in", 0): OffsetAndMetadata(3, '{"t":50}')})
    task.add(batch("in", [("bad", 60)], first_offset=3))
    with pytest.raises(RecordFailedError):
        task.process(1, nothing_behind)
    task.rollback(reload_nothing)
    assert task.stream_time == 50
    assert task.offsets() == {}


@pytest.mark.parametrize("metadata", ["", "set by hand", "t="])
def test_an_offset_that_somebody_else_set_has_no_time(metadata: str) -> None:
    task = task_of(counting())
    task.resume_at({TopicPartition("in", 0): OffsetAndMetadata(3, metadata)})
    assert task.stream_time == -1
