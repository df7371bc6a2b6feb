from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, IN, OUT, OUT2, outputs

from streambank.streams import STRING, StreamBuilder, TimeWindows, Topic, Topology, TopologyError, Windowed
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed import TimeWindowedSerde
from streambank.streams.windowed_kstream import Emit


def collecting(windows: TimeWindows, emit: Emit = "update") -> Topology:
    """Each window's values in the order in which they came."""
    builder = StreamBuilder()
    windowed = builder.stream(IN).group_by_key().windowed_by(windows)
    table = windowed.aggregate(list, lambda _key, value, values: [*values, value], name="windows", value=ANY, emit=emit)
    table.to_stream().select_key(lambda windowed, _value: list(windowed), key=ANY).to(OUT)
    windowed.late_records(table).to(OUT2)
    return builder.build()


def test_a_record_counts_in_every_window_that_holds_it() -> None:
    rows = outputs(collecting(TimeWindows.hopping(10, 5)), [(IN, "k", "a", 7)])
    assert rows == [(["k", 0, 10], ["a"], 7), (["k", 5, 15], ["a"], 7)]


def test_a_result_has_the_highest_time_of_its_records() -> None:
    rows = outputs(collecting(TimeWindows.tumbling(10)), [(IN, "k", "a", 7), (IN, "k", "b", 3)])
    assert rows[-1] == (["k", 0, 10], ["a", "b"], 7)


#   time      5   11    7   22    19    21
#   window  [0,10)    late       late [20,30)
def test_a_window_takes_late_records_until_its_grace_is_over() -> None:
    inputs = [(IN, "k", str(at), at) for at in (5, 11, 7, 12, 8, 22, 19, 21)]
    with TopologyTestDriver(collecting(TimeWindows.tumbling(10, grace_ms=2))) as driver:
        for each in inputs:
            driver.pipe(*each)
        last = {tuple(key): value for key, value, _ in driver.read(OUT)}
        assert last == {("k", 0, 10): ["5", "7"], ("k", 10, 20): ["11", "12"], ("k", 20, 30): ["22", "21"]}
        assert [(value, at) for _, value, at in driver.read(OUT2)] == [("8", 8), ("19", 19)]
        assert driver.runner.drops == {"late": 2}


def test_a_record_may_be_late_for_one_window_and_in_time_for_the_next() -> None:
    with TopologyTestDriver(collecting(TimeWindows.hopping(10, 5))) as driver:
        driver.pipe(IN, "k", "a", 12)
        driver.pipe(IN, "k", "b", 6)
        assert driver.read(OUT)[-1] == (["k", 5, 15], ["a", "b"], 12)
        assert driver.read(OUT2) == []
        assert driver.runner.drops == {"late": 1}


#   shouldLogAndMeterWhenSkippingExpiredWindow: [0, 10) is closed, [5, 15) is not.
def test_the_log_says_which_window_was_closed_and_why() -> None:
    with TopologyTestDriver(collecting(TimeWindows.hopping(10, 5, grace_ms=90))) as driver, capture_logs() as logs:
        driver.pipe(IN, "k", "100", 100)
        driver.pipe(IN, "k", "5", 5)
    dropped = [entry for entry in logs if entry["event"] == "record dropped"]
    assert [entry["at"] for entry in dropped] == ["in-0 offset 1"]
    bounds = {"window_start": 0, "window_end": 10, "stream_time": 100}
    assert bounds.items() <= dropped[0].items()


def test_final_results_come_once_in_the_order_of_windows_and_keys_and_not_again_after_a_crash() -> None:
    with TopologyTestDriver(collecting(TimeWindows.tumbling(10, grace_ms=5), "final")) as driver:
        for key, at in (("b", 1), ("a", 2), ("b", 12), ("b", 14)):
            driver.pipe(IN, key, at, at)
        assert driver.read(OUT) == []
        driver.crash()
        driver.pipe(IN, "c", 15, 15)
        assert driver.read(OUT) == [(["a", 0, 10], [2], 2), (["b", 0, 10], [1], 1)]
        driver.crash()
        driver.pipe(IN, "c", 16, 16)
        assert driver.read(OUT) == []
        driver.pipe(IN, "c", 40, 40)
        assert driver.read(OUT) == [(["b", 10, 20], [12, 14], 14), (["c", 10, 20], [15, 16], 16)]


