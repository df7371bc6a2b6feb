"""Collects what the tasks write until the transaction commits: columns per partition, ready for the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from streambank.log import TopicPartition, Transaction
from streambank.log.partitioner import Partitioner
from streambank.streams.errors import TopologyError

Write: TypeAlias = Callable[[bytes | None, bytes | None, int, bytes | None], None]
"""Takes key, value, timestamp and encoded headers."""


@dataclass(slots=True)
class Columns:
    """Records for one partition. The lists stay the same objects, since bound operators append to them."""

    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[bytes | None] = field(default_factory=list)

    def writer(self) -> Write:
        """The function that adds a record."""
        add_timestamp, add_key = self.timestamps.append, self.keys.append
        add_value, add_header = self.values.append, self.headers.append

        def write(key: bytes | None, value: bytes | None, timestamp: int, headers: bytes | None) -> None:
            add_timestamp(timestamp)
            add_key(key)
            add_value(value)
            add_header(headers)

        return write

    def clear(self) -> None:
        """Forget the records."""
        for column in (self.timestamps, self.keys, self.values, self.headers):
            column.clear()


class RecordCollector:
    """The records written since the last commit, by partition."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        """``partitions`` tells how many each topic has."""
        self._partitioners = {topic: Partitioner(count) for topic, count in partitions.items()}
        self._columns: dict[TopicPartition, Columns] = {}

    def to_partition(self, topic: str, partition: int) -> Write:
        """Writes to one partition."""
        return self._column(topic, partition).writer()

    def by_key(self, topic: str) -> Write:
        """Writes each record to the partition of its key; records without one go to the partitions in turn."""
        partitioner = self._partitioners.get(topic)
        if partitioner is None:
            raise TopologyError(f"topic {topic!r} is not one of the topology's")
        writers = [self.to_partition(topic, partition) for partition in range(partitioner.partitions)]
        partition_of, count, turn = partitioner.partition, len(writers), 0
        if count == 1:
            return writers[0]

        def write(key: bytes | None, value: bytes | None, timestamp: int, headers: bytes | None) -> None:
            nonlocal turn
            if key is None:
                turn = (turn + 1) % count
                writers[turn](None, value, timestamp, headers)
            else:
                writers[partition_of(key)](key, value, timestamp, headers)

        return write

    def append_to(self, transaction: Transaction) -> int:
        """Append everything to ``transaction``; returns how many records."""
        total = 0
        for topic_partition, columns in self._columns.items():
            if columns.timestamps:
                total += len(columns.timestamps)
                headers = columns.headers if any(columns.headers) else None
                transaction.append_columns(topic_partition, columns.timestamps, columns.keys, columns.values, headers)
        return total

    def clear(self) -> None:
        """Forget everything: the transaction committed, or is undone."""
        for columns in self._columns.values():
            columns.clear()

    def _column(self, topic: str, partition: int) -> Columns:
        return self._columns.setdefault(TopicPartition(topic, partition), Columns())
