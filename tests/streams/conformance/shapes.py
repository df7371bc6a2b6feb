"""Turns a case's ``topology`` into a topology of ours, one function for each kind."""

import re
from collections.abc import Callable
from typing import Any

from tests.streams.conformance.cases import Case
from tests.streams.support import topic

from streambank.streams import KTable, StreamBuilder, Topology

KAFKA_TESTS_HISTORY_RETENTION_MS = 300_000
"""What the versioned stores of Kafka Streams' join tests keep."""


def build_case(case: Case) -> Topology:
    """The topology of a case whose kind is in :data:`KINDS`."""
    builder = StreamBuilder()
    KINDS[case["topology"]["kind"]](builder, case["topology"])
    return builder.build()


def function(text: str) -> Callable[..., Any]:
    """The Python lambda within a case's text, such as ``value_joiner = lambda l, r: f"{l}-{r}"  (a remark)``."""
    found = re.search(r"lambda .*?(?=\s{2,}\(|$)", text)
    if found is None:
        raise ValueError(f"no lambda in {text!r}")
    compiled: Callable[..., Any] = eval(found[0], {})
    return compiled


def joiner_of(text: str) -> Callable[[Any, Any], str]:
    """A joiner that prints None as Java prints null."""
    joined = function(text)

    def join(left: Any, right: Any) -> str:
        return str(joined(*("null" if value is None else value for value in (left, right))))

    return join


def _stream_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    stream, table = builder.stream(topic(shape["stream"])), _table(builder, shape, "table")
    join = {"inner": stream.join, "left": stream.left_join}[shape["how"]]
    join(table, joiner_of(shape["joiner"]), grace_ms=shape.get("grace_ms")).to(topic("output"))


def _table_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    left, right = _table(builder, shape, "left"), _table(builder, shape, "right")
    join = {"inner": left.join, "left": left.left_join}[shape["how"]]
    join(right, joiner_of(shape["joiner"])).to_stream().to(topic("output"))


def _table_filter(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    table, predicate = builder.table(topic(shape["source"])), function(shape["predicate"])
    passing, rejected = shape["outputs"]
    table.filter(predicate).to_stream().to(topic(passing))
    table.filter_not(predicate).to_stream().to(topic(rejected))


def _table(builder: StreamBuilder, shape: dict[str, Any], side: str) -> KTable[Any, Any]:
    """The side's table: of its own store, ``left_store``, or of that of every table, ``table_store``."""
    store = shape.get(f"{side}_store", shape.get("table_store", "plain"))
    retentions = {"plain": None, "versioned": shape.get("history_retention_ms", KAFKA_TESTS_HISTORY_RETENTION_MS)}
    return builder.table(topic(shape[side]), history_retention_ms=retentions[store])


KINDS: dict[str, Callable[[StreamBuilder, dict[str, Any]], None]] = {
    "stream_table_join": _stream_table_join,
    "table_table_join": _table_table_join,
    "table_filter": _table_filter,
}
