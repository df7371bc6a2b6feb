from tests.streams.support import ANY, IN, OUT, TABLE, Input, outputs, through_table, topic

from streambank.streams import KTable, StreamBuilder


def tenfold(value: int) -> int | None:
    return value * 10 if value >= 0 else None


def test_rows_are_mapped_and_tombstones_are_passed_on_unmapped() -> None:
    rows = [("a", 1, 10), ("a", None, 20), ("b", 0, 5)]
    assert through_table(lambda table: table.map_values(tenfold), rows) == [("a", 10, 10), ("a", None, 20), ("b", 0, 5)]


def test_a_row_mapped_to_none_is_a_delete() -> None:
    assert through_table(lambda table: table.map_values(tenfold), [("a", -1, 10)]) == [("a", None, 10)]


def test_a_join_reads_mapped_rows() -> None:
    builder = StreamBuilder()
    mapped = builder.table(TABLE).map_values(tenfold)
    builder.stream(IN).left_join(mapped, lambda value, row: [value, row], value=ANY).to(OUT)
    inputs: list[Input] = [
        (TABLE, "a", 1, 10),
        (IN, "a", "x", 20),
        (TABLE, "a", -1, 30),
        (IN, "a", "y", 40),
        (TABLE, "a", None, 50),
        (IN, "a", "z", 60),
    ]
    assert [value for _, value, _ in outputs(builder.build(), inputs)] == [["x", 10], ["y", None], ["z", None]]


def test_old_values_are_mapped_too() -> None:
    # What the mapped row was decides: 1 became 10 and passed, so that its end is told; 2 became 20 and did not.
    def joined(table: KTable[str, int]) -> KTable[str, object]:
        empty = table._builder.table(topic("empty"))
        below_15 = table.map_values(tenfold).filter(lambda _key, value: value is not None and value < 15)
        return below_15.left_join(empty, lambda left, _right: left, value=ANY)

    rows = [("a", 1, 10), ("a", 2, 20), ("a", 3, 30), ("a", None, 40)]
    assert through_table(joined, rows) == [("a", 10, 10), ("a", None, 20)]
