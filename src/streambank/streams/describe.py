"""Shows a topology: as text, as a Mermaid flowchart, or as JSON for other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from streambank.streams.operators.sink import Sink
from streambank.streams.operators.stream_global_table_join import StreamGlobalTableJoin

if TYPE_CHECKING:
    from streambank.streams.topic import Topic
    from streambank.streams.topology import Node, SubTopology, Topology

Format: TypeAlias = Literal["text", "mermaid", "json"]

JSON_VERSION = 1
"""Raised when a member of the JSON changes its meaning or goes away; new members do not raise it."""


def describe(topology: Topology, format_: Format) -> str:
    """The topology in that format. Raises ValueError for an unknown one.

    The JSON has ``version``; ``sub_topologies``, each with ``index``, ``partitions`` and ``nodes``; ``stores`` and
    ``topics``. A node has ``name``, ``kind``, ``parents``, the ``topic`` that it reads or writes (or null), the
    ``stores`` it owns, the nodes whose tables it ``reads``, and the topic of a global table (``reads_global_table``, or
    null). A store has ``name``, ``kind``, ``changelog`` (the
    topic's name; null for an internal one) and ``retention_ms`` (or null). A topic has ``name``, ``partitions``,
    ``cleanup_policy``, ``retention_ms`` and ``internal``: whether the application's id goes before its name. Nodes are
    in an order in which parents come first, everything else is in the order of the nodes.
    """
    if format_ == "text":
        return "\n".join(_text(topology))
    if format_ == "mermaid":
        return "\n".join(_mermaid(topology))
    if format_ == "json":
        return json.dumps(_data(topology), indent=2)
    raise ValueError(f"a topology is described as 'text', 'mermaid' or 'json', not {format_!r}")


def _topic(node: Node) -> Topic[Any, Any] | None:
    topic: Topic[Any, Any] | None = getattr(node.operator, "topic", None)
    return topic


def _all_topics(topology: Topology) -> list[Topic[Any, Any]]:
    """The topics read and written, and those of global tables that are not among them."""
    topics = {topic.name: topic for topic in (*topology.topics, *topology.global_tables)}
    return list(topics.values())


def _children(sub: SubTopology) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {node.name: [] for node in sub.nodes}
    for node in sub.nodes:
        for parent in node.parents:
            children[parent].append(node.name)
    return children


def _text(topology: Topology) -> Iterator[str]:
    for sub in topology.sub_topologies:
        children = _children(sub)
        yield _title(sub)
        for node in sub.nodes:
            yield f"  {node.name} [{node.operator.kind}]{_details(node)}"
            for child in children[node.name]:
                yield f"    --> {child}"
    for topic in topology.global_tables:
        yield f"Global table {topic.name} (all {topic.partitions} partitions in every member)"


def _title(sub: SubTopology) -> str:
    return f"Sub-topology {sub.index} ({sub.partitions} tasks)"


def _details(node: Node) -> str:
    operator, topic = node.operator, _topic(node)
    details = [f"topic {topic.name}"] if topic is not None else []
    details += [f"store {store.name} (changelog: {store.changelog or 'internal'})" for store in operator.stores]
    details += [f"reads {name}" for name in operator.reads]
    if isinstance(operator, StreamGlobalTableJoin):
        details.append(f"reads global table {operator.global_table}")
    return f" {', '.join(details)}" if details else ""


def _mermaid(topology: Topology) -> Iterator[str]:
    nodes = [node for sub in topology.sub_topologies for node in sub.nodes]
    node_id = {node.name: f"node{number}" for number, node in enumerate(nodes)}
    topics = _all_topics(topology)
    topic_id = {topic.name: f"topic{number}" for number, topic in enumerate(topics)}
    store_id = {store: f"store{number}" for number, store in enumerate(topology.stores)}
    yield "flowchart TD"
    for topic in topics:
        yield f"  {topic_id[topic.name]}[/{_label(topic.name)}/]"
    for sub in topology.sub_topologies:
        yield f"  subgraph sub{sub.index}[{_label(_title(sub))}]"
        for node in sub.nodes:
            yield f"    {node_id[node.name]}[{_label(f'{node.name}: {node.operator.kind}')}]"
        for store in sub.stores:
            yield f"    {store_id[store.name]}[({_label(store.name)})]"
        yield "  end"
    for node in nodes:
        at, entered = node_id[node.name], _topic(node)
        for parent in node.parents:
            yield f"  {node_id[parent]} --> {at}"
        if entered is not None:
            ends = (at, topic_id[entered.name]) if isinstance(node.operator, Sink) else (topic_id[entered.name], at)
            yield f"  {ends[0]} --> {ends[1]}"
        for store in node.operator.stores:
            yield f"  {at} --- {store_id[store.name]}"
        for read in node.operator.reads:
            yield f"  {node_id[read]} -.-> {at}"
        if isinstance(node.operator, StreamGlobalTableJoin):
            yield f"  {topic_id[node.operator.global_table]} -.-> {at}"


def _label(text: str) -> str:
    """A quoted label. What Mermaid could take for its own syntax goes as an entity: its number between # and ;."""
    return '"' + re.sub(r"[^\w .,:()/+-]", lambda found: f"#{ord(found[0])};", text) + '"'


def _data(topology: Topology) -> dict[str, Any]:
    return {
        "version": JSON_VERSION,
        "sub_topologies": [
            {
                "index": sub.index,
                "partitions": sub.partitions,
                "nodes": [
                    {
                        "name": node.name,
                        "kind": node.operator.kind,
                        "parents": list(node.parents),
                        "topic": topic.name if (topic := _topic(node)) is not None else None,
                        "stores": [store.name for store in node.operator.stores],
                        "reads": list(node.operator.reads),
                        "reads_global_table": getattr(node.operator, "global_table", None),
                    }
                    for node in sub.nodes
                ],
            }
            for sub in topology.sub_topologies
        ],
        "stores": [
            {
                "name": store.name,
                "kind": store.kind,
                "changelog": store.changelog,
                "retention_ms": store.retention_ms,
            }
            for store in topology.stores.values()
        ],
        "topics": [
            {
                "name": topic.name,
                "partitions": topic.partitions,
                "cleanup_policy": topic.cleanup_policy,
                "retention_ms": topic.retention_ms,
                "internal": topic.name in topology.internal,
            }
            for topic in _all_topics(topology)
        ],
    }
