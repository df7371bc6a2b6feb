"""map: another key and value for each record. The key may change, so what groups or joins next is repartitioned."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class Map(Stateless):
    """``mapper(key, value) -> (key, value)``."""

    mapper: Callable[[Any, Any], tuple[Any, Any]]
    kind: str = "map"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the mapped record with the same timestamp and headers."""
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            new_key, new_value = mapper(key, value)
            forward(new_key, new_value, timestamp, headers)

        return process
