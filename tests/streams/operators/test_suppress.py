from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data import require
from tests.streams.conformance.cases import CASES_FILE, load_cases
from tests.streams.conformance.shapes import to_outputs
from tests.streams.support import ANY, OUT, OUT2, TABLE, Row, topic

from streambank.log import TopicPartition
from streambank.streams import (
    BufferConfig,
    BufferFullError,
    ErrorPolicy,
    KTable,
    StreamBuilder,
    StreamsError,
    Suppressed,
    Topic,
    Topology,
)
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import TimeWindowedSerde, Windowed

UNBOUNDED = BufferConfig.unbounded()
FOR_EVER = 2**62

WINDOWS: Topic[Any, Any] = Topic(name="windows", key=TimeWindowedSerde(ANY, 2), value=ANY, partitions=1)
"""Updates of windows of 2 ms, as a windowed aggregate sends them."""

FINAL: Topic[Any, Any] = Topic(name="final", key=TimeWindowedSerde(ANY, 2), value=ANY, partitions=1)


def suppressed(how: Suppressed) -> Topology:
    """TABLE, suppressed, to OUT."""
    builder = StreamBuilder()
    builder.table(TABLE).suppress(how, name="held").to_stream().to(OUT)
    return builder.build()


def time_limit(wait_ms: int, buffer: BufferConfig = UNBOUNDED) -> Topology:
    return suppressed(Suppressed.until_time_limit(wait_ms, buffer))


def windowed_table(builder: StreamBuilder, grace_ms: int) -> KTable[Any, Any]:
    """WINDOWS as a windowed aggregate's table."""
    return KTable(builder, builder.table(WINDOWS)._node, WINDOWS.key, ANY, 1, grace_ms=grace_ms)


def final_windows(grace_ms: int, buffer: BufferConfig = UNBOUNDED) -> Topology:
    """WINDOWS, suppressed until they close, to FINAL."""
    builder = StreamBuilder()
    table = windowed_table(builder, grace_ms).filter(lambda _key, _value: True)
    table.suppress(Suppressed.until_window_closes(buffer), name="held").to_stream().to(FINAL)
    return builder.build()


def piped(
    topology: Topology, rows: Iterable[Row], *, source: Topic[Any, Any] = TABLE, to: Topic[Any, Any] = OUT
) -> list[Row]:
    """What comes out, the same without and with crashes."""
    with TopologyTestDriver(topology) as driver, TopologyTestDriver(topology) as crashing:
        for row in rows:
            driver.pipe(source, *row)
            crashing.write(source, *row)
            crashing.crash_before_commit()
        sent = [tuple(record) for record in driver.read(to)]
        assert [tuple(record) for record in crashing.read(to)] == sent
        assert crashing.store("held") == driver.store("held")
        return sent


@pytest.mark.parametrize(
    ("wait_ms", "rows", "sent"),
    [
        (0, [("a", 1, 5), ("a", 2, 3), ("b", 1, 6)], [("a", 1, 5), ("a", 2, 3), ("b", 1, 6)]),
        (2, [("a", 1, 0), ("a", 2, 1), ("b", 1, 2)], [("a", 2, 1)]),
        (2, [("a", 1, 0), ("a", 2, 1), ("a", 3, 2), ("a", 4, 3)], [("a", 3, 2)]),
        (9, [("a", 1, 5), ("a", 2, 1), ("x", 0, 14)], [("a", 2, 1)]),
        (9, [("b", 1, 0), ("a", 1, 0), ("tick", 0, 9)], [("a", 1, 0), ("b", 1, 0)]),
        (9, [("b", 1, 0), ("a", 1, 1), ("tick", 0, 99)], [("b", 1, 0), ("a", 1, 1)]),
        (2, [("a", 1, 0), ("a", None, 1), ("b", 1, 2)], [("a", None, 1)]),
        (2, [("a", 1, 9), ("b", 1, 7), ("b", 2, 8)], [("b", 1, 7)]),
        (2, [("a", 1, 0), ("b", 1, 1), (None, 1, 9)], []),
    ],
    ids=[
        "no wait",
        "the last of several",
        "the timer is not renewed, and starts again",
        "the timestamp is that of the latest update",
        "equal times in the order of the keys",
        "in the order of the first updates",
        "a tombstone is emitted, though its key never was",
        "what is already due goes at once",
        "no update, no time",
    ],
)
def test_until_a_time_limit(wait_ms: int, rows: list[Row], sent: list[Row]) -> None:
    assert piped(time_limit(wait_ms), rows) == sent


