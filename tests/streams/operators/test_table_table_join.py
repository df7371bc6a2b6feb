from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, outputs, topic

from streambank.streams import KTable, StreamBuilder, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver

LEFT, RIGHT, THIRD = topic("left"), topic("right"), topic("third")


def pair(left: object, right: object) -> list[object]:
    return [left, right]


def join(how: str, left: KTable[str, Any], right: KTable[str, Any]) -> KTable[str, list[object]]:
    joins = {"inner": left.join, "left": left.left_join, "outer": left.outer_join}
    return joins[how](right, pair)


def joined(how: str) -> Topology:
    builder = StreamBuilder()
    join(how, builder.table(LEFT), builder.table(RIGHT)).to_stream().to(OUT)
    return builder.build()


@pytest.mark.parametrize(
    ("inputs", "inner", "left"),
    [
        ([(LEFT, "A", 1)], [], [(["A", None], 1)]),
        ([(RIGHT, "a", 1)], [], []),
        ([(LEFT, None, 1)], [], []),
        ([(RIGHT, None, 1)], [], []),
        ([(LEFT, "A", 1), (RIGHT, "a", 2)], [(["A", "a"], 2)], [(["A", None], 1), (["A", "a"], 2)]),
        ([(RIGHT, "a", 5), (LEFT, "A", 2)], [(["A", "a"], 5)], [(["A", "a"], 5)]),
        (
            [(LEFT, "A", 1), (RIGHT, "a", 2), (LEFT, None, 3)],
            [(["A", "a"], 2), (None, 3)],
            [(["A", None], 1), (["A", "a"], 2), (None, 3)],
        ),
        (
            [(LEFT, "A", 1), (RIGHT, "a", 2), (RIGHT, None, 3)],
            [(["A", "a"], 2), (None, 3)],
            [(["A", None], 1), (["A", "a"], 2), (["A", None], 3)],
        ),
        ([(RIGHT, "a", 1), (LEFT, None, 2)], [(None, 2)], [(None, 2)]),
        ([(LEFT, "A", 1), (RIGHT, None, 2)], [(None, 2)], [(["A", None], 1), (["A", None], 2)]),
        ([(LEFT, "A", 1), (LEFT, None, 2)], [], [(["A", None], 1), (None, 2)]),
        ([(LEFT, "A", 1), (LEFT, None, 2), (LEFT, None, 3)], [], [(["A", None], 1), (None, 2)]),
        ([(RIGHT, "a", 1), (LEFT, None, 9), (RIGHT, None, 2)], [(None, 9)], [(None, 9)]),
    ],
    ids=[
        "left alone",
        "right alone",
        "left deleted, nothing there",
        "right deleted, nothing there",
        "left, right",
        "right, left: the higher time",
        "joined, left deleted",
        "joined, right deleted",
        "left deleted, never joined, right there",
        "right deleted, never joined, left there",
        "left deleted, right never there",
        "left deleted twice",
        "both deleted",
    ],
)
def test_updates_of_either_side(
    inputs: list[tuple[object, str | None, int]], inner: list[tuple[object, int]], left: list[tuple[object, int]]
) -> None:
    rows: list[Input] = [(LEFT if at is LEFT else RIGHT, "k", value, time) for at, value, time in inputs]
    for how, sent in (("inner", inner), ("left", left)):
        assert outputs(joined(how), rows) == [("k", *row) for row in sent], how


def test_an_outer_join_has_a_row_while_either_side_has_one() -> None:
    """TableTableJoinIntegrationTest.testOuter, with an older update of each side at the end."""
    steps: list[tuple[Input, list[Row]]] = [
        ((LEFT, "k", None, 1), []),
        ((RIGHT, "k", None, 2), []),
        ((LEFT, "k", "A", 3), [("k", ["A", None], 3)]),
        ((RIGHT, "k", "a", 4), [("k", ["A", "a"], 4)]),
        ((LEFT, "k", None, 7), [("k", [None, "a"], 7)]),
        ((RIGHT, "k", None, 8), [("k", None, 8)]),
        ((RIGHT, "k", None, 13), []),
        ((RIGHT, "k", "d", 7), [("k", [None, "d"], 7)]),
        ((LEFT, "k", "D", 6), [("k", ["D", "d"], 7)]),
        ((LEFT, "k", None, 2), [("k", [None, "d"], 7)]),
        ((RIGHT, "k", None, 3), [("k", None, 3)]),
    ]
    with TopologyTestDriver(joined("outer")) as driver:
        for step, sent in steps:
            driver.pipe(*step)
            driver.crash()
            assert driver.read(OUT) == sent, step


