from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, IN, IN2, OUT, Row, outputs, topic

from streambank.streams import JoinWindows, StreamBuilder, StreamsError, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def joined(how: str, windows: JoinWindows) -> Topology:
    builder = StreamBuilder()
    left, right = builder.stream(IN), builder.stream(IN2)
    join: Any = {"inner": left.join, "left": left.left_join, "outer": left.outer_join}[how]
    join(right, lambda one, other: [one, other], windows=windows, name="both", value=ANY).to(OUT)
    return builder.build()


@pytest.mark.parametrize(("at", "meets"), [(94, False), (95, True), (100, True), (110, True), (111, False)])
def test_both_ends_of_the_window_belong_to_it_from_either_side(at: int, meets: bool) -> None:
    windows = JoinWindows(before_ms=5, after_ms=10, grace_ms=100)
    rows: list[Row] = [("k", ["l", "r"], max(at, 100))] if meets else []
    assert outputs(joined("inner", windows), [(IN, "k", "l", 100), (IN2, "k", "r", at)]) == rows
    assert outputs(joined("inner", windows), [(IN2, "k", "r", at), (IN, "k", "l", 100)]) == rows


def test_matches_come_in_the_order_of_time_then_arrival() -> None:
    inputs = [(IN, "k", value, at) for value, at in (("b", 5), ("a", 3), ("c", 5))]
    rows = outputs(joined("inner", JoinWindows.of(10, grace_ms=10)), [*inputs, (IN2, "k", "r", 4)])
    assert rows == [("k", ["a", "r"], 4), ("k", ["b", "r"], 5), ("k", ["c", "r"], 5)]


#  left   a@0                  window of a closes when the stream time is beyond 0 + 10 + 5
#  right        b@1(other key)
def test_who_met_nobody_is_joined_with_none_once_that_is_certain_and_only_once() -> None:
    with TopologyTestDriver(joined("outer", JoinWindows.of(10, grace_ms=5))) as driver:
        driver.pipe(IN, "k", "a", 0)
        driver.pipe(IN2, "x", "b", 0)
        driver.pipe(IN, "y", "c", 15)
        assert driver.read(OUT) == []
        driver.crash()
        driver.pipe(IN, "y", "d", 16)
        assert driver.read(OUT) == [("x", [None, "b"], 0), ("k", ["a", None], 0)], "the right side first"
        driver.crash()
        driver.pipe(IN, "y", "e", 17)
        assert driver.read(OUT) == []


def test_a_record_that_could_meet_nobody_in_time_is_joined_with_none_at_once() -> None:
    rows = outputs(joined("left", JoinWindows.of(10, grace_ms=5)), [(IN2, "x", "r", 100), (IN, "k", "a", 89)])
    assert rows == [("k", ["a", None], 89)]


def test_null_keys_are_joined_with_none_where_their_side_is_kept_and_dropped_elsewhere() -> None:
    inputs: list[Any] = [(IN, None, "l", 1), (IN2, None, "r", 2), (IN, "k", None, 3)]
    assert outputs(joined("outer", JoinWindows.of(10)), inputs) == [(None, ["l", None], 1), (None, [None, "r"], 2)]
    assert outputs(joined("left", JoinWindows.of(10)), inputs) == [(None, ["l", None], 1)]
    assert outputs(joined("inner", JoinWindows.of(10)), inputs) == []


def test_a_record_too_late_to_be_kept_still_meets_what_is_there() -> None:
    with TopologyTestDriver(joined("inner", JoinWindows(before_ms=0, after_ms=10))) as driver:
        driver.pipe(IN2, "k", "r", 10)
        driver.pipe(IN, "k", "new", 50)
        driver.pipe(IN, "k", "late", 5)
        assert driver.read(OUT) == [("k", ["late", "r"], 10)]
        assert driver.runner.drops == {"late": 1}
        assert len(driver.store("both-left")) == 1


def test_what_nobody_can_meet_any_more_is_deleted_in_the_changelogs_too() -> None:
    with TopologyTestDriver(joined("outer", JoinWindows.of(10))) as driver:
        for at in range(0, 500, 5):
            driver.pipe(IN if at % 2 else IN2, at % 3, at, at)
        assert len(driver.store("both-left")) <= 5
        before = [driver.store(name) for name in STORES]
        driver.crash()
        assert [driver.store(name) for name in STORES] == before


STORES = ("both-left", "both-right", "both-left-unmatched", "both-right-unmatched")


def test_a_stream_meets_itself() -> None:
    builder = StreamBuilder()
    stream = builder.stream(IN)
    stream.join(stream, lambda one, other: [one, other], windows=JoinWindows.of(5), name="self", value=ANY).to(OUT)
    rows = outputs(builder.build(), [(IN, "k", "a", 1), (IN, "k", "b", 3)])
    assert sorted(row[1] for row in rows) == [["a", "a"], ["a", "b"], ["b", "a"], ["b", "b"]]


def test_streams_whose_keys_changed_are_repartitioned_under_the_joins_name() -> None:
    builder = StreamBuilder()
    left = builder.stream(IN).select_key(lambda _key, value: value, key=ANY)
    left.join(
        builder.stream(IN2), lambda one, other: [one, other], windows=JoinWindows.of(5), name="both", value=ANY
    ).to(OUT)
    topology = builder.build()
    assert topology.internal == {"both-left-repartition"}
    assert outputs(topology, [(IN, 1, "k", 1), (IN2, "k", "r", 2)]) == [("k", ["k", "r"], 2)]


