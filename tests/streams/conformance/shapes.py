"""Turns a case's ``topology`` into a topology of ours, one function for each kind."""

import re
from collections.abc import Callable
from typing import Any

from tests.streams.conformance.cases import Case
from tests.streams.support import ANY, topic

from streambank.streams import (
    JoinWindows,
    KTable,
    SessionWindows,
    SlidingWindows,
    StreamBuilder,
    Suppressed,
    TimeWindows,
    Topology,
    Windowed,
)
from streambank.streams.windowed_kstream import Emit

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
    join: Any = {"inner": stream.join, "left": stream.left_join}[shape["how"]]
    join(table, joiner_of(shape["joiner"]), grace_ms=shape.get("grace_ms")).to(topic("output"))


def _stream_global_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    stream, table = builder.stream(topic(shape["stream"])), builder.global_table(topic(shape["table"]))
    join: Any = {"inner": stream.join, "left": stream.left_join}[shape["how"]]
    key_selector = function(shape["dsl"].partition("key_mapper=")[2].removesuffix(", joiner)"))
    join(table, key_selector, joiner_of(shape["joiner"])).to(topic("output"))


def _table_table_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    left, right = _table(builder, shape, "left"), _table(builder, shape, "right")
    join = {"inner": left.join, "left": left.left_join, "outer": left.outer_join}[shape["how"]]
    join(right, joiner_of(shape["joiner"])).to_stream().to(topic("output"))


def _table_filter(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    table, predicate = builder.table(topic(shape["source"])), function(shape["predicate"])
    passing, rejected = shape["outputs"]
    table.filter(predicate).to_stream().to(topic(passing))
    table.filter_not(predicate).to_stream().to(topic(rejected))


def _windowed_aggregate(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    windowed = builder.stream(topic(shape["source"])).group_by_key().windowed_by(_time_windows(shape["window"]))
    initial = function(f"lambda _=None: {shape['initializer']}")
    aggregator = function(shape["aggregator"])
    _write(windowed.aggregate(initial, aggregator, name="aggregate", value=ANY, emit=EMITS[shape["emit"]]), "output")


def _windowed_count(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    windowed = builder.stream(topic(shape["source"])).group_by_key().windowed_by(_time_windows(shape["window"]))
    _write(windowed.count(name="count", emit=EMITS[shape["emit"]]), "output")


def _session_count(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    window = shape["window"]
    windows = SessionWindows(window["gap_ms"], window["grace_ms"])
    sessions = builder.stream(topic(shape["source"])).group_by_key().windowed_by(windows)
    # What the stores of Kafka Streams' own session tests keep.
    retention_ms = max(3 * window["gap_ms"], windows.retention_ms)
    _write(sessions.count(name="count", emit=EMITS[shape["emit"]], retention_ms=retention_ms), "output")


def _stream_stream_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    left, right = builder.stream(topic(shape["left"])), builder.stream(topic(shape["right"]))
    windows = JoinWindows(shape["before_ms"], shape["after_ms"], shape["grace_ms"])
    join: Any = {"inner": left.join, "left": left.left_join, "outer": left.outer_join}[shape["how"]]
    join(right, joiner_of(shape["joiner"]), windows=windows, name="join").to(topic("output"))


def _table_table_fk_join(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    left, right = _table(builder, shape, "left"), _table(builder, shape, "right")
    join: Any = {"inner": left.foreign_key_join, "left": left.foreign_key_left_join}[shape["how"]]
    joined = join(right, function(shape["fk_extractor"]), joiner_of(shape["joiner"]), name="join")
    joined.to_stream().to(topic("output"))


def _table_group_aggregate(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    grouped = builder.table(topic(shape["source"])).group_by(function(shape["selector"]), key=ANY, value=ANY)
    initial = function(f"lambda _=None: {shape['initializer']}")
    adder, subtractor = function(shape["adder"]), function(shape["subtractor"])
    grouped.aggregate(initial, adder, subtractor, name="aggregate", value=ANY).to_stream().to(topic("output"))


def _table_group_count(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    grouped = builder.table(topic(shape["source"])).group_by(function(shape["selector"]), key=ANY, value=ANY)
    grouped.count(name="count").to_stream().map_values(lambda count: count, value=ANY).to(topic("output"))


def _table_group_count_suppress(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    grouped = builder.table(topic(shape["source"])).group_by(lambda key, value: (value, key), key=ANY, value=ANY)
    to_outputs(shape, grouped.count(name="count"))


def _windowed_count_suppress(builder: StreamBuilder, shape: dict[str, Any]) -> None:
    window = shape["window"]
    grouped = builder.stream(topic(shape["source"])).group_by_key()
    if window["type"] == "session":
        windows = SessionWindows(window["gap_ms"], window["grace_ms"])
        to_outputs(shape, grouped.windowed_by(windows).count(name="count"))
    else:
        to_outputs(shape, grouped.windowed_by(_time_windows(window)).count(name="count"))


def _time_windows(window: dict[str, Any]) -> TimeWindows | SlidingWindows:
    if window["type"] == "sliding":
        return SlidingWindows(window["time_difference_ms"], window["grace_ms"])
    return TimeWindows.hopping(window["size_ms"], window["advance_ms"], window["grace_ms"])


def _write(table: KTable[Windowed[Any], Any], name: str) -> None:
    """The windows as the cases write them."""
    table.to_stream().select_key(lambda windowed, _value: windowed._asdict(), key=ANY).to(topic(name))


EMITS: dict[str, Emit] = {"on_update": "update", "on_window_close": "final"}


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


def _table(builder: StreamBuilder, shape: dict[str, Any], side: str) -> KTable[Any, Any]:
    """The side's table: of its own store, ``left_store``, or of that of every table, ``table_store``."""
    store = shape.get(f"{side}_store", shape.get("table_store", "plain"))
    retentions = {"plain": None, "versioned": shape.get("history_retention_ms", KAFKA_TESTS_HISTORY_RETENTION_MS)}
    return builder.table(topic(shape[side]), history_retention_ms=retentions[store])


KINDS: dict[str, Callable[[StreamBuilder, dict[str, Any]], None]] = {
    "stream_global_table_join": _stream_global_table_join,
    "stream_table_join": _stream_table_join,
    "table_table_join": _table_table_join,
    "table_filter": _table_filter,
    "windowed_aggregate": _windowed_aggregate,
    "windowed_count": _windowed_count,
    "session_count": _session_count,
    "stream_stream_join": _stream_stream_join,
    "table_table_fk_join": _table_table_fk_join,
    "table_group_aggregate": _table_group_aggregate,
    "table_group_count": _table_group_count,
    "table_group_count_suppress": _table_group_count_suppress,
    "windowed_count_suppress": _windowed_count_suppress,
}
