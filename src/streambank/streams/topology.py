"""The topology as data: nodes, validated once, cut into sub-topologies, described.

A sub-topology is what has to run in one task: nodes joined by edges, or by a store that one reads of another or shares
with it. Between sub-topologies there are only topics.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streambank.log import TopicConfig, TopicPartition
from streambank.log.topics import DELETE_RETENTION_MS
from streambank.streams.describe import Format, describe
from streambank.streams.errors import TopologyError
from streambank.streams.operators.base import Operator, StoreSpec
from streambank.streams.operators.sink import Sink
from streambank.streams.operators.source import Source
from streambank.streams.operators.table_source import TableSource
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class Node:
    """One operator in its place: a unique name, and the nodes it gets its records from."""

    name: str
    operator: Operator
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node that a topic enters by."""

    node: str
    topic: Topic[Any, Any]


@dataclass(frozen=True, slots=True)
class SubTopology:
    """Nodes that run together, in an order in which parents come before children; one task per partition.

    ``sources`` are in the order in which they are preferred where timestamps are equal: tables first.
    """

    index: int
    nodes: tuple[Node, ...]
    sources: tuple[SourceNode, ...]
    partitions: int

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores that each of its tasks keeps."""
        stores = {store.name: store for node in self.nodes for store in node.operator.stores}
        return tuple(stores.values())

    @property
    def sinks(self) -> tuple[Topic[Any, Any], ...]:
        """The topics that it writes to, changelogs aside."""
        return tuple(node.operator.topic for node in self.nodes if isinstance(node.operator, Sink))


@dataclass(frozen=True, slots=True)
class Topology:
    """A valid topology.

    ``internal`` are the repartition topics, by their short names; :class:`StreamRunner` prefixes them, and the internal
    changelogs, with its application id.
    """

    sub_topologies: tuple[SubTopology, ...]
    internal: frozenset[str]
    global_tables: tuple[Topic[Any, Any], ...] = ()
    """The topics that every member reads whole, without the group."""

    @property
    def stores(self) -> Mapping[str, StoreSpec]:
        """Every store by name."""
        return {store.name: store for sub in self.sub_topologies for store in sub.stores}

    @property
    def source_topics(self) -> tuple[Topic[Any, Any], ...]:
        """The topics that the group reads, repartition topics included."""
        return tuple(_unique(source.topic for sub in self.sub_topologies for source in sub.sources))

    @property
    def topics(self) -> tuple[Topic[Any, Any], ...]:
        """The topics read and written, global tables and repartition topics included, internal changelogs not."""
        sinks = (topic for sub in self.sub_topologies for topic in sub.sinks)
        return tuple(_unique([*self.source_topics, *self.global_tables, *sinks]))

    def topic_name(self, topic: str, application_id: str) -> str:
        """The name in the log: internal topics carry the application's id."""
        return f"{application_id}-{topic}" if topic in self.internal else topic

    def task_inputs(self, sub: SubTopology, partition: int, application_id: str) -> list[TopicPartition]:
        """What one of the sub-topology's tasks reads."""
        return [TopicPartition(self.topic_name(source.topic.name, application_id), partition) for source in sub.sources]

    def changelog_name(self, store: StoreSpec, application_id: str) -> str:
        """The topic that rebuilds the store."""
        if store.changelog is None:
            return f"{application_id}-{store.name}-changelog"
        return self.topic_name(store.changelog, application_id)

    def topic_configs(self, application_id: str) -> list[TopicConfig]:
        """The settings of every topic that has to exist, internal ones and changelogs included."""
        configs = [
            TopicConfig(
                name=self.topic_name(topic.name, application_id),
                partitions=topic.partitions,
                cleanup_policy=topic.cleanup_policy,
                retention_ms=topic.retention_ms,
            )
            for topic in self.topics
        ]
        for sub in self.sub_topologies:
            configs += [
                TopicConfig(
                    name=self.changelog_name(store, application_id),
                    partitions=sub.partitions,
                    cleanup_policy="compact",
                    delete_retention_ms=_tombstones_ms(store),
                )
                for store in sub.stores
                if store.changelog is None
            ]
        return configs

    def describe(self, format: Format = "text") -> str:  # noqa: A002
        """The topology for people, as text or as a Mermaid flowchart, or for programs, as JSON: see :func:`describe`.

        Both show sub-topologies, nodes with what they own, and where records go next. Raises ValueError for another
        format.
        """
        return describe(self, format)