@pytest.mark.parametrize(
    ("grace_ms", "rows", "sent"),
    [
        (1, [(("a", 0), 1, 0), (("a", 0), 2, 1), (("a", 2), 1, 2)], []),
        (1, [(("a", 0), 1, 0), (("a", 0), 2, 1), (("a", 2), 1, 3)], [(("a", 0), 2, 1)]),
        (0, [(("b", 0), 1, 1), (("a", 0), 1, 0), (("a", 9), 1, 9)], [(("a", 0), 1, 0), (("b", 0), 1, 1)]),
        (0, [(("a", 2), 1, 3), (("a", 0), 1, 1), (("a", 9), 1, 9)], [(("a", 0), 1, 1), (("a", 2), 1, 3)]),
        (0, [(("a", 0), 1, 0), (("a", 0), None, 1), (("a", 9), 1, 9)], []),
    ],
    ids=["open", "closed when its end is the grace behind", "by key", "by end", "deletes are left out"],
)
def test_until_windows_close(grace_ms: int, rows: list[Row], sent: list[Row]) -> None:
    def windowed(row: Row) -> Row:
        key, start = row[0]
        return (Windowed(key, start, start + 2), *row[1:])

    topology = final_windows(grace_ms)
    assert piped(topology, map(windowed, rows), source=WINDOWS, to=FINAL) == [windowed(row) for row in sent]


@pytest.mark.parametrize("name", ["suppress_time_limit_2ms", "suppress_final_tumbling"])
def test_the_rows_of_kafka_streams_own_cases(name: str) -> None:
    """What the aggregates of these cases send, as the updates of a table."""
    require(CASES_FILE)
    (case,) = (case for case in load_cases() if case["name"] == name)
    shape = case["topology"]
    source = WINDOWS if "window" in shape else TABLE
    builder = StreamBuilder()
    table = windowed_table(builder, shape["window"]["grace_ms"]) if "window" in shape else builder.table(TABLE)
    to_outputs(shape, table)
    with TopologyTestDriver(builder.build()) as driver:
        rows = {
            output: [(row["key"], row["value"], row["timestamp"]) for row in case["expected"] if row["topic"] == output]
            for output in shape["outputs"]
        }
        for key, value, timestamp in rows["output-raw"]:
            driver.pipe(source, Windowed(**key) if "window" in shape else key, value, timestamp)
            driver.crash()
        assert {output: driver.read(topic(output)) for output in rows} == rows


COUNTS = [("v1", 1, 0), ("v1", 0, 1), ("v2", 1, 1), ("v1", 1, 2)]
"""From Kafka Streams' SuppressScenarioTest, shouldSuppressIntermediateEventsWithRecordLimit and ...WithBytesLimit."""


@pytest.mark.parametrize(
    "buffer",
    [BufferConfig.max_records(1), BufferConfig.max_bytes(200), BufferConfig.max_records(9).with_max_bytes(200)],
)
def test_a_full_buffer_emits_the_oldest(buffer: BufferConfig) -> None:
    topology = time_limit(FOR_EVER, buffer)
    assert piped(topology, COUNTS) == [("v1", 0, 1), ("v2", 1, 1)]
    assert piped(topology, [*COUNTS, ("x", 1, 3)]) == [("v1", 0, 1), ("v2", 1, 1), ("v1", 1, 2)]


def test_what_is_due_makes_room_first() -> None:
    topology = time_limit(2, BufferConfig.max_records(1).shut_down_when_full())
    assert piped(topology, [("a", 1, 0), ("b", 1, 2), ("b", 2, 3), ("c", 1, 4)]) == [("a", 1, 0), ("b", 2, 3)]


@pytest.mark.parametrize("on_error", ["fail", "dead-letter"])
@pytest.mark.parametrize(
    ("buffer", "says"),
    [
        (BufferConfig.max_records(2), "3 records, of which 2 are allowed, and"),
        (BufferConfig.max_bytes(300), r"3\d\d bytes, of which 300 are allowed, and"),
    ],
)
def test_a_full_buffer_that_may_not_emit_stops_the_program(
    on_error: ErrorPolicy, buffer: BufferConfig, says: str
) -> None:
    topology = time_limit(FOR_EVER, buffer.shut_down_when_full())
    with TopologyTestDriver(topology, on_error=on_error) as driver:
        driver.pipe(TABLE, "a", 1, 0)
        driver.write(TABLE, "b", 1, 1)
        driver.write(TABLE, "c", 1, 2)
        with pytest.raises(StreamsError, match=rf"suppress 'held' holds {says}.*larger buffer"):
            driver.run()
        assert driver.log.committed("test")[TopicPartition("table", 0)].offset == 1
        assert driver.store("held") == {"a": 1}
        with pytest.raises(BufferFullError):
            driver.crash()


def test_headers_are_those_of_the_latest_update() -> None:
    with TopologyTestDriver(time_limit(2)) as driver:
        driver.pipe(TABLE, "a", 1, 0, headers=(("trace", b"1"),))
        driver.pipe(TABLE, "a", 2, 1, headers=(("trace", b"2"),))
        driver.crash()
        driver.pipe(TABLE, "tick", 1, 5, headers=(("trace", b"3"),))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"2"),)]