def test_what_is_missing_or_does_not_fit_is_refused() -> None:
    builder = StreamBuilder()
    left, right = builder.stream(IN), builder.stream(IN2)
    with pytest.raises(TopologyError, match="windows=JoinWindows"):
        left.join(right, lambda one, _: one)  # type: ignore[call-overload]
    with pytest.raises(TopologyError, match="takes no windows"):
        left.join(builder.table(topic("t")), lambda one, _: one, windows=JoinWindows.of(1))  # type: ignore[call-overload]
    with pytest.raises(StreamsError, match="ends before it starts"):
        JoinWindows(before_ms=-5, after_ms=4)
    wide = builder.stream(topic("wide", partitions=3))
    left.join(wide, lambda one, _: one, windows=JoinWindows.of(1), name="n", value=ANY).to(OUT)
    with pytest.raises(TopologyError, match="same number of partitions"):
        builder.build()


ROWS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 50), ACCIDENTS), max_size=20)
WINDOWS = st.sampled_from([(5, 5), (0, 8), (8, 0), (0, 0), (-2, 6)])


@unhurried
@given(ROWS, WINDOWS, st.sampled_from(["inner", "left", "outer"]))
def test_a_join_equals_the_join_of_all_pairs(
    rows: list[tuple[bool, str, int, Accident]], window: tuple[int, int], how: str
) -> None:
    """With a grace that takes every record."""
    windows = JoinWindows(*window, grace_ms=60)
    inputs: list[Any] = [
        ((IN if is_left else IN2, key, number, at), accident)
        for number, (is_left, key, at, accident) in enumerate(rows)
    ]
    # Far in the future, and after it one more on the other side: whoever met nobody is known by then.
    inputs += [((IN, "end", -1, 1_000), "none"), ((IN2, "end", -1, 2_000), "none")]
    found, dropped = run(joined(how, windows), inputs)
    assert dropped.get("late", 0) == 0
    assert sorted(row for row in map(repr, found) if "'end'" not in row) == sorted(
        map(repr, expected(rows, window, how))
    )


def expected(rows: list[tuple[bool, str, int, Accident]], window: tuple[int, int], how: str) -> list[Row]:
    """All pairs, and those who are in none.

    Whoever came too late to meet others of the stream time is not held back, as in Kafka Streams, even if one comes.
    """
    before, after = window
    left = [(n, key, at) for n, (is_left, key, at, _) in enumerate(rows) if is_left]
    right = [(n, key, at) for n, (is_left, key, at, _) in enumerate(rows) if not is_left]
    pairs = [
        (one, other) for one in left for other in right if one[1] == other[1] and -before <= other[2] - one[2] <= after
    ]
    stream_times = [max(at for _, _, at, _ in rows[: n + 1]) for n in range(len(rows))]

    def alone(n: int, partners: list[int], end: int) -> bool:
        return not [other for other in partners if other < n or end >= stream_times[n]]

    result: list[Row] = [(one[1], [one[0], other[0]], max(one[2], other[2])) for one, other in pairs]
    if how != "inner":
        met = {n: [other[0] for one, other in pairs if one[0] == n] for n, _, _ in left}
        result += [(key, [n, None], at) for n, key, at in left if alone(n, met[n], at + after)]
    if how == "outer":
        met = {n: [one[0] for one, other in pairs if other[0] == n] for n, _, _ in right}
        result += [(key, [None, n], at) for n, key, at in right if alone(n, met[n], at + before)]
    return result


@unhurried
@given(ROWS, st.sampled_from([(5, 5), (0, 8), (8, 0)]), st.sampled_from([0, 3]))
def test_with_a_short_grace_a_record_meets_those_that_are_still_kept(
    rows: list[tuple[bool, str, int, Accident]], window: tuple[int, int], grace_ms: int
) -> None:
    before, after = window
    retention_ms = before + after + grace_ms
    kept: dict[bool, list[tuple[int, str, int]]] = {True: [], False: []}
    side_times = {True: -1, False: -1}
    pairs: list[Row] = []
    for number, (is_left, key, at, _) in enumerate(rows):
        for other, other_key, other_at in kept[not is_left]:
            left_at, right_at = (at, other_at) if is_left else (other_at, at)
            if other_key == key and -before <= right_at - left_at <= after:
                pairs.append((key, [number, other] if is_left else [other, number], max(at, other_at)))
        # A side keeps its records by its own time.
        side_times[is_left] = max(side_times[is_left], at)
        kept[is_left].append((number, key, at))
        kept[is_left] = [each for each in kept[is_left] if each[2] > side_times[is_left] - retention_ms]
    inputs: list[Any] = [
        ((IN if is_left else IN2, key, number, at), accident)
        for number, (is_left, key, at, accident) in enumerate(rows)
    ]
    found, _ = run(joined("inner", JoinWindows(*window, grace_ms)), inputs)
    assert sorted(map(repr, found)) == sorted(map(repr, pairs))
