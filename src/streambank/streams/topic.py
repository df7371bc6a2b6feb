"""A topic with its types: what its keys and values are and how they travel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from streambank.log import CleanupPolicy, TopicConfig, Transaction
from streambank.streams.serde import Serde

K = TypeVar("K")
V = TypeVar("V")

HeadersOf: TypeAlias = Callable[[V, int], bytes | None]
"""Encoded headers for a value and its timestamp in ms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topic(Generic[K, V]):
    """A named topic, the serdes of its keys and values, and the settings it is created with.

    ``headers`` makes the headers of every record written; without it a record keeps those of the record it came from.
    """

    name: str
    key: Serde[K]
    value: Serde[V]
    partitions: int = 4
    cleanup_policy: CleanupPolicy = "delete"
    retention_ms: int = -1
    headers: HeadersOf[V] | None = None

    @property
    def config(self) -> TopicConfig:
        """The log's settings for this topic. Raises ValueError for settings the log refuses."""
        return TopicConfig(
            name=self.name,
            partitions=self.partitions,
            cleanup_policy=self.cleanup_policy,
            retention_ms=self.retention_ms,
        )

    def write(self, transaction: Transaction, key: K, value: V | None, timestamp: int) -> None:
        """Append one record; a ``value`` of None is a tombstone. ``timestamp`` is event time in ms."""
        transaction.append(
            self.name,
            None if value is None else self.value.serialize(value),
            key=self.key.serialize(key),
            timestamp=timestamp,
            headers=self.headers(value, timestamp) if self.headers is not None and value is not None else None,
        )
