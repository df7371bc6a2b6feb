import pytest
from tests.streams.support import ANY, IN, OUT, Input, Row, drops, outputs, topic

from streambank.streams import StreamBuilder, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def total(_key: str, value: int, so_far: int) -> int | None:
    """The sum, starting from 100; a negative value ends the key."""
    return so_far + value if value >= 0 else None


def hundred() -> int:
    return 100


def totals() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().aggregate(hundred, total, name="total", value=ANY).to_stream().to(OUT)
    return builder.build()


@pytest.mark.parametrize(
    ("rows", "sent", "kept"),
    [
        (
            [("a", 1, 10), ("b", 2, 20), ("a", 3, 30)],
            [("a", 101, 10), ("b", 102, 20), ("a", 104, 30)],
            {"a": 104, "b": 102},
        ),
        ([("a", 1, 30), ("a", 2, 10), ("a", 3, 20)], [("a", 101, 30), ("a", 103, 30), ("a", 106, 30)], {"a": 106}),
        ([("a", 1, 10), ("a", -1, 20)], [("a", 101, 10), ("a", None, 20)], {}),
        ([("a", -1, 10)], [("a", None, 10)], {}),
        ([("a", 1, 30), ("a", -1, 10), ("a", 2, 20)], [("a", 101, 30), ("a", None, 30), ("a", 102, 20)], {"a": 102}),
        ([(None, 1, 10), ("a", None, 20)], [], {}),
    ],
    ids=["per key", "highest time", "None deletes", "None at first", "time starts anew after a delete", "nulls"],
)
def test_one_value_per_key(rows: list[Row], sent: list[Row], kept: dict[str, int]) -> None:
    with TopologyTestDriver(totals()) as driver:
        for row in rows:
            driver.pipe(IN, *row)
        assert driver.read(OUT) == sent
        assert driver.store("total") == kept
        driver.crash()
        assert driver.store("total") == kept


def test_the_time_of_an_aggregate_survives_a_crash() -> None:
    with TopologyTestDriver(totals()) as driver:
        driver.pipe(IN, "a", 1, 30)
        driver.crash()
        driver.pipe(IN, "a", 2, 10)
        assert driver.read(OUT) == [("a", 101, 30), ("a", 103, 30)]


def test_null_keys_and_null_values_are_counted_as_dropped() -> None:
    rows: list[Input] = [(IN, None, 1, 10), (IN, "a", None, 20), (IN, None, None, 30), (IN, "a", 1, 40)]
    assert drops(totals(), rows) == {"null key": 2, "null value": 1}


def test_headers_are_those_of_the_record_that_changed_the_value() -> None:
    with TopologyTestDriver(totals()) as driver:
        driver.pipe(IN, "a", 1, headers=(("trace", b"1"),))
        driver.pipe(IN, "a", 2)
        assert [record.headers for record in driver.read_records(OUT.name)] == [(("trace", b"1"),), ()]


def test_count() -> None:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name="n").to_stream().to(OUT)
    rows: list[Input] = [(IN, "a", "x", 10), (IN, "b", "y", 20), (IN, "a", None, 25), (IN, "a", "z", 5)]
    assert outputs(builder.build(), rows) == [("a", 1, 10), ("b", 1, 20), ("a", 2, 10)]


def test_group_by_groups_by_another_key_across_partitions() -> None:
    orders = topic("orders", partitions=3)
    builder = StreamBuilder()
    builder.stream(orders).group_by(lambda _key, value: value["shop"], key=ANY).count(name="n").to_stream().to(OUT)
    topology = builder.build()
    assert topology.internal == {"n-repartition"}
    with TopologyTestDriver(topology) as driver:
        for number in range(30):
            driver.pipe(orders, f"order-{number}", {"shop": f"shop-{number % 4}"}, number)
        assert driver.store("n") == {"shop-0": 8, "shop-1": 8, "shop-2": 7, "shop-3": 7}


def test_group_by_a_null_key_drops_and_counts_the_record() -> None:
    builder = StreamBuilder()
    builder.stream(IN).group_by(lambda _key, value: value, key=ANY).count(name="n").to_stream().to(OUT)
    assert drops(builder.build(), [(IN, "a", None, 10)]) == {"null key": 1}


def test_an_unchanged_key_is_not_repartitioned() -> None:
    assert totals().internal == frozenset()


def test_two_stores_of_one_name_are_refused() -> None:
    grouped = StreamBuilder().stream(IN).group_by_key()
    grouped.count(name="n")
    with pytest.raises(TopologyError, match="'n': give one of them another name="):
        grouped.count(name="n")
