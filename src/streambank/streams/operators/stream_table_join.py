"""stream-table join: each record of a stream with the row that its key has in a table at that moment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class StreamTableJoin(Stateless):
    """``joiner(value, row) -> value``.

    Only stream records trigger; updates of the table never do. The result has the stream record's timestamp. An inner
    join drops a record whose key has no row; a left join passes None, also for a null key (KIP-962). Records with a
    null value, and in an inner join those with a null key, are counted as dropped.
    """

    table: str
    joiner: Callable[[Any, Any], Any]
    left: bool
    kind: str = "stream-table-join"

    @property
    def reads(self) -> tuple[str, ...]:
        """The table."""
        return (self.table,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined record."""
        row_of, joiner, left, drop = context.view(self.table), self.joiner, self.left, context.drop

        def unmatched(key: Any, value: Any, timestamp: int, headers: bytes | None) -> None:
            if value is None:
                drop("null value")
            elif left:
                forward(key, joiner(value, None), timestamp, headers)
            elif key is None:
                drop("null key")

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            stored = None if key is None else row_of(key)
            if stored is None or value is None:
                unmatched(key, value, timestamp, headers)
            else:
                forward(key, joiner(value, stored[0]), timestamp, headers)

        return process
