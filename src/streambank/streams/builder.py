"""The builder: turns calls into nodes, and nodes into a topology."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, TypeVar

from streambank.streams.errors import TopologyError
from streambank.streams.global_ktable import GlobalKTable
from streambank.streams.infer import MissingSerde
from streambank.streams.kstream import KStream
from streambank.streams.ktable import KTable
from streambank.streams.operators.aggregate import Aggregate
from streambank.streams.operators.base import Operator, StoreSpec
from streambank.streams.operators.reduce import Reduce
from streambank.streams.operators.sink import Sink
from streambank.streams.operators.source import Source
from streambank.streams.operators.table_filter import TableFilter
from streambank.streams.operators.table_source import TableSource
from streambank.streams.operators.to_stream import ToStream
from streambank.streams.operators.versioned_table import versioned_table
from streambank.streams.strict_names import check_names
from streambank.streams.topic import Topic
from streambank.streams.topology import Node, Topology, build_topology

K = TypeVar("K")
V = TypeVar("V")


class StreamBuilder:
    """Collects a topology's operators; :meth:`build` validates them.

    Nothing runs here. Operators that own state or a topic carry a name that must stay the same from one version of the
    program to the next, since it names what is stored.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._topics: dict[str, Topic[Any, Any]] = {}
        self._internal: set[str] = set()
        self._global_tables: dict[str, Topic[Any, Any]] = {}
        self._automatic: set[str] = set()
        self._counter = 0

    def stream(self, topic: Topic[K, V]) -> KStream[K, V]:
        """The topic's records as a stream. Asked for again, the same stream."""
        self._declare(topic)
        name = self.add_once(f"stream({topic.name})", Source(topic), ())
        return KStream(self, name, topic.key, topic.value, topic.partitions)

    def table(self, topic: Topic[K, V], *, history_retention_ms: int | None = None) -> KTable[K, V]:
        """The topic as a table: the last value of each key. The topic itself rebuilds the table after a restart.

        With ``history_retention_ms`` the table is versioned (KIP-889, KIP-914): it keeps for so long, in stream time,
        what its rows were, and stream records are joined with the row as of their own time. Updates older than that
        are dropped and counted. Since a compacted topic may have lost what the history needs, such a table has a
        changelog of its own, in which every version has a key of its own until it expires.

        Raises:
            TopologyError: a negative retention, or another one than when the table was asked for before.
        """
        self._declare(topic)
        name = f"table({topic.name})"
        operator: TableSource
        if history_retention_ms is None:
            store = StoreSpec(topic.name, topic.key, topic.value, changelog=topic.name, read_only=True)
            operator, history = TableSource(topic, store, materialized=False), None
        else:
            serdes = (topic.key, topic.value)
            operator, history = versioned_table(name, topic, topic.name, serdes, history_retention_ms)
        existing: Any = self._nodes[self.add_once(name, operator, ())].operator
        if existing.store.retention_ms != history_retention_ms:
            raise TopologyError(
                f"{name} is asked for with history_retention_ms={existing.store.retention_ms} and "
                f"{history_retention_ms}: say the same everywhere"
            )
        return KTable(self, name, topic.key, topic.value, topic.partitions, history=history)

    def global_table(self, topic: Topic[K, V]) -> GlobalKTable[K, V]:
        """The topic as a table that every member of the application holds whole. See :class:`GlobalKTable`."""
        self._declare(topic)
        self._global_tables[topic.name] = topic
        return GlobalKTable(self, topic)

    def build(self, *, strict: bool = False) -> Topology:
        """The topology. ``strict`` refuses automatic names for operators that own a store or an internal topic.

        Raises:
            TopologyError: it could not work; the text names the operator and the fix.
        """
        if strict:
            check_names(list(self._nodes.values()), self._internal, self._automatic)
        nodes = _with_old_values_and_stores(list(self._nodes.values()))
        # Again, now that it is known which tables are kept anyway.
        nodes = _with_changelogs(_with_old_values_and_stores(nodes, _filters_of_kept_tables(nodes)))
        _check_serdes(nodes)
        return build_topology(nodes, self._internal, self._global_tables.values())

    def add_node(self, name: str, operator: Operator, parents: Sequence[str]) -> str:
        """Used by streams and tables to add an operator. Raises TopologyError where the name is taken."""
        if name in self._nodes:
            raise TopologyError(f"two operators are named {name!r}: give one of them another name=")
        topic = getattr(operator, "topic", None)
        if topic is not None:
            self._declare(topic)
        self._nodes[name] = Node(name, operator, tuple(parents))
        return name

    def add_once(self, name: str, operator: Operator, parents: Sequence[str]) -> str:
        """Used where asking again means the same operator: add it unless it is there."""
        return name if name in self._nodes else self.add_node(name, operator, parents)

    def automatic_name(self, kind: str) -> str:
        """A name for an operator that owns nothing."""
        self._counter += 1
        return self.derived_name(f"{kind}-{self._counter:03d}")

    def derived_name(self, name: str) -> str:
        """``name``, made of what the builder knows and not given by the program: see ``strict`` in :meth:`build`."""
        self._automatic.add(name)
        return name

    def repartition(
        self,
        parent: str,
        topic: Topic[Any, Any],
        *,
        drop_null_keys: bool,
        partition_of: Callable[[Any], int] | None = None,
    ) -> str:
        """Used by streams: write to an internal topic and read it back; returns the node that reads."""
        self._internal.add(topic.name)
        sink = Sink(topic, partition_of=partition_of, drop_null_keys=drop_null_keys, kind="repartition")
        self.add_node(f"to({topic.name})", sink, (parent,))
        return self.add_node(f"stream({topic.name})", Source(topic), ())

    def _declare(self, topic: Topic[Any, Any]) -> None:
        other = self._topics.setdefault(topic.name, topic)
        if other is not topic and other.config != topic.config:
            raise TopologyError(
                f"topic {topic.name!r} is declared twice with different settings: use one Topic object everywhere"
            )