def test_stream_time_survives_a_crash_and_goes_back_when_a_record_fails() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE).suppress(Suppressed.until_time_limit(5), name="held")
    table.filter(lambda _key, value: 1 // value > -1).to_stream().to(OUT)
    with TopologyTestDriver(builder.build(), on_error="dead-letter") as driver:
        driver.pipe(TABLE, "a", 1, 3)
        driver.pipe(TABLE, "bad", 0, 4)
        # Stream time 9 lets "a" go first, then "bad" fails, and with it the record at 9 that made it go.
        driver.pipe(TABLE, "late", 1, 9)
        assert driver.read(OUT) == []
        assert driver.store("held") == {"a": 1, "bad": 0}
        driver.pipe(TABLE, "bad", 1, 5)
        driver.pipe(TABLE, "b", 1, 7)
        assert driver.read(OUT) == []
        driver.pipe(TABLE, "b", 1, 20)
        driver.crash()
        driver.pipe(TABLE, "c", 1, 14)
        assert driver.read(OUT) == [("a", 1, 3), ("bad", 1, 5), ("b", 1, 20), ("c", 1, 14)]


def test_a_reader_of_the_table_sees_what_was_last_emitted() -> None:
    """The numbers of Kafka Streams' SuppressScenarioTest.shouldWorkBeforeJoinRight, with a left join."""
    left = topic("left")
    builder = StreamBuilder()
    right = builder.table(TABLE).suppress(Suppressed.until_time_limit(10), name="held")
    joined = builder.table(left).left_join(right, lambda this, other: f"({this},{other})", value=ANY)
    joined.to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        for key, value, timestamp in [("B", "1", 0), ("A", "1", 0), ("tick", "tick", 10), ("A", "2", 11)]:
            driver.pipe(TABLE, key, value, timestamp)
        driver.crash()
        driver.pipe(left, "A", "a", 12)
        driver.pipe(left, "B", "b", 12)
        driver.pipe(left, "C", "c", 12)
        assert driver.read(OUT) == [("A", "(a,1)", 12), ("B", "(b,1)", 12), ("C", "(c,None)", 12)]
        driver.pipe(left, "A", "b", 13)
        driver.pipe(TABLE, "C", "3", 14)
        driver.pipe(left, "C", "d", 15)
        driver.pipe(TABLE, "tick", "tick1", 21)
        assert driver.read(OUT) == [("A", "(b,1)", 13), ("C", "(d,None)", 15), ("A", "(b,2)", 13)]


def test_the_old_value_is_what_was_last_emitted() -> None:
    """Known where asked for: a filter that never let a key pass then sends no tombstone for it."""
    builder = StreamBuilder()
    table = builder.table(TABLE).suppress(Suppressed.until_time_limit(5), name="held")
    small = table.filter(lambda _key, value: value < 10)
    small.left_join(builder.table(topic("none")), lambda value, _other: value, value=ANY).to_stream().to(OUT)
    rows = [("a", 1, 0), ("a", 20, 1), ("b", 1, 5), ("tick", 40, 11), ("b", 30, 12), ("b", 50, 13), ("tick", 40, 30)]
    # What of "a" would pass was never emitted; what of "b" does not pass replaces what did.
    assert piped(builder.build(), rows) == [("b", 1, 5), ("b", None, 13)]


def test_two_tables_of_one_parent_are_suppressed_apart() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE)
    table.suppress(Suppressed.until_time_limit(1), name="short").to_stream().to(OUT)
    table.suppress(Suppressed.until_time_limit(3), name="long").to_stream().to(OUT2)
    with TopologyTestDriver(builder.build()) as driver:
        for timestamp in range(4):
            driver.pipe(TABLE, timestamp, "x", timestamp)
        assert driver.read(OUT) == [(0, "x", 0), (1, "x", 1), (2, "x", 2)]
        assert driver.read(OUT2) == [(0, "x", 0)]


def test_its_own_changelog_has_only_what_is_held() -> None:
    with TopologyTestDriver(time_limit(2)) as driver:
        for timestamp in range(50):
            driver.pipe(TABLE, f"key-{timestamp}", "x", timestamp)
        last = {record.key: record.value for record in driver.read_records("test-held-changelog")}
        assert sum(value is not None for value in last.values()) == len(driver.store("held")) == 2


updates = st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 30))


@given(
    wait_ms=st.integers(0, 12),
    records_max=st.integers(1, 4),
    rows=st.lists(st.one_of(updates, st.sampled_from(["crash", "crash before commit"])), max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_it_does_what_the_model_says(wait_ms: int, records_max: int, rows: list[Any]) -> None:
    held: dict[str, tuple[int, Row]] = {}
    sent: list[Row] = []
    stream_time = -1
    for row in rows:
        if isinstance(row, str):
            continue
        key, _value, timestamp = row
        stream_time = max(stream_time, timestamp)
        held[key] = (held[key][0] if key in held else timestamp, row)
        for first in sorted(held, key=lambda each: (held[each][0], each)):
            if held[first][0] <= stream_time - wait_ms or len(held) > records_max:
                sent.append(held.pop(first)[1])
    with TopologyTestDriver(time_limit(wait_ms, BufferConfig.max_records(records_max))) as driver:
        for index, row in enumerate(rows):
            if row == "crash":
                driver.crash()
            elif row != "crash before commit":
                driver.write(TABLE, *row)
                if rows[index + 1 : index + 2] == ["crash before commit"]:
                    driver.crash_before_commit()
                driver.run()
        assert driver.read(OUT) == sent
        assert driver.store("held") == {key: row[1] for key, (_, row) in held.items()}
