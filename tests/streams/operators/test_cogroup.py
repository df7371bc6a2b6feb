from typing import Any

import pytest
from tests.streams.support import ANY, IN, IN2, OUT, outputs

from streambank.streams import KGroupedStream, StreamBuilder, Topology, TopologyError
from streambank.streams.testing import TopologyTestDriver


def add(_key: Any, value: int, total: int) -> int:
    return total + value


def subtract(_key: Any, value: int, total: int) -> int | None:
    return total - value or None


def cogrouped(*, rekeyed: bool = False) -> Topology:
    builder = StreamBuilder()
    other = builder.stream(IN2)
    if rekeyed:
        other = other.select_key(lambda key, _value: key.lower(), key=ANY)
    groups: KGroupedStream[Any, Any] = builder.stream(IN).group_by_key()
    groups.cogroup(add).cogroup(other.group_by_key(), subtract).aggregate(int, name="total").to_stream().to(OUT)
    return builder.build()


def test_every_stream_updates_the_same_value() -> None:
    with TopologyTestDriver(cogrouped()) as driver:
        driver.pipe(IN, "a", 5, 1)
        driver.crash()
        driver.pipe(IN2, "a", 2, 3)
        driver.pipe(IN, "a", 1, 2)
        assert driver.read(OUT) == [("a", 5, 1), ("a", 3, 3), ("a", 4, 3)]
        assert driver.store("total") == {"a": 4}


def test_none_deletes_and_nulls_are_dropped() -> None:
    with TopologyTestDriver(cogrouped()) as driver:
        driver.pipe(IN, "a", 5, 1)
        driver.pipe(IN2, "a", 5, 2)
        driver.pipe(IN2, None, 5, 3)
        driver.pipe(IN, "a", None, 4)
        assert driver.read(OUT) == [("a", 5, 1), ("a", None, 2)]
        assert driver.drops == {"null key": 1, "null value": 1}


def test_only_streams_whose_key_may_have_changed_are_repartitioned() -> None:
    topology = cogrouped(rekeyed=True)
    assert topology.internal == {"total-1-repartition"}
    assert outputs(topology, [(IN, "a", 5, 1), (IN2, "A", 2, 2)]) == [("a", 5, 1), ("a", 3, 2)]


def test_streams_of_different_builders_cannot_meet() -> None:
    one, other = StreamBuilder().stream(IN).group_by_key(), StreamBuilder().stream(IN2).group_by_key()
    with pytest.raises(TopologyError, match="different builders"):
        one.cogroup(add).cogroup(other, subtract)
