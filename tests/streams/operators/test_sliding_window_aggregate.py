from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, IN, OUT, OUT2, outputs

from streambank.streams import SlidingWindows, StreamBuilder, StreamsError, Topology
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed_kstream import Emit


def collecting(windows: SlidingWindows, emit: Emit = "update") -> Topology:
    """Each window's values, sorted."""
    builder = StreamBuilder()
    windowed = builder.stream(IN).group_by_key().windowed_by(windows)
    table = windowed.aggregate(
        list, lambda _key, value, values: sorted([*values, value]), name="windows", value=ANY, emit=emit
    )
    table.to_stream().select_key(lambda windowed, _value: list(windowed), key=ANY).to(OUT)
    windowed.late_records(table).to(OUT2)
    return builder.build()


def test_a_record_has_the_window_that_ends_with_it_and_later_one_that_begins_after_it() -> None:
    rows = outputs(collecting(SlidingWindows(10)), [(IN, "k", "a", 20), (IN, "k", "b", 25)])
    assert rows == [
        (["k", 10, 20], ["a"], 20),
        (["k", 21, 31], ["b"], 25),
        (["k", 15, 25], ["a", "b"], 25),
    ]


def test_records_younger_than_the_difference_share_the_window_from_zero() -> None:
    rows = outputs(collecting(SlidingWindows(10)), [(IN, "k", "a", 2), (IN, "k", "b", 6)])
    assert rows == [(["k", 0, 10], ["a"], 2), (["k", 3, 13], ["b"], 6), (["k", 0, 10], ["a", "b"], 6)]


def test_a_record_whose_windows_are_all_closed_is_late() -> None:
    with TopologyTestDriver(collecting(SlidingWindows(10, grace_ms=5))) as driver:
        driver.pipe(IN, "k", "a", 100)
        driver.crash()
        driver.pipe(IN, "k", "b", 85)
        driver.pipe(IN, "k", "c", 84)
        assert [(value, at) for _, value, at in driver.read(OUT2)] == [("c", 84)]
        assert driver.runner.drops == {"late": 2}, "b is too late for the window that ends with it, c for both"


#   shouldLogAndMeterWhenSkippingExpiredWindowByGrace: the windows that Kafka Streams names.
def test_the_log_says_which_windows_were_closed_and_why() -> None:
    with TopologyTestDriver(collecting(SlidingWindows(10, grace_ms=90))) as driver, capture_logs() as logs:
        for at in (200, 100, 15):
            driver.pipe(IN, "k", str(at), at)
    dropped = [entry for entry in logs if entry["event"] == "record dropped"]
    assert [(entry["window_start"], entry["window_end"]) for entry in dropped] == [(90, 100), (15, 25)]
    assert {entry["stream_time"] for entry in dropped} == {200}


def test_null_keys_and_null_values_are_dropped() -> None:
    with TopologyTestDriver(collecting(SlidingWindows(10))) as driver:
        driver.pipe(IN, None, "a", 1)
        driver.pipe(IN, "k", None, 2)
        assert driver.runner.drops == {"null key": 1, "null value": 1}
        assert driver.read(OUT) == []


def test_a_null_value_is_not_among_the_late_records() -> None:
    with TopologyTestDriver(collecting(SlidingWindows(10))) as driver:
        driver.pipe(IN, "k", "a", 100)
        driver.pipe(IN, "k", None, 1)
        assert driver.runner.drops == {"null value": 1}
        assert driver.read(OUT2) == []


def test_windows_are_deleted_when_no_record_can_need_them_any_more() -> None:
    with TopologyTestDriver(collecting(SlidingWindows(10))) as driver:
        for at in range(0, 300, 5):
            driver.pipe(IN, "k", at, at)
            assert len(driver.store("windows")) <= 12


@pytest.mark.parametrize("arguments", [(-1, 0), (1, -1)])
def test_windows_that_make_no_sense_are_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(StreamsError, match="must not be negative"):
        SlidingWindows(*arguments)


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), ACCIDENTS), max_size=20)


@unhurried
@given(ROWS, st.sampled_from([1, 10]), st.booleans())
def test_results_equal_a_recomputation(rows: list[tuple[str, int, Accident]], diff: int, final: bool) -> None:
    """With a grace that takes every record, so that windows depend on the set of records alone."""
    windows = SlidingWindows(diff, grace_ms=60)
    inputs = [((IN, key, number, at), accident) for number, (key, at, accident) in enumerate(rows)]
    inputs.append(((IN, "end", -1, 1_000), "none"))
    found, _ = run(collecting(windows, "final" if final else "update"), inputs)
    last: dict[Any, Any] = {tuple(key): (value, at) for key, value, at in found if key[0] != "end"}
    assert last == expected(rows, diff)
    if final:
        assert len([key for key, _, _ in found if key[0] != "end"]) == len(last)


def expected(rows: list[tuple[str, int, Accident]], diff: int) -> dict[Any, Any]:
    """A window ends with each record, and starts after each; those without records are none."""
    result: dict[Any, Any] = {}
    for owner, at, _ in rows:
        for start in (max(0, at - diff), at + 1):
            inside = [(n, t) for n, (key, t, _) in enumerate(rows) if key == owner and start <= t <= start + diff]
            if inside:
                result[owner, start, start + diff] = ([n for n, _ in inside], max(t for _, t in inside))
    return result
