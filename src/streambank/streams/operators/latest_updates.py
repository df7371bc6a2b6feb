"""latest updates of a versioned table: what joins and aggregations see of it."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class LatestUpdates(Stateless):
    """Passes on the updates that are their key's latest; those out of order are counted as dropped (KIP-914).

    Stands behind the versioned table ``table``, or behind what keeps its keys and timestamps: a filter, map_values.
    """

    table: str
    store: str
    """The store that keeps the table's history."""
    kind: str = "latest-updates"

    @property
    def reads(self) -> tuple[str, ...]:
        """The versioned table."""
        return (self.table,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """The store has the update already, so it knows of a newer one."""
        is_latest, drop = context.store(self.store).is_latest, context.drop

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if is_latest(key, timestamp):
                forward(key, value, timestamp, headers, old)
            else:
                drop("out of order")

        return process
