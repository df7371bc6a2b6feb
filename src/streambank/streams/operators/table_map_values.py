"""map_values on a table: the same rows with other values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, Stored, TaskContext, View


@dataclass(frozen=True, slots=True)
class TableMapValues(Stateless):
    """``mapper(value) -> value``; a deleted row stays deleted and is not mapped."""

    parent: str
    mapper: Callable[[Any], Any]
    old_values: bool = False
    kind: str = "table-map-values"

    @property
    def view_of(self) -> tuple[str, ...]:
        """The parent."""
        return (self.parent,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the update with mapped values."""
        mapper, old_values = self.mapper, self.old_values

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            before = mapper(old) if old_values and old is not None else None
            forward(key, None if value is None else mapper(value), timestamp, headers, before)

        return process

    def view(self, context: TaskContext) -> View:
        """The parent's entries, mapped when they are read."""
        parent, mapper = context.view(self.parent), self.mapper

        def view(key: Any, *as_of: int) -> Stored | None:
            stored = parent(key, *as_of)
            if stored is None:
                return None
            value = mapper(stored[0])
            return None if value is None else (value, stored[1])

        return view