def test_windows_are_deleted_when_their_retention_is_over_in_the_changelog_too() -> None:
    with TopologyTestDriver(collecting(TimeWindows.tumbling(10, grace_ms=5))) as driver:
        for at in range(0, 200, 5):
            driver.pipe(IN, "k", at, at)
            assert len(driver.store("windows")) <= 3
        kept = driver.store("windows")
        deleted = [record for record in driver.read_records("test-windows-changelog") if record.value is None]
        assert len(deleted) == 20 - len(kept)
        driver.crash()
        assert driver.store("windows") == kept


def test_null_keys_are_dropped_and_null_values_are_the_aggregators_business() -> None:
    with TopologyTestDriver(collecting(TimeWindows.tumbling(10))) as driver:
        driver.pipe(IN, None, "a", 1)
        driver.pipe(IN, "k", None, 2)
        assert driver.read(OUT) == [(["k", 0, 10], [None], 2)]
        assert driver.runner.drops == {"null key": 1}


def test_windowed_keys_go_to_topics_as_kafka_writes_them() -> None:
    windows = TimeWindows.tumbling(10)
    counts = Topic(name="counts", key=TimeWindowedSerde(STRING, 10), value=ANY, partitions=1)
    source = Topic(name="in", key=STRING, value=ANY, partitions=1)
    builder = StreamBuilder()
    builder.stream(source).group_by_key().windowed_by(windows).count(name="n").to_stream().to(counts)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(source, "k", 1, 12)
        assert driver.read(counts) == [(Windowed("k", 10, 20), 1, 12)]


def test_reduce_keeps_the_first_and_combines_the_rest() -> None:
    builder = StreamBuilder()
    windowed = builder.stream(IN).group_by_key().windowed_by(TimeWindows.tumbling(10))
    reduced = windowed.reduce(lambda one, other: one + other, name="sum")
    reduced.to_stream().select_key(lambda windowed, _value: windowed.start, key=ANY).to(OUT)
    rows = outputs(builder.build(), [(IN, "k", 1, 1), (IN, "k", 2, 2), (IN, "k", 5, 11)])
    assert [row[:2] for row in rows] == [(0, 1), (0, 3), (10, 5)]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TimeWindows.tumbling(0), "size_ms"),
        (lambda: TimeWindows.hopping(10, 11), "advance_ms"),
        (lambda: TimeWindows.tumbling(10, grace_ms=-1), "grace_ms"),
    ],
)
def test_windows_that_make_no_sense_are_refused(make: Any, says: str) -> None:
    with pytest.raises(Exception, match=says):
        make()


def test_a_retention_that_is_too_short_and_an_unknown_emit_are_refused() -> None:
    windowed = StreamBuilder().stream(IN).group_by_key().windowed_by(TimeWindows.tumbling(10, grace_ms=5))
    with pytest.raises(TopologyError, match=r"'n': retention_ms must be at least 15"):
        windowed.count(name="n", retention_ms=14)
    with pytest.raises(TopologyError, match="emit must be"):
        windowed.count(name="n", emit="later")  # type: ignore[arg-type]


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), ACCIDENTS), max_size=25)


@unhurried
@given(ROWS, st.sampled_from([(10, 10), (10, 5), (10, 3)]), st.sampled_from([0, 4, 20]), st.booleans())
def test_results_equal_a_recomputation_from_the_accepted_records(
    rows: list[tuple[str, int, Accident]], shape: tuple[int, int], grace_ms: int, final: bool
) -> None:
    windows = TimeWindows.hopping(*shape, grace_ms)
    inputs = [((IN, key, number, at), accident) for number, (key, at, accident) in enumerate(rows)]
    # Far in the future, so that everything becomes final.
    inputs.append(((IN, "end", -1, 1_000), "none"))
    found, _ = run(collecting(windows, "final" if final else "update"), inputs)
    last = {tuple(key): (value, at) for key, value, at in found if key[0] != "end"}
    assert last == expected(rows, windows)
    if final:
        assert len(found) == len(last)


def expected(rows: list[tuple[str, int, Accident]], windows: TimeWindows) -> dict[Any, Any]:
    """Every window's values and time, by the definition."""
    result: dict[Any, Any] = {}
    stream_time = -1
    for number, (key, at, _) in enumerate(rows):
        stream_time = max(stream_time, at)
        for start in range(0, at + 1, windows.advance_ms):
            end = start + windows.size_ms
            if start <= at < end and end > stream_time - windows.grace_ms:
                values, time = result.get((key, start, end), ([], -1))
                result[key, start, end] = ([*values, number], max(time, at))
    return result
