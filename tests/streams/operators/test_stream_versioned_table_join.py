from bisect import bisect_right
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.streams.operators.test_latest_updates import INPUT
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, drops, outputs, topic

from streambank.streams import STRING, JsonSerde, StreamBuilder, Topic, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver

RETENTION_MS = 300_000


def text(value: str, row: str | None) -> str:
    return f"{value}-{'null' if row is None else row}"


def pair(value: object, row: object) -> list[object]:
    return [value, row]


def joined(how: str, grace_ms: int | None = None, joiner: Any = text, retention_ms: int = RETENTION_MS) -> Topology:
    builder = StreamBuilder()
    stream, table = builder.stream(IN), builder.table(TABLE, history_retention_ms=retention_ms)
    join: Any = {"inner": stream.join, "left": stream.left_join}[how]
    join(table, joiner, name="joined", grace_ms=grace_ms).to(OUT)
    return builder.build()


# What Kafka Streams' StreamTableJoinIntegrationTest and StreamTableJoinWithGraceIntegrationTest expect (Apache-2.0).
@pytest.mark.parametrize("crash", [False, True], ids=["", "crash after each"])
@pytest.mark.parametrize(
    ("how", "grace_ms", "expected"),
    [
        ("inner", None, {4: ("B-a", 5), 14: ("D-b", 6), 18: ("E-e", 15), 21: ("F-a", 4)}),
        (
            "left",
            None,
            {
                2: ("A-null", 3),
                4: ("B-a", 5),
                8: ("C-null", 9),
                14: ("D-b", 6),
                18: ("E-e", 15),
                21: ("F-a", 4),
            },
        ),
        ("inner", 2, {8: ("B-a", 5), 14: ("D-b", 6), 21: ("F-a", 4)}),
        (
            "left",
            2,
            {4: ("A-null", 3), 8: ("B-a", 5), 14: ("D-b", 6), 18: ("C-null", 9), 21: ("F-a", 4)},
        ),
    ],
)
def test_as_kafka_streams(how: str, grace_ms: int | None, expected: dict[int, tuple[str, int]], crash: bool) -> None:
    with TopologyTestDriver(joined(how, grace_ms)) as driver:
        for index, (side, value, timestamp) in enumerate(INPUT):
            driver.pipe(IN if side == "left" else TABLE, 0, value, timestamp)
            sent = [(0, *expected[index])] if index in expected else []
            assert driver.read(OUT) == sent, f"input {index}"
            if crash:
                driver.crash()


def test_records_leave_the_buffer_in_the_order_of_their_times_with_their_headers() -> None:
    with TopologyTestDriver(joined("left", 5)) as driver:
        driver.pipe(IN, "b", "late", 12, headers=(("n", b"1"),))
        driver.pipe(IN, "a", "early", 10, headers=(("n", b"2"),))
        driver.pipe(IN, "a", "now", 12)
        driver.pipe(TABLE, "a", "row", 9)
        driver.pipe(IN, "c", "x", 16)
        driver.crash()
        driver.pipe(IN, "c", "y", 17)
        records = driver.read_records(OUT.name)
        assert [(record.key, record.value, record.timestamp, record.headers) for record in records] == [
            (b'"a"', b'"early-row"', 10, (("n", b"2"),)),
            (b'"a"', b'"now-row"', 12, ()),
            (b'"b"', b'"late-null"', 12, (("n", b"1"),)),
        ]


def test_a_record_older_than_the_grace_is_joined_at_once_and_that_survives_a_crash() -> None:
    with TopologyTestDriver(joined("left", 5)) as driver:
        driver.pipe(IN, "a", "x", 20)
        driver.crash()
        driver.pipe(IN, "a", "old", 14)
        assert driver.read(OUT) == [("a", "old-null", 14)]
        driver.pipe(IN, "a", "due", 15)
        assert driver.read(OUT) == [("a", "due-null", 15)]


@pytest.mark.parametrize(
    ("how", "grace_ms", "key", "value", "sent", "dropped"),
    [
        ("inner", None, None, "v", [], {"null key": 1}),
        ("inner", None, "k", None, [], {"null value": 1}),
        ("left", None, None, "v", [(None, ["v", None], 5)], {}),
        ("left", None, "other", "v", [("other", ["v", None], 5)], {}),
        ("inner", 3, None, "v", [], {"null key": 1}),
        ("left", 3, "k", None, [], {"null value": 1}),
        ("left", 3, None, "v", [(None, ["v", None], 5)], {}),
    ],
)
def test_nulls(
    how: str, grace_ms: int | None, key: str | None, value: str | None, sent: list[Row], dropped: dict[str, int]
) -> None:
    inputs: list[Input] = [(TABLE, "k", "A", 1), (IN, key, value, 5)]
    assert outputs(joined(how, grace_ms, pair), inputs) == sent
    assert drops(joined(how, grace_ms, pair), inputs) == dropped


def test_null_values_do_not_let_the_time_of_the_buffer_go_on() -> None:
    inputs: list[Input] = [(IN, "k", "v", 1), (IN, "k", None, 100), (TABLE, "k", "A", 1), (IN, "k", "w", 4)]
    assert outputs(joined("inner", 3), inputs) == [("k", "v-A", 1)]


