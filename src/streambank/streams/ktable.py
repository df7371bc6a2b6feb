"""Tables: the newest value of each key, and what is derived from that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streambank.streams.errors import TopologyError
from streambank.streams.infer import returned_value
from streambank.streams.operators.base import Operator
from streambank.streams.operators.latest_updates import LatestUpdates
from streambank.streams.operators.table_filter import TableFilter
from streambank.streams.operators.table_map_values import TableMapValues
from streambank.streams.operators.table_table_join import TableTableJoin, TableTableJoinSide
from streambank.streams.operators.to_stream import ToStream
from streambank.streams.operators.versioned_table import History
from streambank.streams.serde import Serde

if TYPE_CHECKING:
    from streambank.streams.builder import StreamBuilder
    from streambank.streams.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")
V2 = TypeVar("V2")
R = TypeVar("R")


class KTable(Generic[K, V]):
    """A table. Updates apply in offset order; a null value deletes the key and travels on as a tombstone.

    A versioned table's apply in the order of their timestamps, and so do those of the tables that ``filter`` and
    ``map_values`` make of it: joins and aggregations ignore updates that are out of order (KIP-914).
    """

    def __init__(
        self,
        builder: StreamBuilder,
        node: str,
        key: Serde[Any],
        value: Serde[Any],
        partitions: int,
        *,
        history: History | None = None,
    ) -> None:
        self._builder = builder
        self._node = node
        self._key = key
        self._value = value
        self._partitions = partitions
        self._history = history

    def filter(self, predicate: Callable[[K, V], bool]) -> KTable[K, V]:
        """The rows that ``predicate(key, value)`` accepts; a row that stops passing is deleted."""
        return self._derive(TableFilter(self._node, predicate))

    def filter_not(self, predicate: Callable[[K, V], bool]) -> KTable[K, V]:
        """The rows that ``predicate(key, value)`` rejects."""
        return self._derive(TableFilter(self._node, predicate, keep=False))

    def map_values(self, mapper: Callable[[V], V2], *, value: Serde[V2] | None = None) -> KTable[K, V2]:
        """The rows with ``mapper(value)``; deleted rows are not mapped."""
        serde = value or returned_value(mapper, "map_values")
        return self._derive(TableMapValues(self._node, mapper), value=serde)

    def to_stream(self) -> KStream[K, V]:
        """The table's updates as a stream, tombstones included."""
        from streambank.streams.kstream import KStream

        node = self._builder.add_once(f"to-stream({self._node})", ToStream(), (self._node,))
        return KStream(self._builder, node, self._key, self._value, self._partitions)

    def join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2], R],
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """The keys that both tables have, with ``joiner(value, other value)``."""
        return self._join(other, joiner, left=False, name=name, value=value)

    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2 | None], R],
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """The keys of this table, joined with None where the other has no row."""
        return self._join(other, joiner, left=True, name=name, value=value)

    def _join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, Any], R],
        *,
        left: bool,
        name: str | None,
        value: Serde[R] | None,
    ) -> KTable[K, R]:
        builder = self._builder
        if other._builder is not builder:
            raise TopologyError("tables of different builders cannot meet")
        if other._node == self._node:
            raise TopologyError(f"table {self._node!r} cannot be joined with itself: use map_values")
        name = name or builder.automatic_name("table-join")
        this_side = TableTableJoinSide(other._node, joiner, this_is_left=True, this_optional=False, other_optional=left)
        other_side = TableTableJoinSide(
            self._node, joiner, this_is_left=False, this_optional=left, other_optional=False
        )
        sides = (
            builder.add_node(f"{name}-left", this_side, (self._latest(),)),
            builder.add_node(f"{name}-right", other_side, (other._latest(),)),
        )
        node = builder.add_node(name, TableTableJoin(self._node, other._node, joiner, right_optional=left), sides)
        serde = value or returned_value(joiner, f"join {name!r}")
        return KTable(builder, node, self._key, serde, self._partitions)

    def _latest(self) -> str:
        """The node whose updates joins and aggregations take: those of a versioned table that are in order."""
        if self._history is None:
            return self._node
        operator = LatestUpdates(self._history.node, self._history.store)
        return self._builder.add_once(f"latest({self._node})", operator, (self._node,))

    def _derive(self, operator: Operator, *, value: Serde[Any] | None = None) -> KTable[K, Any]:
        node = self._builder.add_node(self._builder.automatic_name(operator.kind), operator, (self._node,))
        return KTable(self._builder, node, self._key, value or self._value, self._partitions, history=self._history)