@pytest.mark.parametrize(
    ("first", "second", "sent"),
    [
        ("inner", "outer", [[["A", "a"], "a"], [["A", "a"], "a"], [None, "a"], None]),
        ("outer", "inner", [[["A", "a"], "a"], [["A", "a"], "a"], [[None, "a"], "a"]]),
        ("outer", "outer", [[["A", None], None], *[[["A", "a"], "a"]] * 2, [[None, "a"], "a"], None, None]),
    ],
)
def test_a_table_that_is_joined_twice_sends_each_of_its_updates_twice(
    first: str, second: str, sent: list[object]
) -> None:
    """TableTableJoinIntegrationTest.testInnerOuter, testOuterInner and testOuterOuter."""
    builder = StreamBuilder()
    right = builder.table(RIGHT)
    join(second, join(first, builder.table(LEFT), right), right).to_stream().to(OUT)
    inputs: list[Input] = [(LEFT, "k", "A", 1), (RIGHT, "k", "a", 2), (LEFT, "k", None, 3), (RIGHT, "k", None, 4)]
    assert [value for _, value, _ in outputs(builder.build(), inputs)] == sent


@pytest.mark.parametrize("how", ["inner", "left"])
def test_keys_do_not_mix(how: str) -> None:
    inputs: list[Input] = [(RIGHT, "j", "a", 1), (LEFT, "k", "B", 2), (RIGHT, "k", "b", 3), (LEFT, "j", "A", 4)]
    alone: list[Row] = [("k", ["B", None], 2)] if how == "left" else []
    assert outputs(joined(how), inputs) == [*alone, ("k", ["B", "b"], 3), ("j", ["A", "a"], 4)]


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ("inner", [["x", None], ["y", ["A", "a"]], ["z", None]]),
        ("left", [["x", ["A", None]], ["y", ["A", "a"]], ["z", None]]),
        ("outer", [["x", ["A", None]], ["y", ["A", "a"]], ["z", [None, "a"]]]),
    ],
)
def test_the_joined_table_can_be_read(how: str, rows: list[list[object]]) -> None:
    builder = StreamBuilder()
    table = join(how, builder.table(LEFT), builder.table(RIGHT))
    builder.stream(IN).left_join(table, pair, value=ANY).to(OUT)
    inputs: list[Input] = [
        (LEFT, "k", "A", 1),
        (IN, "k", "x", 2),
        (RIGHT, "k", "a", 3),
        (IN, "k", "y", 4),
        (LEFT, "k", None, 5),
        (IN, "k", "z", 6),
    ]
    assert [value for _, value, _ in outputs(builder.build(), inputs)] == rows


def test_three_tables_joined_left_know_each_others_old_values() -> None:
    builder = StreamBuilder()
    two = builder.table(LEFT).left_join(builder.table(RIGHT), pair)
    two.left_join(builder.table(THIRD), pair).to_stream().to(OUT)
    inputs: list[Input] = [
        (THIRD, "j", "3", 1),
        (RIGHT, "k", "a", 2),
        (LEFT, "k", None, 3),
        (LEFT, "k", "A", 4),
        (THIRD, "k", "3", 5),
        (RIGHT, "k", None, 6),
        (LEFT, "k", None, 7),
    ]
    assert outputs(builder.build(), inputs) == [
        ("k", [["A", "a"], None], 4),
        ("k", [["A", "a"], "3"], 5),
        ("k", [["A", None], "3"], 6),
        ("k", None, 7),
    ]


def test_an_aggregate_is_a_table_like_any_other() -> None:
    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().count(name="n")
    counts.join(builder.table(TABLE), pair).to_stream().to(OUT)
    inputs: list[Input] = [(IN, "k", "x", 1), (TABLE, "k", "row", 2), (IN, "k", "y", 3), (TABLE, "k", None, 4)]
    assert outputs(builder.build(), inputs) == [("k", [1, "row"], 2), ("k", [2, "row"], 3), ("k", None, 4)]


def test_state_survives_a_crash_at_any_place() -> None:
    inputs: list[Input] = [(LEFT, "k", "A", 1), (RIGHT, "k", "a", 2), (LEFT, "k", None, 3), (LEFT, "k", "B", 4)]
    expected = outputs(joined("left"), inputs)
    for crash_at in range(len(inputs)):
        with TopologyTestDriver(joined("left")) as driver:
            for number, (source, key, value, time) in enumerate(inputs):
                driver.pipe(source, key, value, time)
                if number == crash_at:
                    driver.crash()
            assert driver.read(OUT) == expected


def test_a_table_cannot_be_joined_with_itself_or_with_another_builders() -> None:
    builder = StreamBuilder()
    table = builder.table(LEFT)
    with pytest.raises(TopologyError, match=r"table\(left\).*cannot be joined with itself: use map_values"):
        table.join(builder.table(LEFT), pair)
    with pytest.raises(TopologyError, match="different builders"):
        table.join(StreamBuilder().table(RIGHT), pair)
