"""merge: the records of several streams as one. Each stream keeps its order; between them time decides."""

from dataclasses import dataclass

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class Merge(Stateless):
    """Passes on what any of its parents sends."""

    kind: str = "merge"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Records pass through as they are."""
        return forward
