"""source: the records of a topic enter the topology."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class Source(Stateless):
    """Reads ``topic``; the task decodes the records."""

    topic: Topic[Any, Any]
    kind: str = "source"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Records pass through as they are."""
        return forward
