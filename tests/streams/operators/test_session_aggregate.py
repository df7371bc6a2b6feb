from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, IN, OUT, OUT2, outputs

from streambank.streams import SessionWindows, StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver
from streambank.streams.windowed_kstream import Emit


def collecting(windows: SessionWindows, emit: Emit = "update") -> Topology:
    """Each session's values, sorted."""
    builder = StreamBuilder()
    windowed = builder.stream(IN).group_by_key().windowed_by(windows)
    table = windowed.aggregate(
        list,
        lambda _key, value, values: sorted([*values, value]),
        lambda _key, one, other: sorted([*one, *other]),
        name="sessions",
        value=ANY,
        emit=emit,
    )
    table.to_stream().select_key(lambda windowed, _value: list(windowed), key=ANY).to(OUT)
    windowed.late_records(table).to(OUT2)
    return builder.build()


def test_a_record_between_two_sessions_makes_them_one_after_their_tombstones() -> None:
    rows = outputs(
        collecting(SessionWindows(10, grace_ms=50)), [(IN, "k", "a", 0), (IN, "k", "b", 20), (IN, "k", "c", 10)]
    )
    assert rows == [
        (["k", 0, 0], ["a"], 0),
        (["k", 20, 20], ["b"], 20),
        (["k", 0, 0], None, 0),
        (["k", 20, 20], None, 20),
        (["k", 0, 20], ["a", "b", "c"], 20),
    ]


def test_a_record_at_the_very_time_of_a_session_of_one_updates_it_without_a_tombstone() -> None:
    rows = outputs(collecting(SessionWindows(10)), [(IN, "k", "a", 5), (IN, "k", "b", 5)])
    assert rows == [(["k", 5, 5], ["a"], 5), (["k", 5, 5], ["a", "b"], 5)]


def test_a_late_record_that_bridges_into_an_open_session_is_taken() -> None:
    with TopologyTestDriver(collecting(SessionWindows(10))) as driver:
        driver.pipe(IN, "k", "a", 30)
        driver.crash()
        driver.pipe(IN, "k", "b", 20)
        driver.pipe(IN, "other", "c", 19)
        assert driver.read(OUT)[-1] == (["k", 20, 30], ["a", "b"], 30)
        assert [(value, at) for _, value, at in driver.read(OUT2)] == [("c", 19)]
        assert driver.runner.drops == {"late": 1}


def test_final_results_come_when_nothing_can_change_them_and_only_once() -> None:
    with TopologyTestDriver(collecting(SessionWindows(10, grace_ms=5), "final")) as driver:
        driver.pipe(IN, "b", 1, 0)
        driver.pipe(IN, "a", 2, 0)
        driver.pipe(IN, "a", 3, 15)
        assert driver.read(OUT) == [], "at exactly end + gap + grace a record would still be taken"
        driver.crash()
        driver.pipe(IN, "a", 4, 16)
        assert driver.read(OUT) == [(["a", 0, 0], [2], 0), (["b", 0, 0], [1], 0)]
        driver.pipe(IN, "a", 5, 100)
        assert driver.read(OUT) == [(["a", 15, 16], [3, 4], 16)]


def test_sessions_are_deleted_when_they_can_no_longer_change() -> None:
    with TopologyTestDriver(collecting(SessionWindows(10))) as driver:
        for at in range(0, 1_000, 20):
            driver.pipe(IN, "k", at, at)
            assert len(driver.store("sessions")) <= 2
        before = driver.store("sessions")
        driver.crash()
        assert driver.store("sessions") == before


def test_a_null_key_is_dropped() -> None:
    with TopologyTestDriver(collecting(SessionWindows(10))) as driver:
        driver.pipe(IN, None, "a", 1)
        assert driver.runner.drops == {"null key": 1}


ROWS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 80), ACCIDENTS), max_size=20)


@unhurried
@given(ROWS, st.sampled_from([1, 7]), st.sampled_from([0, 10, 80]), st.booleans())
def test_sessions_equal_a_recomputation_from_the_accepted_records(
    rows: list[tuple[str, int, Accident]], gap: int, grace: int, final: bool
) -> None:
    inputs = [((IN, key, number, at), accident) for number, (key, at, accident) in enumerate(rows)]
    inputs.append(((IN, "end", -1, 1_000), "none"))
    found, _ = run(collecting(SessionWindows(gap, grace), "final" if final else "update"), inputs)
    last: dict[Any, Any] = {}
    for key, value, at in found:
        if key[0] != "end":
            last[tuple(key)] = (value, at)
    assert {key: each for key, each in last.items() if each[0] is not None} == expected(rows, gap, grace)


def expected(rows: list[tuple[str, int, Accident]], gap: int, grace: int) -> dict[Any, Any]:
    """Sessions grown record by record, by the definition."""
    sessions: list[tuple[str, int, int, list[int]]] = []
    stream_time = -1
    for number, (key, at, _) in enumerate(rows):
        stream_time = max(stream_time, at)
        # One that has closed has become final and takes nothing any more.
        near = [
            each
            for each in sessions
            if each[0] == key and each[2] >= stream_time - grace - gap and each[1] - gap <= at <= each[2] + gap
        ]
        start, end = min([at, *(each[1] for each in near)]), max([at, *(each[2] for each in near)])
        if end < stream_time - grace - gap:
            continue
        sessions = [each for each in sessions if each not in near]
        sessions.append((key, start, end, sorted([number, *(n for each in near for n in each[3])])))
    return {(key, start, end): (numbers, end) for key, start, end, numbers in sessions}
