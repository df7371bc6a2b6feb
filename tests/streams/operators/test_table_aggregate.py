from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.streams.crashing import ACCIDENTS, Accident, run, unhurried
from tests.streams.support import ANY, OUT, TABLE, outputs

from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver


def by_first(_key: Any, value: Any) -> tuple[Any, Any]:
    """Rows are [group, number]; a row without a group is in none."""
    return value[0], value[1]


def summing() -> Topology:
    builder = StreamBuilder()
    grouped = builder.table(TABLE).group_by(by_first, key=ANY, value=ANY)
    total = grouped.reduce(lambda total, n: total + n, lambda total, n: total - n, name="total")
    total.to_stream().to(OUT)
    return builder.build()


def test_a_row_that_stays_in_its_group_changes_it_in_one_step() -> None:
    rows = outputs(summing(), [(TABLE, "a", ["x", 1], 1), (TABLE, "b", ["x", 10], 2), (TABLE, "a", ["x", 5], 3)])
    assert rows == [("x", 1, 1), ("x", 11, 2), ("x", 15, 3)]


def test_a_row_that_moves_leaves_its_group_before_it_enters_the_next() -> None:
    rows = outputs(summing(), [(TABLE, "a", ["x", 1], 1), (TABLE, "a", ["y", 2], 2)])
    assert rows == [("x", 1, 1), ("x", 0, 2), ("y", 2, 2)]


def test_a_deleted_row_is_taken_out_and_a_null_group_skips_its_side() -> None:
    inputs: list[Any] = [(TABLE, "a", ["x", 4], 1), (TABLE, "a", [None, 2], 2), (TABLE, "a", ["y", 3], 3)]
    assert outputs(summing(), [*inputs, (TABLE, "a", None, 4)]) == [
        ("x", 4, 1),
        ("x", 0, 2),
        ("y", 3, 3),
        ("y", 0, 4),
    ]


def test_a_result_of_none_deletes_the_group() -> None:
    builder = StreamBuilder()
    grouped = builder.table(TABLE).group_by(by_first, key=ANY, value=ANY)
    grouped.aggregate(
        lambda: 0, lambda _k, v, n: n + v, lambda _k, v, n: n - v or None, name="n", value=ANY
    ).to_stream().to(OUT)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe(TABLE, "a", ["x", 1], 1)
        driver.crash()
        driver.pipe(TABLE, "a", None, 2)
        assert driver.read(OUT) == [("x", 1, 1), ("x", None, 2)]
        assert driver.store("n") == {}


UPDATES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.none() | st.tuples(st.sampled_from(["x", "y", None]), st.integers(1, 9)),
        ACCIDENTS,
    ),
    max_size=20,
)


@unhurried
@given(UPDATES)
def test_the_groups_equal_a_recomputation_from_the_rows(updates: list[tuple[str, Any, Accident]]) -> None:
    table: dict[str, Any] = {}
    inputs: list[Any] = []
    for at, (key, value, accident) in enumerate(updates):
        table[key] = value
        inputs.append(((TABLE, key, None if value is None else list(value), at), accident))
    rows, _ = run(summing(), inputs)
    last = {key: value for key, value, _ in rows}
    expected: dict[str, int] = {}
    for row in table.values():
        if row is not None and row[0] is not None:
            expected[row[0]] = expected.get(row[0], 0) + row[1]
    assert {key: value for key, value in last.items() if value} == expected
