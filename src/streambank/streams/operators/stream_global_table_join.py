"""stream-global-table join: each record of a stream with the row of a key found in it, in a table that is all there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class StreamGlobalTableJoin(Stateless):
    """``key_selector(key, value) -> row key``, ``joiner(value, row) -> value``.

    The result keeps the stream record's key and timestamp. Only the selected key matters: an inner join drops and
    counts a record where that is null, and leaves out one whose row is missing; a left join passes None for both
    (KIP-962). Records with a null value are dropped and counted, and no key is selected for them.
    """

    global_table: str
    """The topic of the global table."""
    key_selector: Callable[[Any, Any], Any]
    joiner: Callable[[Any, Any], Any]
    left: bool
    kind: str = "stream-global-table-join"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined record."""
        row_of, drop = context.global_view(self.global_table), context.drop
        select, joiner, left = self.key_selector, self.joiner, self.left

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if value is None:
                drop("null value")
                return
            row_key = select(key, value)
            stored = None if row_key is None else row_of(row_key)
            if stored is not None:
                forward(key, joiner(value, stored[0]), timestamp, headers)
            elif left:
                forward(key, joiner(value, None), timestamp, headers)
            elif row_key is None:
                drop("null key")

        return process
