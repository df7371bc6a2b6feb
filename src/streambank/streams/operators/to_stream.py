"""to_stream: a table's updates as a stream, tombstones included."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Change, Process, Stateless, TaskContext


@dataclass(frozen=True, slots=True)
class ToStream(Stateless):
    """Forwards each update's new value; None where the key was deleted."""

    kind: str = "to-stream"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Forward the new value under the same key."""

        def process(key: Any, change: Change, timestamp: int, headers: bytes | None) -> None:
            forward(key, change[0], timestamp, headers)

        return process
