from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, Input, Row, drops, outputs, topic

from streambank.streams import StreamBuilder, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def pair(value: object, row: object) -> list[object]:
    return [value, row]


def joined(how: str) -> Topology:
    builder = StreamBuilder()
    stream, table = builder.stream(IN), builder.table(TABLE)
    join: Any = {"inner": stream.join, "left": stream.left_join}[how]
    join(table, pair).to(OUT)
    return builder.build()


#   time    1     2     3     4     5     6     7
#   table         A           B           -
#   stream  u           v           w           x
TIMELINE: list[Input] = [
    (IN, "k", "u", 1),
    (TABLE, "k", "A", 2),
    (IN, "k", "v", 3),
    (TABLE, "k", "B", 4),
    (IN, "k", "w", 5),
    (TABLE, "k", None, 6),
    (IN, "k", "x", 7),
]


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        ("inner", [("k", ["v", "A"], 3), ("k", ["w", "B"], 5)]),
        ("left", [("k", ["u", None], 1), ("k", ["v", "A"], 3), ("k", ["w", "B"], 5), ("k", ["x", None], 7)]),
    ],
)
def test_only_the_stream_triggers_and_sees_the_row_of_that_moment(how: str, sent: list[Row]) -> None:
    assert outputs(joined(how), TIMELINE) == sent


@pytest.mark.parametrize("how", ["inner", "left"])
def test_the_result_has_the_streams_time_even_where_the_row_is_newer(how: str) -> None:
    inputs: list[Input] = [(TABLE, "k", "A", 100), (IN, "k", "v", 3), (IN, "k", "w", 1)]
    assert outputs(joined(how), inputs) == [("k", ["v", "A"], 3), ("k", ["w", "A"], 1)]


@pytest.mark.parametrize(
    ("how", "key", "value", "sent", "dropped"),
    [
        ("inner", None, "v", [], {"null key": 1}),
        ("inner", "k", None, [], {"null value": 1}),
        ("inner", None, None, [], {"null value": 1}),
        ("inner", "other", "v", [], {}),
        ("left", None, "v", [(None, ["v", None], 5)], {}),
        ("left", "k", None, [], {"null value": 1}),
        ("left", None, None, [], {"null value": 1}),
        ("left", "other", "v", [("other", ["v", None], 5)], {}),
    ],
)
def test_nulls(how: str, key: str | None, value: str | None, sent: list[Row], dropped: dict[str, int]) -> None:
    inputs: list[Input] = [(TABLE, "k", "A", 1), (IN, key, value, 5)]
    assert outputs(joined(how), inputs) == sent
    assert drops(joined(how), inputs) == dropped


def test_at_equal_times_the_table_is_first() -> None:
    with TopologyTestDriver(joined("inner")) as driver:
        driver.write(IN, "k", "v", 5)
        driver.write(TABLE, "k", "A", 5)
        driver.run()
        assert driver.read(OUT) == [("k", ["v", "A"], 5)]


def test_headers_are_the_stream_records() -> None:
    with TopologyTestDriver(joined("inner")) as driver:
        driver.pipe(TABLE, "k", "A", 1, headers=(("from", b"table"),))
        driver.pipe(IN, "k", "v", 2, headers=(("from", b"stream"),))
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("from", b"stream"),)]


def test_a_rekeyed_stream_is_repartitioned_to_as_many_partitions_as_the_table_has() -> None:
    entries, rows = topic("entries", partitions=3), topic("rows", partitions=5)
    builder = StreamBuilder()
    rekeyed = builder.stream(entries).select_key(lambda _key, value: value, key=ANY)
    rekeyed.join(builder.table(rows), pair).to(OUT)
    topology = builder.build()
    with TopologyTestDriver(topology) as driver:
        assert driver.log.topics()["test-join-rows-repartition"].partitions == 5
        for name in "abcdefg":
            driver.pipe(rows, name, name.upper(), 1)
        for name in "abcdefg":
            driver.pipe(entries, "x", name, 2)
        assert sorted(driver.read(OUT)) == [(name, [name, name.upper()], 2) for name in "abcdefg"]


def test_topics_that_cannot_be_co_partitioned_are_refused() -> None:
    builder = StreamBuilder()
    builder.stream(topic("entries", partitions=3)).join(builder.table(topic("rows", partitions=5)), pair).to(OUT)
    with pytest.raises(TopologyError, match=r"entries \(3\), rows \(5\).*\.repartition\(partitions=\.\.\.\)"):
        builder.build()


def test_the_join_with_an_aggregate_sees_the_record_counted_already() -> None:
    # The stream feeds both; the aggregate was added first, so that it is up to date when the join looks.
    builder = StreamBuilder()
    stream = builder.stream(IN)
    counts = stream.group_by_key().count(name="n")
    stream.join(counts, pair).to(OUT)
    inputs: list[Input] = [(IN, "k", "u", 1), (IN, "k", "v", 2), (IN, "j", "w", 3)]
    assert outputs(builder.build(), inputs) == [("k", ["u", 1], 1), ("k", ["v", 2], 2), ("j", ["w", 1], 3)]
