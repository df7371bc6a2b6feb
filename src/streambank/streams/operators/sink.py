"""sink: records leave the topology to a topic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class Sink(Stateless):
    """Writes to ``topic``.

    ``own_partition`` keeps a record in the partition of its task instead of where its key hashes to: a topic that
    rebuilds a store has to be read back by the task that wrote it. ``partition_of(value)`` gives the partition where
    the value knows it. ``drop_null_keys`` is for repartition topics in front of an operator that could do nothing with
    such a record.
    """

    topic: Topic[Any, Any]
    own_partition: bool = False
    partition_of: Callable[[Any], int] | None = None
    drop_null_keys: bool = False
    kind: str = "sink"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Serialise the record and write it with its timestamp; headers are the topic's own, else the record's."""
        write, drop = self._writer(context), context.drop
        if not self.drop_null_keys:
            return write

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                drop("null key")
            else:
                write(key, value, timestamp, headers)

        return process

    def _writer(self, context: TaskContext) -> Process:
        partition_of = self.partition_of
        if partition_of is None:
            return context.sink(self.topic, partition=context.partition if self.own_partition else None)
        writers = [context.sink(self.topic, partition=number) for number in range(self.topic.partitions)]

        def write(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            writers[partition_of(value)](key, value, timestamp, headers)

        return write
