"""Tables grouped by another key, to be aggregated into a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streambank.streams.infer import returned_value
from streambank.streams.operators.base import StoreSpec
from streambank.streams.operators.table_aggregate import TableAggregate
from streambank.streams.operators.table_group_by import ChangeSerde, TableGroupBy
from streambank.streams.serde import LONG, Serde
from streambank.streams.topic import Topic

if TYPE_CHECKING:
    from streambank.streams.ktable import KTable

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")
R = TypeVar("R")


class KGroupedTable(Generic[K, V]):
    """A table's rows under the keys of groups. A row that changes is taken out of its group and put in again."""

    def __init__(
        self, table: KTable[Any, Any], selector: Callable[[Any, Any], tuple[K, V]], key: Serde[K], value: Serde[V]
    ) -> None:
        self._table, self._selector, self._key, self._value = table, selector, key, value

    def aggregate(
        self,
        initializer: Callable[[], A],
        adder: Callable[[K, V, A | R], R | None],
        subtractor: Callable[[K, V, R], R | None],
        *,
        name: str,
        value: Serde[R] | None = None,
    ) -> KTable[K, R]:
        """One value per group: ``adder(key, row, aggregate)`` puts a row in, ``subtractor`` takes one out.

        ``name`` names the store, its changelog and the repartition topic that brings a group's rows together.
        """
        serde = value or returned_value(adder, f"aggregate {name!r}")
        return self._aggregated(name, serde, initializer, adder, subtractor, "aggregate")

    def count(self, *, name: str) -> KTable[K, int]:
        """How many rows each group has; 0 once it had some and has none."""
        return self._aggregated(name, LONG, lambda: 0, lambda _k, _v, n: n + 1, lambda _k, _v, n: n - 1, "count")

    def reduce(
        self,
        adder: Callable[[V, V], V],
        subtractor: Callable[[V, V], V],
        *,
        name: str,
        value: Serde[V] | None = None,
    ) -> KTable[K, V]:
        """One value per group: the first row, then ``adder(reduced, row)``; ``subtractor(reduced, row)`` undoes it."""
        return self._aggregated(
            name,
            value or self._value,
            lambda: None,
            lambda _key, row, reduced: row if reduced is None else adder(reduced, row),
            lambda _key, row, reduced: subtractor(reduced, row),
            "reduce",
        )

    def _aggregated(
        self,
        name: str,
        value: Serde[Any],
        initializer: Callable[[], Any],
        adder: Callable[[Any, Any, Any], Any],
        subtractor: Callable[[Any, Any, Any], Any],
        kind: str,
    ) -> KTable[K, Any]:
        from streambank.streams.ktable import KTable

        table, builder = self._table, self._table._builder
        grouped = builder.add_node(f"{name}-group-by", TableGroupBy(self._selector), (table._latest(),))
        changes: ChangeSerde[V] = ChangeSerde(self._value)
        topic = Topic(name=f"{name}-repartition", key=self._key, value=changes, partitions=table._partitions)
        source = builder.repartition(grouped, topic, drop_null_keys=False)
        operator = TableAggregate(initializer, adder, subtractor, StoreSpec(name, self._key, value))
        node = builder.add_node(name, replace(operator, kind=f"table-{kind}"), (source,))
        return KTable(builder, node, self._key, value, table._partitions)
