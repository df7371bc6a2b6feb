"""flat_map: any number of records for each record, with keys of their own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class FlatMap(Stateless):
    """``mapper(key, value) -> [(key, value), ...]``."""

    mapper: Callable[[Any, Any], Iterable[tuple[Any, Any]]]
    kind: str = "flat-map"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward each mapped record in order, with the timestamp and headers of the one it came from."""
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            for new_key, new_value in mapper(key, value):
                forward(new_key, new_value, timestamp, headers)

        return process
