"""map_values: another value for each record; the key stays, so nothing is repartitioned."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class MapValues(Stateless):
    """``mapper(value) -> value``."""

    mapper: Callable[[Any], Any]
    kind: str = "map-values"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the record with its mapped value."""
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            forward(key, mapper(value), timestamp, headers)

        return process
