"""Random topologies on random records: crashes, rebalances and failed records leave no trace in what comes out.

An operator joins in with one line in :data:`STREAMS`, :data:`TABLES` or :data:`GROUPINGS`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streams.conformance.cases import operator_modules
from tests.streams.support import ANY, topic

from streambank.log import Record
from streambank.streams import (
    GlobalKTable,
    JoinWindows,
    KStream,
    KTable,
    SessionWindows,
    SlidingWindows,
    StreamBuilder,
    Suppressed,
    TimeWindows,
    Topic,
    Topology,
)
from streambank.streams.testing import TopologyTestDriver

Stream: TypeAlias = KStream[Any, Any]
Table: TypeAlias = KTable[Any, Any]
AnyTopic: TypeAlias = Topic[Any, Any]


def size(value: Any) -> int:
    """A number that follows from any value, so that the functions below can do with whatever comes."""
    return value if isinstance(value, int) else len(str(value))


def even(_key: Any, value: Any) -> bool:
    return size(value) % 2 == 0


class Parts:
    """What a topology is made of: its builder, its topics, and names that are taken once."""

    def __init__(self, partitions: int) -> None:
        self.builder = StreamBuilder()
        self.null_keys = partitions == 1
        """Where such a record goes among several partitions, and so what it meets there, is nobody's promise."""
        self.stream_topic, self.other_topic, self.table_topic, self.history_topic, self.out = (
            topic(name, partitions=partitions) for name in ("in", "in2", "table", "history", "out")
        )
        self.global_topic = topic("everywhere")
        self._names = 0

    @property
    def stream(self) -> Stream:
        return self.builder.stream(self.stream_topic)

    @property
    def other(self) -> Stream:
        return self.builder.stream(self.other_topic)

    @property
    def table(self) -> Table:
        return self.builder.table(self.table_topic)

    @property
    def history(self) -> Table:
        return self.builder.table(self.history_topic, history_retention_ms=30)

    @property
    def global_table(self) -> GlobalKTable[Any, Any]:
        return self.builder.global_table(self.global_topic)

    def name(self) -> str:
        self._names += 1
        return f"op-{self._names}"


def late_of(stream: Stream, parts: Parts) -> Stream:
    """The records too late for windows of ten."""
    windowed = stream.group_by_key().windowed_by(TimeWindows.tumbling(10))
    return windowed.late_records(windowed.count(name=parts.name()))


STREAMS: dict[str, Callable[[Stream, Parts], Stream]] = {
    "filter": lambda stream, _: stream.filter(even),
    "flat_map": lambda stream, _: stream.flat_map(lambda k, v: [(k, v), (size(v) % 3, 1)], key=ANY, value=ANY),
    "flat_map_values": lambda stream, _: stream.flat_map_values(lambda v: [v] * (size(v) % 3), value=ANY),
    "map": lambda stream, _: stream.map(lambda k, v: (size(v) % 3, [k, v]), key=ANY, value=ANY),
    "map_values": lambda stream, _: stream.map_values(lambda v: None if size(v) % 7 == 0 else size(v) + 1, value=ANY),
    "peek": lambda stream, _: stream.peek(lambda _k, _v: None),
    "select_key": lambda stream, parts: stream.select_key(
        lambda k, v: None if v == 3 and parts.null_keys else size(v) % 3, key=ANY
    ),
    "repartition": lambda stream, parts: stream.repartition(name=parts.name()),
    "merge": lambda stream, parts: stream.merge(parts.other),
    "split": lambda stream, _: (
        (branches := stream.split({"even": even}, default="odd"))["odd"]
        .map_values(lambda v: [v], value=ANY)
        .merge(branches["even"])
    ),
    "join": lambda stream, parts: stream.join(parts.table, lambda v, row: [v, row], name=parts.name(), value=ANY),
    "stream_join": lambda stream, parts: stream.outer_join(
        parts.other,
        lambda a, b: size(a) + size(b),
        windows=JoinWindows.of(10, grace_ms=5),
        name=parts.name(),
        value=ANY,
    ),
    "global_join": lambda stream, parts: stream.left_join(
        parts.global_table, lambda k, _v: k, lambda v, row: [v, row], value=ANY
    ),
    "versioned_join": lambda stream, parts: stream.left_join(
        parts.history, lambda v, row: [v, row], name=parts.name(), value=ANY, grace_ms=5
    ),
    "process": lambda stream, parts: stream.process(
        lambda record, context: context.forward(record.key, size(record.value)), name=parts.name(), key=ANY, value=ANY
    ),
    "late": lambda stream, parts: late_of(stream, parts),
    "left_join": lambda stream, parts: stream.left_join(
        parts.table, lambda v, row: size(v) + size(row), name=parts.name(), value=ANY
    ),
}

