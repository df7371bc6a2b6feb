"""Collects what the tasks write until the transaction commits: columns per partition, ready for the log."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from streambank.log import TopicPartition, Transaction
from streambank.log.partitioner import Partitioner
from streambank.streams.errors import SerializationError
from streambank.streams.operators.base import Process
from streambank.streams.serde import Serde
from streambank.streams.topic import HeadersOf


@dataclass(slots=True)
class Columns:
    """Records for one partition. The lists stay the same objects, since bound operators append to them."""

    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[bytes | None] = field(default_factory=list)

    def append(self, key: bytes | None, value: bytes | None, timestamp: int, headers: bytes | None) -> None:
        """Add a record that is bytes already."""
        if headers is not None:
            self.pad_headers()
            self.headers.append(headers)
        self.timestamps.append(timestamp)
        self.keys.append(key)
        self.values.append(value)

    def pad_headers(self) -> None:
        """Give the records so far headers: none."""
        self.headers.extend([None] * (len(self.timestamps) - len(self.headers)))

    def clear(self) -> None:
        """Forget the records."""
        for column in (self.timestamps, self.keys, self.values, self.headers):
            column.clear()


class RecordCollector:
    """The records written since the last commit, by partition."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        """``partitions`` tells how many each topic has."""
        # Shared by topics of as many partitions: what goes on from one to the other mostly has the same keys.
        partitioners = {count: Partitioner(count) for count in set(partitions.values())}
        self._partitioners = {topic: partitioners[count] for topic, count in partitions.items()}
        self._columns: dict[TopicPartition, Columns] = {}

    def columns(self, topic: str, partition: int) -> Columns:
        """The records for one partition."""
        return self._columns.setdefault(TopicPartition(topic, partition), Columns())

    def writer(
        self,
        topic: str,
        key: Serde[Any],
        value: Serde[Any],
        *,
        headers_of: HeadersOf[Any] | None = None,
        partition: int | None = None,
    ) -> Process:
        """The function that serialises a record and adds it.

        It goes to ``partition``, else where its key belongs; without a key, to the partitions in turn. ``headers_of``
        makes its headers; without it, it keeps those it comes with. The function raises SerializationError for a key
        or a value that its serde refuses.
        """
        partitioner = self._partitioners[topic]
        if partition is not None or partitioner.partitions == 1:
            return _writer(topic, self.columns(topic, partition or 0), key, value, headers_of)
        writers = [
            _writer(topic, self.columns(topic, number), key, value, headers_of)
            for number in range(partitioner.partitions)
        ]
        partition_of, in_turn = partitioner.partition, cycle(writers)
        serialize_key = getattr(key, "serialize_for_partition", key.serialize)

        def write(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            if key is None:
                next(in_turn)(key, value, timestamp, headers)
                return
            try:
                writer = writers[partition_of(serialize_key(key))]
            except Exception as error:
                raise _refused(topic, key, value, error) from error
            writer(key, value, timestamp, headers)

        return write

    @property
    def empty(self) -> bool:
        """Whether nothing was written since the last commit."""
        return not any(columns.timestamps for columns in self._columns.values())

    def append_to(self, transaction: Transaction) -> Counter[str]:
        """Append everything to ``transaction``; returns how many records by topic."""
        written: Counter[str] = Counter()
        for topic_partition, columns in self._columns.items():
            if columns.timestamps:
                written[topic_partition.topic] += len(columns.timestamps)
                if columns.headers:
                    columns.pad_headers()
                transaction.append_columns(
                    topic_partition, columns.timestamps, columns.keys, columns.values, columns.headers or None
                )
        return written

    def clear(self) -> None:
        """Forget everything: the transaction committed, or is undone."""
        for columns in self._columns.values():
            if columns.timestamps:
                columns.clear()


def _refused(topic: str, key: Any, value: Any, error: Exception) -> SerializationError:
    return SerializationError(
        f"topic {topic!r} cannot take a record with a key of type {type(key).__name__} and a value of type "
        f"{type(value).__name__}: {type(error).__name__}: {error}"
    )


def _writer(
    topic: str, columns: Columns, key: Serde[Any], value: Serde[Any], headers_of: HeadersOf[Any] | None
) -> Process:
    serialize_key, serialize = key.serialize, value.serialize
    timestamps, keys, values = columns.timestamps, columns.keys, columns.values

    def write(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
        # Serialised first: if that fails, the columns are still equally long.
        try:
            key_bytes = None if key is None else serialize_key(key)
            value_bytes = None if value is None else serialize(value)
            if headers_of is not None:
                headers = None if value is None else headers_of(value, timestamp)
        except Exception as error:
            raise _refused(topic, key, value, error) from error
        if headers is not None:
            # The column stays empty until a record has any.
            columns.pad_headers()
            columns.headers.append(headers)
        timestamps.append(timestamp)
        keys.append(key_bytes)
        values.append(value_bytes)

    return write
