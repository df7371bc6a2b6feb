"""Several grouped streams, to be aggregated into one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streambank.streams.infer import returned_value
from streambank.streams.ktable import KTable
from streambank.streams.operators.aggregate import Aggregate
from streambank.streams.operators.base import StoreSpec
from streambank.streams.operators.cogroup import Cogroup, CogroupSide
from streambank.streams.serde import Serde

if TYPE_CHECKING:
    from streambank.streams.kstream import KGroupedStream, KStream

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class CogroupedKStream(Generic[K, A]):
    """Grouped streams of one key, each with its aggregator. Made by :meth:`KGroupedStream.cogroup`."""

    def __init__(self, sides: tuple[tuple[KStream[Any, Any], Callable[..., Any]], ...]) -> None:
        self._sides = sides

    def cogroup(self, other: KGroupedStream[K, V], aggregator: Callable[[K, V, A], A | None]) -> CogroupedKStream[K, A]:
        """Another stream, whose records ``aggregator(key, value, aggregate)`` puts into the same value."""
        other._stream._same_builder(self._sides[0][0]._builder)
        return CogroupedKStream((*self._sides, (other._stream, aggregator)))

    def aggregate(self, initializer: Callable[[], A], *, name: str, value: Serde[A] | None = None) -> KTable[K, A]:
        """One value per key, from ``initializer()`` on, that every record of any of the streams updates.

        ``name`` names the store; streams whose key may have changed go through ``<name>-<number>-repartition``. Null
        keys and values are dropped and counted, and returning None deletes the key, as in any aggregation.
        """
        first, aggregator = self._sides[0]
        serde = value or returned_value(aggregator, f"cogroup {name!r}")
        store = StoreSpec(name, first._key, serde)
        builder, parents, partitions = first._builder, [], first._partitions
        for number, (stream, add) in enumerate(self._sides):
            keyed = stream._keyed(f"{name}-{number}", partitions=partitions, drop_null_keys=True)
            side = CogroupSide(Aggregate(initializer, add, store))
            parents.append(builder.add_node(f"{name}-{number}", side, (keyed._node,)))
        node = builder.add_node(name, Cogroup(store), parents)
        return KTable(builder, node, first._key, serde, partitions)