def test_the_row_is_seen_through_filters_and_mapped_values_as_of_then() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE, history_retention_ms=100)
    mapped = table.filter(lambda _key, value: value != "B").map_values(lambda value: value * 2, value=ANY)
    builder.stream(IN).left_join(mapped, text).to(OUT)
    rows: list[Input] = [(TABLE, "k", "A", 1), (TABLE, "k", "B", 3), (TABLE, "k", "C", 5)]
    inputs: list[Input] = [(IN, "k", "v", time) for time in (4, 2, 0, 6)]
    assert [value for _, value, _ in outputs(builder.build(), [*rows, *inputs])] == ["v-null", "v-AA", "v-null", "v-CC"]


def test_a_rekeyed_stream_waits_behind_its_repartition_topic() -> None:
    entries, rows = topic("entries", partitions=3), topic("rows", partitions=2)
    builder = StreamBuilder()
    rekeyed = builder.stream(entries).select_key(lambda _key, value: value, key=ANY)
    rekeyed.join(builder.table(rows, history_retention_ms=10), pair, name="by-value", grace_ms=10).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(entries, "x", "a", 1)
        driver.pipe(rows, "a", "A", 0)
        driver.pipe(entries, "x", "a", 11)
        assert driver.read(OUT) == [("a", ["a", "A"], 1)]
        assert {"test-by-value-repartition", "test-by-value-buffer-changelog"} < driver.log.topics().keys()


@pytest.mark.parametrize(
    ("retention_ms", "grace_ms", "says"),
    [
        (None, 5, "join 'joined': grace_ms needs a versioned table: give builder.table.. a history_retention_ms of"),
        (
            4,
            5,
            r"'joined': history retention must be at least the grace period, but 'table\(table\)' keeps 4 ms.*raise",
        ),
        (4, -1, "join 'joined': grace_ms must not be negative, but is -1"),
    ],
)
def test_grace_needs_as_much_history(retention_ms: int | None, grace_ms: int, says: str) -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE, history_retention_ms=retention_ms)
    with pytest.raises(TopologyError, match=says):
        builder.stream(IN).join(table.filter(lambda _key, _value: True), text, name="joined", grace_ms=grace_ms)


def test_a_buffer_needs_the_serdes_of_its_stream() -> None:
    builder = StreamBuilder()
    numbers = Topic(name="numbers", key=STRING, value=JsonSerde(int), partitions=1)
    unknown = builder.stream(numbers).map_values(lambda value: value + 1)
    table = builder.table(TABLE, history_retention_ms=10)
    with pytest.raises(TopologyError, match="map_values: its type is not known"):
        unknown.join(table, pair, grace_ms=5)


Step: TypeAlias = tuple[str, str, Any, int]


class Model:
    """Every row by time in a list, and every record that waits in another."""

    def __init__(self, left: bool, retention_ms: int, grace_ms: int | None) -> None:
        self.left, self.retention_ms, self.grace_ms = left, retention_ms, grace_ms
        self.rows: dict[str, dict[int, Any]] = {}
        self.row_time = self.time = -1
        self.waiting: list[tuple[int, str, str]] = []
        self.sent: list[tuple[str, Any, int]] = []

    def table(self, key: str, row: Any, time: int) -> None:
        if time >= self.row_time - self.retention_ms:
            self.row_time = max(self.row_time, time)
            self.rows.setdefault(key, {})[time] = row

    def stream(self, key: str, value: str, time: int) -> None:
        if self.grace_ms is None or time < self.time - self.grace_ms:
            self.join(key, value, time)
            return
        self.time = max(self.time, time)
        self.waiting = sorted([*self.waiting, (time, key, value)], key=lambda each: each[:2])
        while self.waiting and self.waiting[0][0] <= self.time - self.grace_ms:
            due, key, value = self.waiting.pop(0)
            self.join(key, value, due)

    def join(self, key: str, value: str, time: int) -> None:
        rows = self.rows.get(key, {})
        times = sorted(rows)
        at = bisect_right(times, time) - 1
        expired = time < self.row_time - self.retention_ms and at != len(times) - 1
        row = None if at < 0 or expired else rows[times[at]]
        if row is not None or self.left:
            self.sent.append((key, [value, row], time))


writes = st.tuples(
    st.sampled_from(["stream", "table"]), st.sampled_from("kl"), st.one_of(st.none(), st.text("ab")), st.integers(0, 30)
)
acts = st.tuples(st.sampled_from(["crash", "crash before commit"]), st.just(""), st.none(), st.just(0))


@given(
    left=st.booleans(),
    retention_ms=st.integers(8, 20),
    grace_ms=st.one_of(st.none(), st.integers(0, 8)),
    steps=st.lists(st.one_of(writes, writes, writes, acts), max_size=30),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_as_of_lookups_are_those_of_all_rows_whatever_the_disorder_and_the_crashes(
    left: bool, retention_ms: int, grace_ms: int | None, steps: list[Step]
) -> None:
    model = Model(left, retention_ms, grace_ms)
    with TopologyTestDriver(joined("left" if left else "inner", grace_ms, pair, retention_ms)) as driver:
        crash_next = False
        for what, key, value, time in steps:
            if what == "crash":
                driver.crash()
            elif what == "crash before commit":
                crash_next = True
            elif what == "table" or value is not None:
                driver.write(TABLE if what == "table" else IN, key, value, time)
                getattr(model, what)(key, value, time)
                if crash_next:
                    driver.crash_before_commit()
                    crash_next = False
                driver.run()
        assert driver.read(OUT) == model.sent
