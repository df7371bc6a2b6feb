import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, drops, outputs, through_table, topic

from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver


def read_table() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).join(builder.table(TABLE), lambda value, row: [value, row], value=ANY).to(OUT)
    return builder.build()


def kept_stream() -> Topology:
    builder = StreamBuilder()
    builder.stream(TABLE).to_table(name="kept").to_stream().to(OUT)
    return builder.build()


@pytest.mark.parametrize(
    ("updates", "rows"),
    [
        ([("a", 1, 10), ("a", 2, 20)], {"a": 2}),
        ([("a", 1, 10), ("a", 2, 5)], {"a": 2}),
        ([("a", 1, 10), ("b", 2, 10), ("a", None, 20)], {"b": 2}),
        ([("a", None, 10)], {}),
        ([("a", 1, 10), ("a", None, 20), ("a", 3, 30)], {"a": 3}),
        ([(None, 1, 10), ("a", 2, 20)], {"a": 2}),
        ([("a", 0, 10), ("b", "", 10), ("c", [], 10), ("d", False, 10)], {"a": 0, "b": "", "c": [], "d": False}),
    ],
    ids=["newest", "offset order, not time", "tombstone", "tombstone first", "back again", "null key", "falsy values"],
)
@pytest.mark.parametrize("kind", ["table", "to_table"])
def test_the_last_value_of_each_key_in_offset_order(kind: str, updates: list[Row], rows: dict[str, object]) -> None:
    topology, store = (read_table(), "table") if kind == "table" else (kept_stream(), "kept")
    with TopologyTestDriver(topology) as driver:
        for row in updates:
            driver.pipe(TABLE, *row)
        assert driver.store(store) == rows
        driver.crash()
        assert driver.store(store) == rows


def test_the_stored_time_goes_back_with_an_older_update() -> None:
    # joined with a table, the result's time is the higher one: that of the older update, once it has overwritten
    builder = StreamBuilder()
    other = topic("other")
    builder.table(TABLE).join(builder.table(other), lambda a, b: [a, b], value=ANY).to_stream().to(OUT)
    inputs: list[Input] = [(TABLE, "k", "new", 50), (TABLE, "k", "old", 20), (other, "k", 1, 30)]
    assert outputs(builder.build(), inputs) == [("k", ["old", 1], 30)]


def test_every_update_is_forwarded_tombstones_too() -> None:
    rows = [("a", 1, 10), ("a", 1, 20), ("a", None, 15), ("b", None, 30)]
    assert through_table(lambda table: table, rows) == rows
    assert outputs(kept_stream(), [(TABLE, *row) for row in rows]) == rows


@pytest.mark.parametrize("make", [read_table, kept_stream])
def test_null_keys_are_counted_as_dropped(make: object) -> None:
    assert callable(make)
    assert drops(make(), [(TABLE, None, 1, 10), (TABLE, "a", 1, 10), (TABLE, None, None, 10)]) == {"null key": 2}


def test_a_table_that_nobody_reads_keeps_nothing() -> None:
    builder = StreamBuilder()
    builder.table(TABLE).to_stream().to(OUT)
    assert builder.build().stores == {}


def test_to_table_of_a_rekeyed_stream_is_repartitioned() -> None:
    builder = StreamBuilder()
    builder.stream(IN).select_key(lambda _key, value: value, key=ANY).to_table(name="kept").to_stream().to(OUT)
    topology = builder.build()
    assert topology.internal == {"kept-repartition"}
    rows: list[Input] = [(IN, "x", "a", 10), (IN, "y", "a", 20)]
    assert outputs(topology, rows) == [("a", "a", 10), ("a", "a", 20)]
