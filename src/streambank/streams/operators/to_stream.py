"""to_stream: a table's updates as a stream, tombstones included."""

from dataclasses import dataclass

from streambank.streams.operators.base import Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class ToStream(Stateless):
    """Passes on each update's new value; None where the key was deleted."""

    kind: str = "to-stream"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """A table's updates are a stream as they are."""
        return forward
