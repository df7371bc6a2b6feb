"""table-table join: a table of the rows that two tables have under the same key, kept up to date by both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, Stored, TaskContext, View


@dataclass(frozen=True, slots=True)
class TableTableJoinSide(Stateless):
    """One side of the join: updates of that side, joined with what the other side holds.

    ``joiner`` takes left and right value whichever side this is. The result's timestamp is the higher of the two. An
    optional side (the right one of a left join, both of an outer join) may be None; otherwise an update whose other
    side is absent sends nothing, and a delete whose other side is present sends a tombstone even if nothing was joined
    before.
    """

    other: str
    joiner: Callable[[Any, Any], Any]
    this_is_left: bool
    other_optional: bool
    this_optional: bool
    old_values: bool = False
    kind: str = "table-table-join"

    @property
    def wants_old(self) -> bool:
        """Where the other side may be absent, only the old value tells whether a tombstone is due."""
        return self.other_optional

    @property
    def reads(self) -> tuple[str, ...]:
        """The other table."""
        return (self.other,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the joined table's update."""
        other_of, old_values = context.view(self.other), self.old_values
        other_optional, joined = self.other_optional, self._joined()

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            stored = other_of(key)
            if stored is None:
                if not other_optional or (value is None and old is None):
                    return
                other = None
            else:
                other, other_timestamp = stored
                if other_timestamp > timestamp:
                    timestamp = other_timestamp
            forward(key, joined(value, other), timestamp, headers, joined(old, other) if old_values else None)

        return process

    def _joined(self) -> Callable[[Any, Any], Any]:
        joiner, this_is_left, this_optional = self.joiner, self.this_is_left, self.this_optional

        def joined(this: Any, other: Any) -> Any:
            if this is None and (other is None or not this_optional):
                return None
            return joiner(this, other) if this_is_left else joiner(other, this)

        return joined


@dataclass(frozen=True, slots=True)
class TableTableJoin(Stateless):
    """The joined table: passes on what either side sends, and reads both tables when it is read itself."""

    left: str
    right: str
    joiner: Callable[[Any, Any], Any]
    left_optional: bool
    right_optional: bool
    kind: str = "table-table-join-result"

    @property
    def reads(self) -> tuple[str, ...]:
        """Both tables."""
        return (self.left, self.right)

    @property
    def view_of(self) -> tuple[str, ...]:
        """Both tables."""
        return (self.left, self.right)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Updates pass through as they are."""
        return forward

    def view(self, context: TaskContext) -> View:
        """The two tables' entries, joined when they are read."""
        left_of, right_of = context.view(self.left), context.view(self.right)
        joiner, left_optional, right_optional = self.joiner, self.left_optional, self.right_optional

        def view(key: Any) -> Stored | None:
            left, right = left_of(key), right_of(key)
            present = [each for each in (left, right) if each is not None]
            if not present or (left is None and not left_optional) or (right is None and not right_optional):
                return None
            value = joiner(None if left is None else left[0], None if right is None else right[0])
            return None if value is None else (value, max(timestamp for _, timestamp in present))

        return view
