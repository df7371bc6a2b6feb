"""Global tables: a whole topic, whatever its partitions, at hand in every member of the application."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streambank.streams.infer import returned_value
from streambank.streams.operators.stream_global_table_join import StreamGlobalTableJoin
from streambank.streams.serde import Serde
from streambank.streams.topic import Topic

if TYPE_CHECKING:
    from streambank.streams.builder import StreamBuilder
    from streambank.streams.kstream import KStream

K = TypeVar("K")
V = TypeVar("V")


class GlobalKTable(Generic[K, V]):
    """The newest value of each key of a topic, for streams to be joined with, by whatever key.

    Every member reads all partitions before it processes anything, and what is new before each of its polls is
    processed. Streams need not be partitioned alike. Nor is the table at the streams' time: a record sees what was
    written when it is processed, not what had been at its timestamp, so that a replay may come out differently.

    Error policies do not apply: a record with a null key, or one that cannot be decoded, is counted as dropped and
    passed over, with a warning.
    """

    def __init__(self, builder: StreamBuilder, topic: Topic[K, V]) -> None:
        self._builder = builder
        self._topic = topic


def join_global_table(
    stream: KStream[Any, Any],
    table: GlobalKTable[Any, Any],
    key_selector: Callable[[Any, Any], Any],
    joiner: Callable[[Any, Any], Any],
    *,
    left: bool,
    name: str | None,
    value: Serde[Any] | None,
) -> KStream[Any, Any]:
    """The stream with each record joined with the row of the key that ``key_selector`` finds in it."""
    stream._same_builder(table._builder)
    operator = StreamGlobalTableJoin(table._topic.name, key_selector, joiner, left)
    name = name or stream._builder.automatic_name(operator.kind)
    return stream._derive(operator, name=name, value=value or returned_value(joiner, f"join {name!r}"))
