"""late records: those that a windowed operator has turned away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext

IsLate = Callable[[Any, Any, Any, int], bool]
"""Whether a record was too late: the operator's store, key, value, timestamp."""


@dataclass(frozen=True, slots=True)
class LateRecords(Stateless):
    """Passes on the records that were too late for every window of theirs.

    Stands beside the windowed operator, gets the same records right after it, and asks ``is_late(store, key, value,
    timestamp)``: the operator's time does not move with a record that is late, so that it can be asked again.
    """

    operator: str
    """The node of the windowed operator, which has a store of the same name."""
    is_late: IsLate
    kind: str = "late-records"

    @property
    def reads(self) -> tuple[str, ...]:
        """The windowed operator: its store tells what was late."""
        return (self.operator,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward what is late."""
        store, is_late = context.store(self.operator), self.is_late

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is not None and is_late(store, key, value, timestamp):
                forward(key, value, timestamp, headers)

        return process
