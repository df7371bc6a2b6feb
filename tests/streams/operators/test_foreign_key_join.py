from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, Row, outputs, topic

from streambank.streams import StreamBuilder, TimeWindows, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver

LEFT, RIGHT, OUT = topic("left", partitions=2), topic("right", partitions=3), topic("joined", partitions=2)


def joined(how: str) -> Topology:
    """Left rows are [foreign key, value]."""
    builder = StreamBuilder()
    left, right = builder.table(LEFT), builder.table(RIGHT)
    join: Any = {"inner": left.foreign_key_join, "left": left.foreign_key_left_join}[how]
    join(right, lambda value: value[0], lambda one, other: [one[1], other], name="fk", value=ANY).to_stream().to(OUT)
    return builder.build()


def of(how: str, inputs: list[Any]) -> list[Row]:
    return outputs(joined(how), [(*each, at) for at, each in enumerate(inputs)], OUT)


def test_every_row_that_refers_to_a_row_follows_it() -> None:
    rows = of("inner", [(LEFT, "a", ["x", 1]), (LEFT, "b", ["x", 2]), (RIGHT, "x", "X"), (RIGHT, "x", None)])
    assert sorted(rows, key=lambda row: (row[2], row[0])) == [
        ("a", [1, "X"], 2),
        ("b", [2, "X"], 2),
        ("a", None, 3),
        ("b", None, 3),
    ]


def test_a_row_that_refers_to_another_one_lets_go_of_the_first() -> None:
    rows = of(
        "inner",
        [(RIGHT, "x", "X"), (RIGHT, "y", "Y"), (LEFT, "a", ["x", 1]), (LEFT, "a", ["y", 1]), (RIGHT, "x", "X2")],
    )
    assert [row[:2] for row in rows] == [("a", [1, "X"]), ("a", [1, "Y"])]


def test_a_row_that_goes_takes_its_result_along() -> None:
    assert of("inner", [(RIGHT, "x", "X"), (LEFT, "a", ["x", 1]), (LEFT, "a", None)])[-1] == ("a", None, 2)
    assert of("left", [(RIGHT, "x", "X"), (LEFT, "a", ["x", 1]), (LEFT, "a", None)])[-1] == ("a", None, 2)


def test_an_inner_join_drops_a_row_that_refers_to_nothing_and_deletes_what_it_was_joined_with() -> None:
    with TopologyTestDriver(joined("inner")) as driver:
        driver.pipe(RIGHT, "x", "X")
        driver.pipe(LEFT, "a", [None, 1])
        assert driver.read(OUT) == []
        driver.pipe(LEFT, "a", ["x", 1])
        driver.pipe(LEFT, "a", [None, 1])
        assert [row[:2] for row in driver.read(OUT)] == [("a", [1, "X"]), ("a", None)]
        assert driver.runner.drops == {"null foreign key": 2}


def test_a_left_join_keeps_rows_that_refer_to_nothing() -> None:
    inputs = [(LEFT, "a", [None, 1]), (LEFT, "b", ["x", 2]), (RIGHT, "x", "X"), (RIGHT, "x", None)]
    results = {key: [value for owner, value, _ in of("left", inputs) if owner == key] for key in "ab"}
    assert results == {"a": [[1, None]], "b": [[2, None], [2, "X"], [2, None]]}


def test_the_extractor_may_look_at_the_key() -> None:
    builder = StreamBuilder()
    left, right = builder.table(LEFT), builder.table(RIGHT)
    left.foreign_key_join(
        right, lambda key, value: key[0], lambda one, other: [one, other], name="fk", value=ANY
    ).to_stream().to(OUT)
    rows = outputs(builder.build(), [(RIGHT, "x", "X", 0), (LEFT, "xa", 1, 1)], OUT)
    assert rows == [("xa", [1, "X"], 1)]


def test_a_table_of_windows_is_refused() -> None:
    builder = StreamBuilder()
    windows = builder.stream(topic("in")).group_by_key().windowed_by(TimeWindows.tumbling(10)).count(name="n")
    with pytest.raises(TopologyError, match="has windows for keys"):
        windows.foreign_key_join(builder.table(RIGHT), str, lambda one, _: one, name="fk")


UPDATES = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from("abc"),
        st.none() | st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 9)),
        ACCIDENTS,
    ),
    max_size=16,
)


@pytest.mark.parametrize("how", ["inner", "left"])
@unhurried
@given(updates=UPDATES)
def test_the_result_equals_a_join_of_the_present_tables(
    how: str, updates: list[tuple[bool, str, Any, Accident]]
) -> None:
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    inputs: list[Any] = []
    for at, (is_left, key, value, accident) in enumerate(updates):
        row = None if value is None else list(value) if is_left else value[1]
        (left if is_left else right)[key] = row
        inputs.append(((LEFT if is_left else RIGHT, key, row, at), accident))
    rows, _ = run(joined(how), inputs, OUT)
    last = {key: value for key, value, _ in rows}
    expected = {
        key: [row[1], right.get(row[0])]
        for key, row in left.items()
        if row is not None and (how == "left" or right.get(row[0]) is not None)
    }
    assert {key: value for key, value in last.items() if value is not None} == expected
