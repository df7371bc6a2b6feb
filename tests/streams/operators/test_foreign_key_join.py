from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, Row, outputs, topic

from streambank.streams import StreamBuilder, TimeWindows, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver

LEFT, RIGHT, OUT = topic("left", partitions=2), topic("right", partitions=3), topic("joined", partitions=2)


def joined(how: str, versioned: Collection[str] = ()) -> Topology:
    """Left rows are [foreign key, value]."""
    builder = StreamBuilder()
    left, right = (
        builder.table(each, history_retention_ms=1_000 if each.name in versioned else None) for each in (LEFT, RIGHT)
    )
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


def test_the_extractor_may_be_a_class_without_a_signature() -> None:
    builder = StreamBuilder()
    left, right = builder.table(LEFT), builder.table(RIGHT)
    left.foreign_key_join(right, str, lambda one, other: [one, other], name="fk", value=ANY).to_stream().to(OUT)
    assert outputs(builder.build(), [(RIGHT, "1", "X", 0), (LEFT, "a", 1, 1)], OUT) == [("a", [1, "X"], 1)]


NOT_JOINED: list[Any] = [  # KTableKTableForeignKeyJoinIntegrationTest, what each step sends in an inner and a left join
    ((LEFT, "a", ["x", 1]), [], [[1, None]]),
    ((LEFT, "a", ["y", 1]), [None], [[1, None]]),
    ((LEFT, "a", ["z", 1]), [None], [[1, None]]),
    ((RIGHT, "x", "X"), [], []),
    ((LEFT, "a", ["x", 1]), [[1, "X"]], [[1, "X"]]),
    ((LEFT, "a", ["x", 2]), [[2, "X"]], [[2, "X"]]),
    ((LEFT, "a", ["y", 2]), [None], [[2, None]]),
    ((LEFT, "a", ["y", 3]), [], [[3, None]]),
    ((LEFT, "a", None), [None], [None]),
    ((LEFT, "a", None), [], []),
    ((RIGHT, "y", "Y"), [], []),
]


@pytest.mark.parametrize("how", ["inner", "left"])
def test_tombstones_come_wherever_a_result_may_have_been(how: str) -> None:
    with TopologyTestDriver(joined(how)) as driver:
        for step, inner, left in NOT_JOINED:
            driver.pipe(*step)
            driver.crash()
            assert [value for _, value, _ in driver.read(OUT)] == (inner if how == "inner" else left), step


def test_a_results_time_is_the_higher_of_both_rows_and_so_is_the_time_of_its_end() -> None:
    steps: list[Any] = [(RIGHT, "x", "X", 100), (LEFT, "a", ["x", 1], 5), (LEFT, "a", None, 6)]
    assert outputs(joined("inner"), steps, OUT) == [("a", [1, "X"], 100), ("a", None, 100)]
    # In a left join nobody asks the right side about a row that refers to nothing.
    assert outputs(joined("left"), steps, OUT) == [("a", [1, "X"], 100), ("a", None, 6)]


def test_rows_that_refer_to_one_row_follow_it_in_the_order_of_their_keys() -> None:
    one, answers = topic("left"), topic("answers")
    builder = StreamBuilder()
    table = builder.table(one).foreign_key_join(
        builder.table(RIGHT), lambda value: value, lambda _, other: other, name="fk", value=ANY
    )
    table.to_stream().to(answers)
    with TopologyTestDriver(builder.build()) as driver:
        for key in ("c", "a", "d", "b"):
            driver.pipe(one, key, "x")
        driver.crash()
        driver.pipe(one, "a", "x")
        driver.pipe(RIGHT, "x", "X")
        assert [record.key for record in driver.read(answers)] == ["a", "b", "c", "d"]


def test_an_answer_goes_to_the_partition_that_the_row_is_in_wherever_its_key_belongs() -> None:
    for partition in range(LEFT.partitions):
        with TopologyTestDriver(joined("inner")) as driver:
            driver.pipe(LEFT, "a", ["x", 1], 1, partition=partition)
            driver.pipe(RIGHT, "x", "X", 2)
            driver.pipe(LEFT, "a", ["x", 2], 3, partition=partition)
            assert driver.read(OUT) == [("a", [1, "X"], 2), ("a", [2, "X"], 3)]