EXPIRING_DELETE_RETENTION_MS = 600_000
"""How long the changelog of a store whose entries expire keeps its tombstones: longer than a restore takes, no more."""


def _tombstones_ms(store: StoreSpec) -> int:
    return DELETE_RETENTION_MS if store.kind == "key-value" else EXPIRING_DELETE_RETENTION_MS


def build_topology(
    nodes: Sequence[Node], internal: Iterable[str], global_tables: Iterable[Topic[Any, Any]] = ()
) -> Topology:
    """Validate ``nodes`` (parents before children) and cut them into sub-topologies.

    Raises:
        TopologyError: no source, a store or topic owned twice, or inputs that cannot be co-partitioned.
    """
    if not nodes:
        raise TopologyError("the topology reads nothing: start with builder.stream(TOPIC) or builder.table(TOPIC)")
    _check_unique_stores(nodes)
    groups = _connected(nodes)
    subs = tuple(_sub_topology(index, group) for index, group in enumerate(groups))
    _check_sources_read_once(subs)
    return Topology(subs, frozenset(internal), tuple(global_tables))


def _check_unique_stores(nodes: Sequence[Node]) -> None:
    owner: dict[str, tuple[str, StoreSpec]] = {}
    for node in nodes:
        for store in node.operator.stores:
            other, same = owner.setdefault(store.name, (node.name, store))
            if same is not store:
                raise TopologyError(
                    f"operators {other!r} and {node.name!r} both own a store named {store.name!r}: "
                    "give one of them another name=, or to share it, pass both the same StoreSpec object"
                )


def _connected(nodes: Sequence[Node]) -> list[list[Node]]:
    """The nodes in groups joined by edges and by stores read or shared, each group in the given order."""
    leader = {node.name: node.name for node in nodes}
    owner = {store.name: node.name for node in nodes for store in node.operator.stores}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for node in nodes:
        for other in (*node.parents, *node.operator.reads, *(owner[store.name] for store in node.operator.stores)):
            leader[find(node.name)] = find(other)
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(find(node.name), []).append(node)
    return list(groups.values())


def _sub_topology(index: int, nodes: list[Node]) -> SubTopology:
    tables = [SourceNode(node.name, source_topic) for node in nodes if (source_topic := _table_topic(node)) is not None]
    streams = [SourceNode(node.name, node.operator.topic) for node in nodes if isinstance(node.operator, Source)]
    sources = (*tables, *streams)
    counts = {source.topic.name: source.topic.partitions for source in sources}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
        raise TopologyError(
            f"topics that meet in one join or merge need the same number of partitions, but these differ: {listed}. "
            "Put .repartition(partitions=...) before the join, or create the topics alike"
        )
    return SubTopology(index, tuple(nodes), sources, next(iter(counts.values())))


def _table_topic(node: Node) -> Topic[Any, Any] | None:
    return node.operator.topic if isinstance(node.operator, TableSource) else None


def _check_sources_read_once(subs: Sequence[SubTopology]) -> None:
    reader: dict[str, str] = {}
    for sub in subs:
        for source in sub.sources:
            other = reader.setdefault(source.topic.name, source.node)
            if other != source.node:
                raise TopologyError(
                    f"topic {source.topic.name!r} is read by both {other!r} and {source.node!r}: "
                    "read it once and use that stream or table in both places"
                )


def _unique(topics: Iterable[Topic[Any, Any]]) -> Iterator[Topic[Any, Any]]:
    seen: set[str] = set()
    for topic in topics:
        if topic.name not in seen:
            seen.add(topic.name)
            yield topic
