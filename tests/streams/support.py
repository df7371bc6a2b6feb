"""What the tests of stream processing share: topics whose values are any JSON, and short ways to run a topology."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, cast

from streambank.log import CleanupPolicy
from streambank.streams import JsonSerde, KStream, KTable, Serde, StreamBuilder, Topic, Topology
from streambank.streams.testing import TopologyTestDriver

ANY: Serde[Any] = JsonSerde(cast("type[Any]", Any))
"""Takes whatever JSON can say."""

Row: TypeAlias = tuple[Any, Any, int]
"""Key, value and timestamp."""

Input: TypeAlias = tuple[Topic[Any, Any], Any, Any, int]
"""Topic, key, value and timestamp."""


def topic(
    name: str,
    *,
    partitions: int = 1,
    cleanup_policy: CleanupPolicy = "delete",
    headers: Callable[[Any, int], bytes | None] | None = None,
) -> Topic[Any, Any]:
    """A topic of any keys and values."""
    return Topic(name=name, key=ANY, value=ANY, partitions=partitions, cleanup_policy=cleanup_policy, headers=headers)


IN, IN2, TABLE, OUT, OUT2 = topic("in"), topic("in2"), topic("table"), topic("out"), topic("out2")


def stream_topology(make: Callable[[KStream[Any, Any]], KStream[Any, Any]]) -> Topology:
    """IN as a stream, through ``make``, to OUT."""
    builder = StreamBuilder()
    make(builder.stream(IN)).to(OUT)
    return builder.build()


def table_topology(make: Callable[[KTable[Any, Any]], KTable[Any, Any]]) -> Topology:
    """TABLE as a table, through ``make``, its updates to OUT."""
    builder = StreamBuilder()
    make(builder.table(TABLE)).to_stream().to(OUT)
    return builder.build()


def outputs(topology: Topology, inputs: Iterable[Input], to: Topic[Any, Any] = OUT) -> list[Row]:
    """What comes out once all inputs have been piped."""
    with TopologyTestDriver(topology) as driver:
        for source, key, value, timestamp in inputs:
            driver.pipe(source, key, value, timestamp)
        return [tuple(record) for record in driver.read(to)]


def through_stream(make: Callable[[KStream[Any, Any]], KStream[Any, Any]], rows: Iterable[Row]) -> list[Row]:
    """What becomes of the rows of a stream."""
    return outputs(stream_topology(make), [(IN, *row) for row in rows])


def through_table(make: Callable[[KTable[Any, Any]], KTable[Any, Any]], rows: Iterable[Row]) -> list[Row]:
    """What becomes of the updates of a table."""
    return outputs(table_topology(make), [(TABLE, *row) for row in rows])


def drops(topology: Topology, inputs: Iterable[Input]) -> dict[str, int]:
    """How many records were dropped, by reason."""
    with TopologyTestDriver(topology) as driver:
        for source, key, value, timestamp in inputs:
            driver.pipe(source, key, value, timestamp)
        return dict(driver.runner.drops)