GROUPINGS: dict[str, Callable[[Stream, Parts], Table]] = {
    "count": lambda stream, parts: stream.group_by_key().count(name=parts.name()),
    "aggregate": lambda stream, parts: stream.group_by_key().aggregate(
        int, lambda _k, v, total: None if size(v) == 5 else total + size(v), name=parts.name(), value=ANY
    ),
    "group_by": lambda stream, parts: stream.group_by(lambda _k, v: size(v) % 2, key=ANY).count(name=parts.name()),
    "reduce": lambda stream, parts: stream.group_by_key().reduce(lambda a, b: size(a) + size(b), name=parts.name()),
    "to_table": lambda stream, parts: stream.to_table(name=parts.name()),
    "cogroup": lambda stream, parts: (
        stream.group_by_key()
        .cogroup(lambda _k, v, total: total + size(v))
        .cogroup(parts.other.group_by_key(), lambda _k, v, total: total - size(v))
        .aggregate(int, name=parts.name(), value=ANY)
    ),
    "tumbling": lambda stream, parts: (
        stream.group_by_key().windowed_by(TimeWindows.tumbling(20, grace_ms=5)).count(name=parts.name())
    ),
    "hopping": lambda stream, parts: (
        stream.group_by_key().windowed_by(TimeWindows.hopping(20, 10)).count(name=parts.name(), emit="final")
    ),
    "sliding": lambda stream, parts: (
        stream.group_by_key().windowed_by(SlidingWindows(10, grace_ms=10)).count(name=parts.name())
    ),
    "sessions": lambda stream, parts: (
        stream.group_by_key().windowed_by(SessionWindows(10, grace_ms=5)).count(name=parts.name())
    ),
}

WINDOWS = ("tumbling", "hopping", "sliding", "sessions")

TABLES: dict[str, Callable[[Table, Parts], Table]] = {
    "table_filter": lambda table, _: table.filter(even),
    "table_map_values": lambda table, _: table.map_values(lambda v: size(v) + 2, value=ANY),
    "table_join": lambda table, parts: table.join(parts.table, lambda a, b: [a, b], value=ANY),
    "table_left_join": lambda table, parts: table.left_join(parts.table, lambda a, b: [a, b], value=ANY),
    "table_outer_join": lambda table, parts: table.outer_join(parts.table, lambda a, b: [a, b], value=ANY),
    "foreign_key_join": lambda table, parts: table.foreign_key_left_join(
        parts.table, lambda v: "abc"[size(v) % 3], lambda a, b: [a, b], name=parts.name(), value=ANY
    ),
    "group": lambda table, parts: table.group_by(lambda _k, v: (size(v) % 2, size(v)), key=ANY, value=ANY).count(
        name=parts.name()
    ),
    "history_join": lambda table, parts: table.join(parts.history, lambda a, b: [a, b], value=ANY),
    "materialize": lambda table, parts: table.materialize(name=parts.name()),
    "suppress": lambda table, parts: table.suppress(Suppressed.until_time_limit(10), name=parts.name()),
}

Section: TypeAlias = tuple[Sequence[str], str | None, Sequence[str]]
"""Operators on a stream; how it becomes a table, if it does; operators on that, before it is a stream again."""

sections: st.SearchStrategy[Section] = st.tuples(
    st.lists(st.sampled_from(sorted(STREAMS)), max_size=3),
    st.one_of(st.none(), st.sampled_from(sorted(GROUPINGS))),
    st.lists(st.sampled_from(sorted(TABLES)), max_size=2),
)

Write: TypeAlias = tuple[str, Any, Any, int]
"""Topic, key, value and timestamp."""

writes: st.SearchStrategy[Write] = st.tuples(
    st.sampled_from(["in", "in", "in2", "table", "history"]),
    st.sampled_from(["a", "b", "c", None]),
    st.one_of(st.none(), st.integers(0, 20)),
    st.integers(0, 100),
)
disturbances = st.sampled_from(["run", "crash", "crash_before_commit", "restart", "rebalance"])

