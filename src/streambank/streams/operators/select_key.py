"""select_key: another key for each record. What groups or joins next is repartitioned by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class SelectKey(Stateless):
    """``selector(key, value) -> key``."""

    selector: Callable[[Any, Any], Any]
    kind: str = "select-key"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the record under its new key."""
        selector = self.selector

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            forward(selector(key, value), value, timestamp, headers)

        return process
