"""Turns a case's ``topology`` into a topology of ours, one function for each kind."""

import re
from collections.abc import Callable
from typing import Any

from tests.streams.conformance.cases import Case
from tests.streams.support import ANY, topic

from streambank.streams import KTable, StreamBuilder, Suppressed, Topology
from streambank.streams.windowed import Windowed


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
    _only(shape, "table_store", "plain")
    stream, table = builder.stream(topic(shape["stream"])), builder.table(topic(shape["table"]))
    join: Any = {"inner": stream.join, "left": stream.left_join}[shape["how"]]
    join(table, joiner_of(shape["joiner"])).to(topic("output"))


def _stream_global_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    stream, table = builder.stream(topic(shape["stream"])), builder.global_table(topic(shape["table"]))
    join: Any = {"inner": stream.join, "left": stream.left_join}[shape["how"]]
    key_selector = function(shape["dsl"].partition("key_mapper=")[2].removesuffix(", joiner)"))
    join(table, key_selector, joiner_of(shape["joiner"])).to(topic("output"))


def _table_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    _only(shape, "table_store", "plain")
    left, right = builder.table(topic(shape["left"])), builder.table(topic(shape["right"]))
    join = {"inner": left.join, "left": left.left_join}[shape["how"]]
    join(right, joiner_of(shape["joiner"])).to_stream().to(topic("output"))


def _table_filter(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    table, predicate = builder.table(topic(shape["source"])), function(shape["predicate"])
    passing, rejected = shape["outputs"]
    table.filter(predicate).to_stream().to(topic(passing))
    table.filter_not(predicate).to_stream().to(topic(rejected))


def to_outputs(shape: dict[str, Any], counts: KTable[Any, Any]) -> None:
    """A case's counts to its first output, and suppressed to its second; windowed keys as the cases have them."""
    raw, suppressed = shape["outputs"]
    how = shape["suppress"]
    _only(how, "buffer", "unbounded")
    until_closes = {"time_limit": False, "window_closes": True}[how["until"]]
    until = Suppressed.until_window_closes() if until_closes else Suppressed.until_time_limit(how["wait_ms"])
    for table, output in ((counts, raw), (counts.suppress(until, name="suppressed"), suppressed)):
        table.to_stream().map(_plain_key, key=ANY, value=ANY).to(topic(output))


def _plain_key(key: Any, value: Any) -> tuple[Any, Any]:
    return key._asdict() if isinstance(key, Windowed) else key, value


def _only(shape: dict[str, Any], setting: str, expected: str) -> None:
    if shape.get(setting, expected) != expected:
        raise ValueError(f"{setting} {shape[setting]!r} cannot be built yet")


KINDS: dict[str, Callable[[StreamBuilder, dict[str, Any]], None]] = {
    "stream_global_table_join": _stream_global_table_join,
    "stream_table_join": _stream_table_join,
    "table_table_join": _table_table_join,
    "table_filter": _table_filter,
}
