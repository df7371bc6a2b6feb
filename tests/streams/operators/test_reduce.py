import pytest
from tests.streams.support import IN, OUT, Input, Row, drops, topic

from streambank.streams import StreamBuilder, Topology
from streambank.streams.testing import TopologyTestDriver


def joined_up(so_far: str, value: str) -> str | None:
    return so_far + value if value != "-" else None


def reduced() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().reduce(joined_up, name="text").to_stream().to(OUT)
    return builder.build()


@pytest.mark.parametrize(
    ("rows", "sent", "kept"),
    [
        ([("a", "x", 10)], [("a", "x", 10)], {"a": "x"}),
        (
            [("a", "x", 10), ("b", "u", 15), ("a", "y", 20)],
            [("a", "x", 10), ("b", "u", 15), ("a", "xy", 20)],
            {"a": "xy", "b": "u"},
        ),
        ([("a", "x", 30), ("a", "y", 10)], [("a", "x", 30), ("a", "xy", 30)], {"a": "xy"}),
        (
            [("a", "x", 10), ("a", "-", 20), ("a", "z", 15)],
            [("a", "x", 10), ("a", None, 20), ("a", "z", 15)],
            {"a": "z"},
        ),
        ([("a", "-", 10)], [("a", "-", 10)], {"a": "-"}),
    ],
    ids=["the first as it is", "per key", "highest time", "None deletes, then anew", "the first is not reduced"],
)
def test_values_are_taken_two_at_a_time(rows: list[Row], sent: list[Row], kept: dict[str, str]) -> None:
    with TopologyTestDriver(reduced()) as driver:
        for row in rows:
            driver.pipe(IN, *row)
        assert driver.read(OUT) == sent
        driver.crash()
        assert driver.store("text") == kept


def test_null_keys_and_null_values_are_counted_as_dropped() -> None:
    rows: list[Input] = [(IN, None, "x", 10), (IN, "a", None, 20)]
    assert drops(reduced(), rows) == {"null key": 1, "null value": 1}


def test_a_changed_partition_count_goes_through_a_repartition_topic() -> None:
    wide = topic("wide", partitions=4)
    builder = StreamBuilder()
    narrow = builder.stream(wide).repartition(name="narrow", partitions=2)
    narrow.group_by_key().reduce(joined_up, name="text").to_stream().to(OUT)
    topology = builder.build()
    assert [sub.partitions for sub in topology.sub_topologies] == [4, 2]
    with TopologyTestDriver(topology) as driver:
        assert driver.log.topics()["test-narrow-repartition"].partitions == 2
        for name in ("a", "b", "c", "d", "a"):
            driver.pipe(wide, name, name)
        assert driver.store("text") == {"a": "aa", "b": "b", "c": "c", "d": "d"}