def test_a_table_of_windows_is_joined_like_any_other() -> None:
    clicks = topic("clicks", partitions=3)
    builder = StreamBuilder()
    counts = builder.stream(clicks).group_by_key().windowed_by(TimeWindows.tumbling(10)).count(name="n")
    named = counts.foreign_key_join(
        builder.table(RIGHT), lambda windowed, _: windowed.key[0], lambda n, name: [n, name], name="fk", value=ANY
    )
    named.to_stream().map(lambda windowed, row: ([windowed.key, windowed.start], row), key=ANY, value=ANY).to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(RIGHT, "x", "X", 0)
        for number, key in enumerate(("xa", "xb", "xc", "xd", "ya", "xa")):
            driver.pipe(clicks, key, 1, 4 * number)
        assert sorted(driver.read(OUT), key=lambda row: row.timestamp) == [
            (["xa", 0], [1, "X"], 0),
            (["xb", 0], [1, "X"], 4),
            (["xc", 0], [1, "X"], 8),
            (["xd", 10], [1, "X"], 12),
            (["xa", 20], [1, "X"], 20),
        ]


def test_a_table_may_refer_to_itself() -> None:
    staff = topic("staff", partitions=2)
    builder = StreamBuilder()
    people = builder.table(staff)
    people.foreign_key_left_join(
        people, lambda person: person[1], lambda person, boss: [person[0], boss and boss[0]], name="boss", value=ANY
    ).to_stream().to(OUT)
    inputs: list[Any] = [(staff, "e", ["Eva", "m"], 1), (staff, "m", ["Max", None], 2), (staff, "m", ["MAX", "e"], 3)]
    rows = outputs(builder.build(), inputs, OUT)
    assert [value for key, value, _ in rows if key == "e"] == [["Eva", None], ["Eva", "Max"], ["Eva", "MAX"]]
    assert [value for key, value, _ in rows if key == "m"] == [["Max", None], ["MAX", "Eva"]]


def test_the_result_is_a_table_like_any_other() -> None:
    builder = StreamBuilder()
    left, third = builder.table(LEFT), builder.table(topic("third"))
    one = left.foreign_key_join(builder.table(RIGHT), lambda row: row[0], lambda row, to: to, name="one", value=ANY)
    two = one.foreign_key_left_join(third, lambda to: to, lambda to, row: [to, row], name="two", value=ANY)
    two.left_join(left, lambda row, own: [*row, own[1] if own else None], value=ANY).to_stream().to(OUT)
    inputs: list[Any] = [(LEFT, "a", ["x", 1]), (RIGHT, "x", "t"), (topic("third"), "t", "T"), (RIGHT, "x", None)]
    rows = outputs(builder.build(), [(*each, at) for at, each in enumerate(inputs)], OUT)
    assert rows == [("a", ["t", None, 1], 1), ("a", ["t", "T", 1], 2), ("a", None, 3)]


def test_rows_of_an_unknown_type_are_refused_before_anything_runs() -> None:
    builder = StreamBuilder()
    known, unknown = builder.table(LEFT), builder.table(RIGHT).map_values(lambda value: value)
    for left, right in ((known, unknown), (unknown, known)):
        with pytest.raises(TopologyError, match="map_values: its type is not known"):
            left.foreign_key_join(right, lambda value: value, lambda one, _: one, name="fk", value=ANY)


