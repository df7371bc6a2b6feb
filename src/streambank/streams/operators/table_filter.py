"""filter on a table: the rows that a predicate accepts; a row that no longer passes is deleted downstream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, Stored, TaskContext, View


@dataclass(frozen=True, slots=True)
class TableFilter(Stateless):
    """``predicate(key, value) -> bool``.

    A rejected value becomes a tombstone. Where old values are known (``old_values``), since the table before is kept or
    something downstream needs them, a tombstone for a row that did not pass before is left out; where they are not, it
    is sent, as Kafka Streams does.
    """

    parent: str
    predicate: Callable[[Any, Any], bool]
    keep: bool = True
    old_values: bool = False
    kind: str = "table-filter"

    @property
    def view_of(self) -> tuple[str, ...]:
        """The parent."""
        return (self.parent,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the update as the filtered table sees it."""
        passing, old_values = self._passing(), self.old_values

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            new = passing(key, value)
            before = passing(key, old) if old_values else None
            if old_values and new is None and before is None:
                return
            forward(key, new, timestamp, headers, before)

        return process

    def view(self, context: TaskContext) -> View:
        """The parent's entries that pass."""
        parent, passing = context.view(self.parent), self._passing()

        def view(key: Any, *as_of: int) -> Stored | None:
            stored = parent(key, *as_of)
            return stored if stored is not None and passing(key, stored[0]) is not None else None

        return view

    def _passing(self) -> Callable[[Any, Any], Any]:
        predicate, keep = self.predicate, self.keep

        def passing(key: Any, value: Any) -> Any:
            return value if value is not None and bool(predicate(key, value)) is keep else None

        return passing
