"""sink: records leave the topology to a topic."""

from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, TaskContext
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class Sink(Stateless):
    """Writes to ``topic``.

    ``own_partition`` keeps a record in the partition of its task instead of where its key hashes to: a topic that
    rebuilds a store has to be read back by the task that wrote it. ``drop_null_keys`` is for repartition topics in
    front of an operator that could do nothing with such a record.
    """

    topic: Topic[Any, Any]
    own_partition: bool = False
    drop_null_keys: bool = False
    kind: str = "sink"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Serialise the record and write it with its timestamp; headers are the topic's own, else the record's."""
        topic, drop_null_keys, drop = self.topic, self.drop_null_keys, context.drop
        write = context.sink(topic.name, context.partition if self.own_partition else None)
        serialize_key, serialize, headers_of = topic.key.serialize, topic.value.serialize, topic.headers

        def process(key: Any, value: Any, timestamp: int, headers: bytes | None) -> None:
            if key is None:
                if drop_null_keys:
                    drop("null key")
                    return
                key_bytes = None
            else:
                key_bytes = serialize_key(key)
            if value is None:
                write(key_bytes, None, timestamp, headers if headers_of is None else None)
            else:
                if headers_of is not None:
                    headers = headers_of(value, timestamp)
                write(key_bytes, serialize(value), timestamp, headers)

        return process
