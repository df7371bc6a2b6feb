from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, drops, outputs, topic

from streambank.streams import StreamBuilder, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def pair(value: object, row: object) -> list[object]:
    return [value, row]


def row_key(_key: Any, value: Any) -> Any:
    """What follows the comma."""
    return value.partition(",")[2] or None


def joined(how: str) -> Topology:
    builder = StreamBuilder()
    stream, table = builder.stream(IN), builder.global_table(TABLE)
    join: Any = {"inner": stream.join, "left": stream.left_join}[how]
    join(table, row_key, pair, value=ANY).to(OUT)
    return builder.build()


#   time    9        1        2        3        8        4
#   table   k: A                               k: B
#   stream           u,k      v,other  w                 x,k
TIMELINE: list[Input] = [
    (TABLE, "k", "A", 9),
    (IN, "a", "u,k", 1),
    (IN, "a", "v,other", 2),
    (IN, "b", "w", 3),
    (TABLE, "k", "B", 8),
    (IN, "b", "x,k", 4),
]


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ("inner", [("a", ["u,k", "A"], 1), ("b", ["x,k", "B"], 4)]),
        (
            "left",
            [("a", ["u,k", "A"], 1), ("a", ["v,other", None], 2), ("b", ["w", None], 3), ("b", ["x,k", "B"], 4)],
        ),
    ],
)
def test_only_the_stream_triggers_and_sees_what_is_there_whatever_its_time(how: str, sent: list[Row]) -> None:
    assert outputs(joined(how), TIMELINE) == sent


@pytest.mark.parametrize("how", ["inner", "left"])
def test_a_deleted_row_is_missing(how: str) -> None:
    inputs: list[Input] = [(TABLE, "k", "A", 1), (TABLE, "k", None, 2), (IN, "a", "u,k", 3)]
    assert outputs(joined(how), inputs) == ([] if how == "inner" else [("a", ["u,k", None], 3)])


@pytest.mark.parametrize(
    ("how", "key", "value", "sent", "dropped"),
    [
        ("inner", "a", "u", [], {"null key": 1}),
        ("inner", "a", "u,other", [], {}),
        ("inner", "a", None, [], {"null value": 1}),
        ("inner", None, "u,k", [(None, ["u,k", "A"], 5)], {}),
        ("left", "a", "u", [("a", ["u", None], 5)], {}),
        ("left", "a", None, [], {"null value": 1}),
        ("left", None, "u,k", [(None, ["u,k", "A"], 5)], {}),
        ("left", None, "u", [(None, ["u", None], 5)], {}),
    ],
)
def test_nulls(how: str, key: Any, value: Any, sent: list[Row], dropped: dict[str, int]) -> None:
    inputs: list[Input] = [(TABLE, "k", "A", 1), (IN, key, value, 5)]
    assert outputs(joined(how), inputs) == sent
    assert drops(joined(how), inputs) == dropped


def test_the_partitions_need_not_be_alike_and_nothing_is_repartitioned() -> None:
    table, stream = topic("rows", partitions=3), topic("stream", partitions=2)
    builder = StreamBuilder()
    rekeyed = builder.stream(stream).select_key(lambda key, _value: -key, key=ANY)
    rekeyed.join(builder.global_table(table), lambda _key, value: value, pair, name="rows", value=ANY).to(OUT)
    topology = builder.build()
    assert topology.internal == frozenset()
    with TopologyTestDriver(topology) as driver:
        for number in range(20):
            driver.pipe(table, number, f"row {number}")
        for number in range(20):
            driver.pipe(stream, number, number)
        assert sorted(driver.read(OUT)) == [(-n, [n, f"row {n}"], 20 + n) for n in range(19, -1, -1)]


def test_the_joined_stream_is_rekeyed_where_the_stream_is() -> None:
    builder = StreamBuilder()
    table = builder.global_table(TABLE)
    stream = builder.stream(IN)
    stream.join(table, row_key, pair, value=ANY).group_by_key().count(name="plain")
    stream.select_key(row_key, key=ANY).join(table, row_key, pair, value=ANY).group_by_key().count(name="rekeyed")
    assert builder.build().internal == {"rekeyed-repartition"}


def test_headers_are_the_stream_records() -> None:
    with TopologyTestDriver(joined("inner")) as driver:
        driver.pipe(TABLE, "k", "A", headers=(("trace", b"table"),))
        driver.pipe(IN, "a", "u,k", headers=(("trace", b"stream"),))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"stream"),)]


def test_a_table_of_another_builder_is_refused() -> None:
    with pytest.raises(TopologyError, match="different builders"):
        StreamBuilder().stream(IN).join(StreamBuilder().global_table(TABLE), row_key, pair, value=ANY)


def test_what_the_joiner_returns_must_be_known() -> None:
    builder = StreamBuilder()
    builder.stream(IN).join(
        builder.global_table(TABLE), row_key, lambda value, row: [value, row], name="with rows"
    ).to_table(name="kept")
    with pytest.raises(TopologyError, match="join 'with rows'"):
        builder.build()