VERSIONED: list[Any] = [  # shouldIgnoreOutOfOrderRecordsIffVersioned: a step, and whose history makes it send nothing
    ((RIGHT, "x", "X", 4), None, {}, {}),
    ((LEFT, "a", ["x", 1], 3), None, {"a": [1, "X"]}, {"a": [1, "X"]}),
    ((LEFT, "b", ["x", 2], 5), None, {"b": [2, "X"]}, {"b": [2, "X"]}),
    ((LEFT, "b", None, 6), None, {"b": None}, {"b": None}),
    ((LEFT, "a", ["x", 3], 2), "left", {"a": [3, "X"]}, {"a": [3, "X"]}),
    ((LEFT, "b", ["x", 4], 2), "left", {"b": [4, "X"]}, {"b": [4, "X"]}),
    ((LEFT, "a", None, 2), "left", {"a": None}, {"a": None}),
    ((LEFT, "a", ["x", 5], 8), None, {"a": [5, "X"]}, {"a": [5, "X"]}),
    ((LEFT, "b", ["x", 6], 8), None, {"b": [6, "X"]}, {"b": [6, "X"]}),
    ((RIGHT, "x", "old", 1), "right", {"a": [5, "old"], "b": [6, "old"]}, {"a": [5, "old"], "b": [6, "old"]}),
    ((RIGHT, "x", None, 1), "right", {"a": None, "b": None}, {"a": [5, None], "b": [6, None]}),
    ((RIGHT, "x", "new", 6), None, {"a": [5, "new"], "b": [6, "new"]}, {"a": [5, "new"], "b": [6, "new"]}),
]


@pytest.mark.parametrize("versioned", [(), ("left",), ("right",), ("left", "right")], ids="-".join)
@pytest.mark.parametrize("how", ["inner", "left"])
def test_a_versioned_table_sends_only_updates_that_are_its_latest(how: str, versioned: tuple[str, ...]) -> None:
    with TopologyTestDriver(joined(how, versioned)) as driver:
        for step, ignored_by, inner, left in VERSIONED:
            driver.pipe(*step)
            expected = {} if ignored_by in versioned else inner if how == "inner" else left
            assert {key: value for key, value, _ in driver.read(OUT)} == expected, step


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
    tables = {LEFT.name: left, RIGHT.name: right}
    assert {key: value for key, value in last.items() if value is not None} == expected(how, tables)


@pytest.mark.parametrize(
    "at_once",
    [
        [(LEFT, "a", None), (LEFT, "a", ["y", 2])],
        [(LEFT, "a", [None, 1]), (LEFT, "a", ["y", 2])],
        [(LEFT, "a", [None, 1]), (LEFT, "a", None)],
        [(LEFT, "a", ["y", 1]), (LEFT, "a", ["y", 2])],
        [(LEFT, "a", ["x", 2]), (RIGHT, "x", None)],
    ],
    ids=[
        "gone and back",
        "without and with",
        "without and gone",
        "moved and changed",
        "changed, and no match any more",
    ],
)
def test_an_end_is_told_even_if_the_row_changes_while_the_answer_is_under_way(at_once: list[Any]) -> None:
    with TopologyTestDriver(joined("inner")) as driver:
        driver.pipe(RIGHT, "x", "X")
        driver.pipe(LEFT, "a", ["x", 1])
        for step in at_once:
            driver.write(*step)
        driver.run()
        assert [value for _, value, _ in driver.read(OUT)] == [[1, "X"], None]
        assert driver.store("fk-unanswered") == {}


WRITES = st.tuples(
    st.sampled_from([LEFT, LEFT, RIGHT]),
    st.sampled_from("ab"),
    st.none() | st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 3)),
)
STEPS = st.lists(WRITES | WRITES | st.sampled_from(["step", "step", "crash"]), max_size=25)


@pytest.mark.parametrize("how", ["inner", "left"])
@settings(deadline=None, max_examples=100)
@given(steps=STEPS)
def test_answers_that_are_overtaken_leave_nothing_behind(how: str, steps: list[Any]) -> None:
    tables: dict[str, dict[str, Any]] = {LEFT.name: {}, RIGHT.name: {}}
    with TopologyTestDriver(joined(how)) as driver:
        for step in steps:
            if step == "step":
                driver.runner.step()
            elif step == "crash":
                driver.crash()
            else:
                at, key, value = step
                tables[at.name][key] = None if value is None else list(value) if at is LEFT else value[1]
                driver.write(at, key, tables[at.name][key])
        driver.run()
        results = {key: value for key, value, _ in driver.read(OUT)}
        assert {key: value for key, value in results.items() if value is not None} == expected(how, tables)
        if how == "inner":
            assert driver.store("fk-unanswered") == {}


def expected(how: str, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    left, right = tables[LEFT.name], tables[RIGHT.name]
    return {
        key: [row[1], right.get(row[0])]
        for key, row in left.items()
        if row is not None and (how == "left" or right.get(row[0]) is not None)
    }
