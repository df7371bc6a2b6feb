"""filter: only the records that a predicate accepts (or, inverted, rejects)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class Filter(Stateless):
    """``predicate(key, value) -> bool``."""

    predicate: Callable[[Any, Any], bool]
    keep: bool = True
    kind: str = "filter"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the record if the predicate says ``keep``."""
        predicate, keep = self.predicate, self.keep

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if bool(predicate(key, value)) is keep:
                forward(key, value, timestamp, headers)

        return process
