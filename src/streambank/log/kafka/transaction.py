"""A transaction while it is collected, and the place in a group with which it commits offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Protocol, TypeAlias

from streambank.log.errors import ClosedError, FencedError, InvalidRecordError, UnknownTopicError
from streambank.log.interface import GroupMetadata
from streambank.log.partitioner import Partitioner
from streambank.log.records import OffsetAndMetadata, TopicPartition

Columns: TypeAlias = tuple[
    TopicPartition,
    Sequence[int],
    Sequence[bytes | None],
    Sequence[bytes | None],
    Sequence[bytes | None] | None,
]
"""Records of one partition: timestamps, keys, values, and encoded headers where there are any."""


class Membership(Protocol):
    """A member of a group, asked again where what it said has become old."""

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that it has now."""

    def place(self) -> Any:
        """librdkafka's own form of its place in the group (KIP-447)."""


@dataclass(frozen=True, slots=True)
class KafkaGroupMetadata(GroupMetadata):
    """A member's place in its group, as of when it was asked for. Its generation is known to librdkafka alone."""

    place: Any = field(default=None, repr=False, compare=False)
    membership: Membership | None = field(default=None, repr=False, compare=False)

    def refreshed(self) -> KafkaGroupMetadata:
        """Its place now."""
        return self if self.membership is None else replace(self, place=self.membership.place())

    def check_owned(self, offsets: Mapping[TopicPartition, object]) -> None:
        """Raise FencedError unless the member has all of these partitions.

        Kafka itself compares generations only, which a member that takes part in every rebalance always has right.
        """
        if self.membership is not None and (gone := offsets.keys() - self.membership.assignment):
            raise FencedError(f"group {self.group!r}: {min(gone)} belongs to another member now")


class Topics(Protocol):
    """What a writer has to know about topics."""

    def partitions(self, topic: str) -> int:
        """How many partitions it has. Raises UnknownTopicError."""

    def compacted(self, topic: str) -> bool:
        """Whether each of its records needs a key."""


class KafkaTransaction:
    """See :class:`streambank.log.interface.Transaction`. ``turns`` are for records without a key."""

    def __init__(self, topics: Topics, turns: Iterator[int]) -> None:
        self._topics, self._turns = topics, turns
        self._partitioners: dict[str, Partitioner] = {}
        self._open = True
        self._single: dict[TopicPartition, tuple[list[int], list[Any], list[Any], list[Any]]] = {}
        self.columns: list[Columns] = []
        self.offsets: list[tuple[GroupMetadata, Mapping[TopicPartition, OffsetAndMetadata]]] = []
        self.ends: Mapping[TopicPartition, int] = {}
        self.handed_over = Event()
        """Set when nothing is left but to wait for the decision."""
        self.commit: Future[None] | None = None
        """The commit, where it goes on after the block."""

    def append(
        self,
        topic: str,
        value: bytes | None,
        *,
        timestamp: int,
        key: bytes | None = None,
        headers: bytes | None = None,
        partition: int | None = None,
    ) -> None:
        """Add one record."""
        self._check_open()
        for part in (key, value):
            if part is not None and not isinstance(part, bytes):
                raise TypeError(f"{topic}: keys and values are bytes or None, not {type(part).__name__}")
        place = TopicPartition(topic, self._place(topic, key) if partition is None else partition)
        self._check(place, (key,))
        found = self._single.get(place)
        if found is None:
            found = self._single[place] = ([], [], [], [])
            self.columns.append((place, *found))
        for column, item in zip(found, (timestamp, key, value, headers), strict=True):
            column.append(item)

    def append_columns(
        self,
        topic_partition: TopicPartition,
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[bytes | None] | None = None,
    ) -> None:
        """Add many records to one partition at once."""
        self._check_open()
        if not len(timestamps) == len(keys) == len(values) == len(values if headers is None else headers):
            raise ValueError(f"{topic_partition}: the columns must be equally long")
        self._check(topic_partition, keys)
        # What is appended to that partition one by one from now on comes after these.
        self._single.pop(topic_partition, None)
        self.columns.append((topic_partition, timestamps, keys, values, headers))

    def commit_offsets(self, member: GroupMetadata, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Let the transaction also commit the group's positions."""
        self._check_open()
        self.offsets.append((member, dict(offsets)))

    @property
    def end_offsets(self) -> Mapping[TopicPartition, int]:
        """After the commit: for each partition written to, the offset after the transaction's last record."""
        return self.ends

    @property
    def decided(self) -> bool:
        """After the block: whether the commit has succeeded or failed."""
        return self.commit is None or self.commit.done()

    def wait(self) -> None:
        """After the block: wait until the commit is decided, and raise what it raised."""
        if self.commit is not None:
            self.commit.result()

    def end(self) -> None:
        """Take no more."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("the transaction has ended; begin another one")

    def _check(self, place: TopicPartition, keys: Sequence[bytes | None]) -> None:
        if not 0 <= place.partition < self._topics.partitions(place.topic):
            raise UnknownTopicError(f"there is no partition {place}")
        if self._topics.compacted(place.topic) and None in keys:
            raise InvalidRecordError(f"{place}: a record of a compacted topic needs a key")

    def _place(self, topic: str, key: bytes | None) -> int:
        partitioner = self._partitioners.get(topic)
        if partitioner is None:
            partitioner = self._partitioners[topic] = Partitioner(self._topics.partitions(topic))
        return partitioner.partition(key) if key is not None else next(self._turns) % partitioner.partitions