BAD = "bad"


def build(parts: Parts, sections_of: Sequence[Section]) -> Topology:
    stream = parts.stream
    for on_stream, grouping, on_table in sections_of:
        for name in on_stream:
            stream = STREAMS[name](stream, parts)
        if grouping is not None:
            table = GROUPINGS[grouping](stream, parts)
            for name in on_table:
                if grouping not in WINDOWS or "join" not in name:
                    table = TABLES[name](table, parts)
            stream = table.to_stream()
            if grouping in WINDOWS:
                # As JSON a window would be a list, which is no key.
                stream = stream.select_key(lambda window, _: str(window), key=ANY)
    stream.to(parts.out)
    # Behind all of it, so that a record fails after everything else has been done with it.
    parts.stream.peek(_fail_if_bad)
    return parts.builder.build()


def _fail_if_bad(_key: Any, value: Any) -> None:
    if value == BAD:
        raise ValueError(value)


@dataclass
class Outcome:
    """What a topology has done in the end."""

    written: list[Record]
    stores: dict[str, dict[Any, Any]]
    drops: Counter[str]
    dead_letters: int


def run(parts: Parts, topology: Topology, steps: Sequence[Write | str], *, undisturbed: bool) -> Outcome:
    topics = {each.name: each for each in topology.source_topics}
    with TopologyTestDriver(topology, on_error="dead-letter") as driver:
        waiting = False
        for step in (*steps, "run"):
            if not isinstance(step, str):
                name, key, value, timestamp = step
                if name in topics and (key is not None or parts.null_keys):
                    driver.write(topics[name], key, value, timestamp)
                    waiting = True
            elif undisturbed or (step == "crash_before_commit" and not waiting):
                driver.run()
                waiting = False
            else:
                if step == "rebalance":
                    # Two members that process at the same time would interleave what they write.
                    driver.run()
                getattr(driver, step)()
                driver.run()
                waiting = False
        drops = driver.drops
        letters = drops.pop("dead letter", 0)
        assert [letter.value for letter in driver.dead_letters] == [ANY.serialize(BAD)] * letters
        stores = {name: driver.store(name) for name in topology.stores}
        written = [record._replace(offset=0) for record in driver.read_records("out")]
        return Outcome(written, stores, drops, letters)


@given(
    sections_of=st.lists(sections, min_size=1, max_size=2),
    steps=st.lists(st.one_of(writes, writes, writes, disturbances), max_size=30),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_crashes_and_rebalances_change_nothing(sections_of: Sequence[Section], steps: Sequence[Write | str]) -> None:
    parts = Parts(partitions=2)
    topology = build(parts, sections_of)
    assert run(parts, topology, steps, undisturbed=False) == run(parts, topology, steps, undisturbed=True)


@given(
    sections_of=st.lists(sections, min_size=1, max_size=2),
    steps=st.lists(
        st.one_of(
            writes, writes, st.tuples(st.just("in"), st.just("a"), st.just(BAD), st.integers(0, 100)), disturbances
        ),
        max_size=30,
    ),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_records_that_fail_change_nothing(sections_of: Sequence[Section], steps: Sequence[Write | str]) -> None:
    parts = Parts(partitions=1)
    topology = build(parts, sections_of)
    # In the order of their timestamps: a failed record that held others up would have had its effect by that.
    steps = [step if isinstance(step, str) else (*step[:3], number) for number, step in enumerate(steps)]
    good = [step for step in steps if isinstance(step, str) or step[2] != BAD]
    found, expected = run(parts, topology, steps, undisturbed=False), run(parts, topology, good, undisturbed=True)
    assert found.dead_letters == len(steps) - len(good)
    assert (found.written, found.stores, found.drops) == (expected.written, expected.stores, expected.drops)


def test_every_operator_can_be_drawn() -> None:
    parts = Parts(partitions=1)
    chains: list[Section] = [(list(STREAMS), None, ()), *(((), name, list(TABLES)) for name in GROUPINGS)]
    topology = build(parts, chains)
    used = {type(node.operator).__module__.rpartition(".")[2] for sub in topology.sub_topologies for node in sub.nodes}
    assert used == operator_modules(), "add a line for the operator above"
