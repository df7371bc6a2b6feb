"""stream-table join as of the record's time: with the row that its key had then in a versioned table (KIP-914)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from streambank.streams.errors import TopologyError
from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext
from streambank.streams.operators.stream_table_join import StreamTableJoin
from streambank.streams.operators.versioned_table import History
from streambank.streams.serde import Serde
from streambank.streams.stores.join_grace_buffer import join_grace_buffer


@dataclass(frozen=True, slots=True)
class StreamVersionedTableJoin(Stateless):
    """As :class:`~streambank.streams.operators.stream_table_join.StreamTableJoin`, with the row as of the record.

    With a ``buffer``, records wait there until the stream has come ``grace_ms`` further, so that rows that are late can
    still come first (KIP-923). They are joined in the order of their timestamps, as of the moment when they leave the
    buffer; a record that is already older than that is joined at once, and so is a null key in a left join.
    """

    table: str
    joiner: Callable[[Any, Any], Any]
    left: bool
    grace_ms: int = 0
    buffer: StoreSpec | None = None
    kind: str = "stream-versioned-table-join"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The records that wait."""
        return () if self.buffer is None else (self.buffer,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The table."""
        return (self.table,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined record, now or when its grace is over."""
        row_of, joiner, left, drop = context.view(self.table), self.joiner, self.left, context.drop

        def join(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            stored = row_of(key, timestamp)
            if stored is not None:
                forward(key, joiner(value, stored[0]), timestamp, headers)
            elif left:
                forward(key, joiner(value, None), timestamp, headers)

        keyed = join if self.buffer is None else self._delayed(context.store(self.buffer.name), join)

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if value is None:
                drop("null value")
            elif key is not None:
                keyed(key, value, timestamp, headers)
            elif left:
                forward(key, joiner(value, None), timestamp, headers)
            else:
                drop("null key")

        return process

    def _delayed(self, buffer: Any, join: Process) -> Process:
        put, evict, grace_ms = buffer.put, buffer.evict, self.grace_ms

        def delay(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            observed_time: int = buffer.observed_time
            if timestamp < observed_time - grace_ms:
                join(key, value, timestamp, headers)
                return
            put(key, value, timestamp, headers)
            if timestamp > observed_time:
                buffer.observed_time = observed_time = timestamp
            for due in evict(observed_time - grace_ms):
                join(*due)

        return delay


def versioned_join(
    name: str,
    join: StreamTableJoin,
    history: History | None,
    serdes: tuple[Serde[Any], Serde[Any]],
    grace_ms: int | None,
) -> StreamVersionedTableJoin:
    """``join`` as of the record's time, after ``grace_ms`` if given; ``serdes`` are the stream's, for its buffer.

    Raises:
        TopologyError: the grace period needs more history than the table has.
    """
    if history is None:
        raise TopologyError(
            f"join {name!r}: grace_ms needs a versioned table: give builder.table() a history_retention_ms of at least "
            f"{grace_ms}, or leave grace_ms out"
        )
    as_of = StreamVersionedTableJoin(join.table, join.joiner, join.left)
    if grace_ms is None:
        return as_of
    if grace_ms < 0:
        raise TopologyError(f"join {name!r}: grace_ms must not be negative, but is {grace_ms}")
    if history.retention_ms < grace_ms:
        raise TopologyError(
            f"join {name!r}: history retention must be at least the grace period, but {history.node!r} keeps "
            f"{history.retention_ms} ms and grace_ms is {grace_ms}: raise history_retention_ms, or lower grace_ms"
        )
    return replace(as_of, grace_ms=grace_ms, buffer=join_grace_buffer(f"{name}-buffer", *serdes))
