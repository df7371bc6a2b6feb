import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, outputs, through_table, topic

from streambank.streams import KTable, StreamBuilder


def even(_key: str, value: int) -> bool:
    return value % 2 == 0


@pytest.mark.parametrize(
    ("updates", "sent"),
    [
        ([("a", 2, 10)], [("a", 2, 10)]),
        ([("a", 1, 10)], [("a", None, 10)]),
        ([("a", 2, 10), ("a", 1, 20)], [("a", 2, 10), ("a", None, 20)]),
        ([("a", None, 10)], [("a", None, 10)]),
        ([("a", 2, 10), ("a", 4, 5)], [("a", 2, 10), ("a", 4, 5)]),
    ],
    ids=["passes", "never passed", "passes no more", "tombstone", "older"],
)
def test_without_old_values_a_rejected_row_is_a_tombstone(updates: list[Row], sent: list[Row]) -> None:
    assert through_table(lambda table: table.filter(even), updates) == sent
    assert through_table(lambda table: table.filter_not(lambda key, value: not even(key, value)), updates) == sent


@pytest.mark.parametrize(
    ("updates", "sent"),
    [
        ([("a", 2, 10)], [("a", [2, None], 10)]),
        ([("a", 1, 10)], []),
        ([("a", 1, 10), ("a", 3, 20)], []),
        ([("a", 2, 10), ("a", 1, 20)], [("a", [2, None], 10), ("a", None, 20)]),
        ([("a", 1, 10), ("a", 2, 20)], [("a", [2, None], 20)]),
        ([("a", 1, 10), ("a", None, 20)], []),
        ([("a", 2, 10), ("a", None, 20)], [("a", [2, None], 10), ("a", None, 20)]),
    ],
    ids=["passes", "never passed", "never passed twice", "passes no more", "passes now", "deleted unseen", "deleted"],
)
def test_where_old_values_are_known_a_tombstone_comes_only_for_a_row_that_passed(
    updates: list[Row], sent: list[Row]
) -> None:
    # A left join asks its left side for old values; the right side stays empty.
    def joined(table: KTable[str, int]) -> KTable[str, object]:
        empty = table._builder.table(topic("empty"))
        return table.filter(even).left_join(empty, lambda left, right: [left, right], value=ANY)

    assert through_table(joined, updates) == sent


def test_a_row_that_never_passed_is_not_deleted_where_it_would_be_seen() -> None:
    # The other side has a row, so that the left join would hand on any tombstone of the left.
    builder = StreamBuilder()
    other = builder.table(topic("other"))
    builder.table(TABLE).filter(even).left_join(other, lambda left, right: [left, right], value=ANY).to_stream().to(OUT)
    inputs: list[Input] = [(topic("other"), "a", 9, 1), (TABLE, "a", 1, 2), (TABLE, "a", None, 3), (TABLE, "a", 2, 4)]
    assert outputs(builder.build(), inputs) == [("a", [2, 9], 4)]


def test_a_stream_that_joins_the_filtered_table_sees_the_rows_that_pass() -> None:
    builder = StreamBuilder()
    evens = builder.table(TABLE).filter(even)
    builder.stream(IN).left_join(evens, lambda value, row: [value, row], value=ANY).to(OUT)
    inputs: list[Input] = [(IN, "a", "0", 0)]
    for number, row in enumerate((1, 2, 3, None)):
        inputs += [(TABLE, "a", row, 10 * number + 1), (IN, "a", f"{number + 1}", 10 * number + 2)]
    assert [value for _, value, _ in outputs(builder.build(), inputs)] == [
        ["0", None],
        ["1", None],
        ["2", 2],
        ["3", None],
        ["4", None],
    ]
