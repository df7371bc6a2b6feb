"""flat_map_values: any number of values for each value, under the same key."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class FlatMapValues(Stateless):
    """``mapper(value) -> [value, ...]``."""

    mapper: Callable[[Any], Iterable[Any]]
    kind: str = "flat-map-values"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward each value in order."""
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            for new_value in mapper(value):
                forward(key, new_value, timestamp, headers)

        return process
