from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, IN, OUT, TABLE, Row, outputs

from streambank.streams import (
    BufferConfig,
    KTable,
    ProcessingError,
    SessionWindows,
    StreamBuilder,
    StreamsError,
    Suppressed,
    TimeWindows,
    Topology,
    TopologyError,
)
from streambank.streams.testing import TopologyTestDriver


def held(suppressed: Suppressed) -> Topology:
    builder = StreamBuilder()
    builder.table(TABLE).suppress(suppressed, name="held").to_stream().to(OUT)
    return builder.build()


def windowed(make: Callable[[Any], KTable[Any, Any]], buffer: BufferConfig | None = None) -> Topology:
    builder = StreamBuilder()
    counts = make(builder.stream(IN).group_by_key())
    final = counts.suppress(Suppressed.until_window_closes(buffer), name="final")
    final.to_stream().select_key(lambda window, _count: list(window), key=ANY).map_values(int, value=ANY).to(OUT)
    return builder.build()


def tumbling(grouped: Any) -> KTable[Any, Any]:
    counts: KTable[Any, Any] = grouped.windowed_by(TimeWindows.tumbling(10, grace_ms=5)).count(name="n")
    return counts


def sessions(grouped: Any) -> KTable[Any, Any]:
    counts: KTable[Any, Any] = grouped.windowed_by(SessionWindows(10, grace_ms=5)).count(name="n")
    return counts


#   time     0   2   4   5
#   key      a   a   b   b
def test_a_key_waits_from_its_first_update_on_and_sends_its_last_one() -> None:
    with TopologyTestDriver(held(Suppressed.until_time_limit(5))) as driver:
        for key, at in (("a", 0), ("a", 2), ("b", 4)):
            driver.pipe(TABLE, key, at, at)
        assert driver.read(OUT) == []
        driver.crash()
        driver.pipe(TABLE, "b", 5, 5)
        assert driver.read(OUT) == [("a", 2, 2)]
        driver.crash()
        driver.pipe(TABLE, "c", 9, 9)
        assert driver.read(OUT) == [("b", 5, 5)]


def test_a_delete_is_sent_too_after_its_time() -> None:
    assert outputs(held(Suppressed.until_time_limit(0)), [(TABLE, "a", 1, 1), (TABLE, "a", None, 2)]) == [
        ("a", 1, 1),
        ("a", None, 2),
    ]


@pytest.mark.parametrize("buffer", [BufferConfig.max_records(2), BufferConfig.max_bytes(20)])
def test_a_full_buffer_sends_the_oldest_early(buffer: BufferConfig) -> None:
    topology = held(Suppressed.until_time_limit(1_000, buffer.emit_early_when_full()))
    rows = outputs(topology, [(TABLE, key, 0, at) for at, key in enumerate("abcd")])
    assert rows == [("a", 0, 0), ("b", 0, 1)]


def test_a_full_buffer_of_final_results_stops_the_application_and_says_what_to_do() -> None:
    with TopologyTestDriver(windowed(tumbling, BufferConfig.max_records(1))) as driver:
        driver.pipe(IN, "a", 1, 1)
        with pytest.raises(ProcessingError, match=r"suppress 'final' would hold 2 updates .*give it a larger one"):
            driver.pipe(IN, "b", 1, 2)
        assert driver.read(OUT) == []


def test_a_window_is_sent_once_when_its_grace_is_over() -> None:
    inputs = [(IN, "a", 1, at) for at in (1, 9, 11, 3, 15, 4)]
    assert outputs(windowed(tumbling), inputs) == [(["a", 0, 10], 3, 9)]


def test_a_session_that_can_still_grow_is_not_sent() -> None:
    topology = windowed(sessions)
    inputs = [(IN, "a", 1, 0), (IN, "b", 1, 15)]
    assert outputs(topology, inputs) == [], "at exactly end + gap + grace a record would still be taken"
    assert outputs(topology, [*inputs, (IN, "b", 1, 16)]) == [(["a", 0, 0], 1, 0)]


def test_who_joins_a_suppressed_table_sees_what_was_sent_last() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE).suppress(Suppressed.until_time_limit(5), name="held")
    builder.stream(IN).left_join(table, lambda value, row: [value, row], value=ANY).to(OUT)
    inputs = [(TABLE, "k", "one", 0), (IN, "k", 1, 1), (TABLE, "x", 0, 5), (IN, "k", 2, 6)]
    assert [row[1] for row in outputs(builder.build(), inputs)] == [[1, None], [2, "one"]]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(TopologyError, match="only windows close"):
        held(Suppressed.until_window_closes())
    with pytest.raises(StreamsError, match="cannot be sent early"):
        Suppressed.until_window_closes(BufferConfig.max_records(1).emit_early_when_full())
    with pytest.raises(StreamsError, match="holds nothing"):
        BufferConfig.max_records(0)
    with pytest.raises(StreamsError, match="wait_ms"):
        Suppressed.until_time_limit(-1)


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), ACCIDENTS), max_size=20)


@unhurried
@given(ROWS)
def test_suppressed_windows_are_those_that_emit_final_sends(rows: list[tuple[str, int, Accident]]) -> None:
    inputs: list[Any] = [((IN, key, 1, at), accident) for key, at, accident in rows]
    inputs.append(((IN, "end", 1, 1_000), "none"))

    def final() -> Topology:
        builder = StreamBuilder()
        windows = builder.stream(IN).group_by_key().windowed_by(TimeWindows.tumbling(10, grace_ms=5))
        counts = windows.count(name="n", emit="final").to_stream()
        counts.select_key(lambda window, _count: list(window), key=ANY).map_values(int, value=ANY).to(OUT)
        return builder.build()

    suppressed: list[Row] = run(windowed(tumbling), inputs)[0]
    assert sorted(map(repr, suppressed)) == sorted(map(repr, run(final(), inputs)[0]))
