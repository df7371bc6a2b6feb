"""peek: look at each record on its way. What the action does elsewhere is outside exactly-once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class Peek(Stateless):
    """Calls ``action(key, value)`` and passes the record on."""

    action: Callable[[Any, Any], object]
    kind: str = "peek"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the record unchanged after the action."""
        action = self.action

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            action(key, value)
            forward(key, value, timestamp, headers)

        return process