def _filters_of_kept_tables(nodes: list[Node]) -> set[str]:
    """The filters that can know old values at no cost, and so leave out tombstones of rows that never passed.

    Kafka Streams does the same: ``KTableFilter`` asks its parent for old values without forcing it to keep them.
    """
    by_name = {node.name: node for node in nodes}

    def knows_old(name: str) -> bool:
        node = by_name[name]
        return bool(node.operator.stores) or (
            hasattr(node.operator, "old_values") and all(map(knows_old, node.parents))
        )

    return {node.name for node in nodes if isinstance(node.operator, TableFilter) and knows_old(node.name)}


def _with_old_values_and_stores(nodes: list[Node], wanted: Set[str] = frozenset()) -> list[Node]:
    """Let tables send old values, and keep their content, where something downstream, or in ``wanted``, needs that."""
    resolved: list[Node] = []
    old_wanted = set(wanted)
    viewed = {name for node in nodes for name in node.operator.reads}
    # Children come after parents, so that one pass backwards hands every wish up to the sources.
    for node in reversed(nodes):
        operator: Any = node.operator
        if node.name in old_wanted and hasattr(operator, "old_values"):
            operator = replace(operator, old_values=True)
        if node.name in old_wanted or operator.wants_old:
            old_wanted.update(node.parents)
        if node.name in viewed:
            viewed.update(operator.view_of)
        if isinstance(operator, TableSource) and (node.name in old_wanted or node.name in viewed):
            operator = replace(operator, materialized=True)
        resolved.append(replace(node, operator=operator))
    return resolved[::-1]


def _with_changelogs(nodes: list[Node]) -> list[Node]:
    """Let a table that is written as it is to a compacted topic, with as many partitions, use that as its changelog."""
    by_name = {node.name: node for node in nodes}
    for table, sink in _written_tables(nodes):
        operator, topic = table.operator, sink.operator.topic  # type: ignore[attr-defined]
        store = StoreSpec(operator.store.name, topic.key, topic.value, changelog=topic.name)  # type: ignore[attr-defined]
        by_name[table.name] = replace(table, operator=replace(operator, store=store))  # type: ignore[type-var]
        by_name[sink.name] = replace(sink, operator=replace(sink.operator, own_partition=True))  # type: ignore[type-var]
    return list(by_name.values())


def _written_tables(nodes: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    by_name = {node.name: node for node in nodes}
    written = [node.operator.topic.name for node in nodes if isinstance(node.operator, Sink)]
    taken: set[str] = set()
    for sink in nodes:
        if not isinstance(sink.operator, Sink):
            continue
        between = by_name[sink.parents[0]]
        table = by_name[between.parents[0]] if isinstance(between.operator, ToStream) else None
        if (
            table is not None
            and isinstance(table.operator, (Aggregate, Reduce))
            and sink.operator.topic.cleanup_policy == "compact"
            and sink.operator.topic.partitions == _partitions(table, by_name)
            and written.count(sink.operator.topic.name) == 1
            and table.name not in taken
        ):
            taken.add(table.name)
            yield table, sink


def _partitions(node: Node, by_name: Mapping[str, Node]) -> int:
    """How many tasks the node runs in: as many as the topic that it gets its records from has partitions."""
    while node.parents:
        node = by_name[node.parents[0]]
    count: int = node.operator.topic.partitions  # type: ignore[attr-defined]
    return count


def _check_serdes(nodes: Sequence[Node]) -> None:
    for node in nodes:
        topic = getattr(node.operator, "topic", None)
        serdes = [topic.key, topic.value] if topic is not None else []
        for store in node.operator.stores:
            serdes += [store.key, store.value]
        for serde in serdes:
            if isinstance(serde, MissingSerde):
                raise TopologyError(serde.reason)
