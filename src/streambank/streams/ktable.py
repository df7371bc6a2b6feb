"""Tables: the newest value of each key, and what is derived from that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streambank.streams.errors import TopologyError
from streambank.streams.foreign_key_joins import join_on_foreign_key
from streambank.streams.infer import MissingSerde, returned_pair, returned_value
from streambank.streams.kgrouped_table import KGroupedTable
from streambank.streams.operators.base import Operator, StoreSpec
from streambank.streams.operators.latest_updates import LatestUpdates
from streambank.streams.operators.suppress import Suppress
from streambank.streams.operators.table_filter import TableFilter
from streambank.streams.operators.table_map_values import TableMapValues
from streambank.streams.operators.table_materialize import TableMaterialize
from streambank.streams.operators.table_table_join import TableTableJoin, TableTableJoinSide
from streambank.streams.operators.to_stream import ToStream
from streambank.streams.operators.versioned_table import History
from streambank.streams.serde import Serde
from streambank.streams.stores.suppression import HeldSerde
from streambank.streams.suppressed import Suppressed

if TYPE_CHECKING:
    from streambank.streams.builder import StreamBuilder
    from streambank.streams.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
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
        grace_ms: int | None = None,
        history: History | None = None,
    ) -> None:
        """``grace_ms``: a window of the keys is final once stream time is its end and this; None: they are no windows.

        For windows that do not contain their end this is the grace. For others it is 1 ms more, since a record may
        still change them at stream time end and grace; and for sessions also the gap more.
        """
        self._builder = builder
        self._node = node
        self._key = key
        self._value = value
        self._partitions = partitions
        self._grace_ms = grace_ms
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
        return self._join(other, joiner, (False, False), name=name, value=value)

    def left_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V, V2 | None], R],
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """The keys of this table, joined with None where the other has no row."""
        return self._join(other, joiner, (False, True), name=name, value=value)

    def outer_join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[V | None, V2 | None], R],
        *,
        name: str | None = None,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """The keys of both tables, joined with None where one of them has no row."""
        return self._join(other, joiner, (True, True), name=name, value=value)

    def foreign_key_join(
        self,
        other: KTable[Any, V2],
        extractor: Callable[[V], Any] | Callable[[K, V], Any],
        joiner: Callable[[V, V2], R],
        *,
        name: str,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """This table's rows with the row of ``other`` that each refers to: ``joiner(value, other value)`` (KIP-213).

        ``extractor(value)``, or ``extractor(key, value)``, gives the key of ``other``; many rows may refer to one, and
        the tables may differ in partitions. ``name`` names the topics and the store that the join needs.
        """
        self._same_builder(other)
        return join_on_foreign_key(self, other, extractor, joiner, left_join=False, name=name, value=value)

    def foreign_key_left_join(
        self,
        other: KTable[Any, V2],
        extractor: Callable[[V], Any] | Callable[[K, V], Any],
        joiner: Callable[[V, V2 | None], R],
        *,
        name: str,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """As :meth:`foreign_key_join`; rows that refer to nothing, or to no row, are joined with None."""
        self._same_builder(other)
        return join_on_foreign_key(self, other, extractor, joiner, left_join=True, name=name, value=value)

    def group_by(
        self,
        selector: Callable[[K, V], tuple[K2, V2]],
        *,
        key: Serde[K2] | None = None,
        value: Serde[V2] | None = None,
    ) -> KGroupedTable[K2, V2]:
        """Group the rows by ``selector(key, value) -> (key, value)``."""
        keys, values = returned_pair(selector, "group_by")
        return KGroupedTable(self, selector, key or keys, value or values)

    def materialize(self, *, name: str) -> KTable[K, V]:
        """The same table, its rows kept in the store ``name``: for queries, and for joins that would compute them."""
        operator = TableMaterialize(StoreSpec(name, self._key, self._value))
        node = self._builder.add_node(name, operator, (self._latest(),))
        return KTable(self._builder, node, self._key, self._value, self._partitions, grace_ms=self._grace_ms)

    def suppress(self, suppressed: Suppressed, *, name: str) -> KTable[K, V]:
        """The table with only the last of several updates: when it goes on, ``suppressed`` says.

        ``name`` names the store of what is held back, and its changelog. Stream time is that of this table's updates:
        after the last one, what is held back stays there. Who reads the table sees what was last emitted.

        Raises:
            TopologyError: it is to wait until windows close, and the table's keys have none; or a versioned table.
        """
        if self._history is not None:
            raise TopologyError(
                f"suppress {name!r}: table {self._node!r} is versioned, and held back updates would be out of order: "
                "call materialize() before it"
            )
        wait_ms = self._grace_ms if suppressed.wait_ms is None else suppressed.wait_ms
        if wait_ms is None:
            raise TopologyError(
                f"suppress {name!r}: table {self._node!r} has no windows that could close: call windowed_by before the "
                "aggregate, or use Suppressed.until_time_limit"
            )
        value = self._value if isinstance(self._value, MissingSerde) else HeldSerde(self._value)
        store = StoreSpec(name, self._key, value, kind="suppression")
        operator = Suppress(self._node, store, wait_ms, suppressed.buffer, final_results=suppressed.wait_ms is None)
        node = self._builder.add_node(name, operator, (self._node,))
        return KTable(self._builder, node, self._key, self._value, self._partitions, grace_ms=self._grace_ms)

    def _join(
        self,
        other: KTable[K, V2],
        joiner: Callable[[Any, Any], R],
        optional: tuple[bool, bool],
        *,
        name: str | None,
        value: Serde[R] | None,
    ) -> KTable[K, R]:
        builder = self._builder
        self._same_builder(other)
        if other._node == self._node:
            raise TopologyError(f"table {self._node!r} cannot be joined with itself: use map_values")
        name = name or builder.automatic_name("table-join")
        left_optional, right_optional = optional
        this_side = TableTableJoinSide(
            other._node, joiner, this_is_left=True, this_optional=left_optional, other_optional=right_optional
        )
        other_side = TableTableJoinSide(
            self._node, joiner, this_is_left=False, this_optional=right_optional, other_optional=left_optional
        )
        sides = (
            builder.add_node(f"{name}-left", this_side, (self._latest(),)),
            builder.add_node(f"{name}-right", other_side, (other._latest(),)),
        )
        node = builder.add_node(name, TableTableJoin(self._node, other._node, joiner, *optional), sides)
        serde = value or returned_value(joiner, f"join {name!r}")
        grace_ms = max((each for each in (self._grace_ms, other._grace_ms) if each is not None), default=None)
        return KTable(builder, node, self._key, serde, self._partitions, grace_ms=grace_ms)

    def _same_builder(self, other: KTable[Any, Any]) -> None:
        if other._builder is not self._builder:
            raise TopologyError("tables of different builders cannot meet")

    def _latest(self) -> str:
        """The node whose updates joins and aggregations take: those of a versioned table that are in order."""
        if self._history is None:
            return self._node
        operator = LatestUpdates(self._history.node, self._history.store)
        return self._builder.add_once(f"latest({self._node})", operator, (self._node,))

    def _derive(self, operator: Operator, *, value: Serde[Any] | None = None) -> KTable[K, Any]:
        node = self._builder.add_node(self._builder.automatic_name(operator.kind), operator, (self._node,))
        return KTable(
            self._builder,
            node,
            self._key,
            value or self._value,
            self._partitions,
            grace_ms=self._grace_ms,
            history=self._history,
        )
