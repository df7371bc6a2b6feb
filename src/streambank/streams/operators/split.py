"""split: each record to the first branch that takes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext

Predicate = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Branch(Stateless):
    """One branch of a split: what ``predicate`` takes and no earlier branch did.

    The branches of a split hang side by side on the same parent, so each repeats the questions of those before it;
    ``predicate`` None takes all the rest.
    """

    earlier: tuple[Predicate, ...]
    predicate: Predicate | None
    kind: str = "branch"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the record if it belongs to this branch."""
        earlier, predicate = self.earlier, self.predicate

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            for taken in earlier:
                if taken(key, value):
                    return
            if predicate is None or predicate(key, value):
                forward(key, value, timestamp, headers)

        return process
