"""Reading a log without a group: whole topics, the last value of each key, and how far groups are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from streambank.bank.reading import batches as all_batches
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.formats import parse_moment
from streambank.clock import system_clock
from streambank.log import EventLog, GroupDescription, OffsetAndMetadata, RecordBatch, TopicPartition
from streambank.streams.errors import DeserializationError

if TYPE_CHECKING:
    from streambank.streams import Topic

K = TypeVar("K")
V = TypeVar("V")

READ_RECORDS = 20_000

COUNTED_LAG = 100
"""A lag of fewer offsets is counted in records: it may be nothing but marks of transactions, or gaps of compaction."""


def require_topic(log: EventLog, name: str) -> int:
    """How many partitions the topic has. Raises CommandError, naming those that exist."""
    topics = log.topics()
    if name not in topics:
        known = ", ".join(topics) or "none yet"
        raise CommandError(f"there is no topic {name!r}. Topics: {known}")
    return topics[name].partitions


def batches(log: EventLog, topic_partition: TopicPartition, start: int, end: int) -> Iterator[RecordBatch]:
    """The records of a partition from ``start`` to before ``end``; the last batch may go somewhat beyond."""
    offset = start
    while offset < end:
        batch = log.read(topic_partition, offset, READ_RECORDS)
        if batch.next_offset <= offset:
            return
        offset = batch.next_offset
        yield batch


def offset_at(log: EventLog, at: TopicPartition, text: str, option: str) -> int:
    """The offset that an option means: start, end, an offset, -N before the end, or @MOMENT."""
    low, high = log.watermarks(at)
    if text == "start":
        return low
    if text == "end":
        return high
    if text.startswith("@"):
        return log.offset_for_time(at, parse_moment(text[1:], system_clock(), option))
    try:
        number = int(text)
    except ValueError:
        raise UsageError(
            f"{option}: {text!r} is none of start, end, an offset, -N, @MOMENT such as @2026-11-01T10:00 or @-15m"
        ) from None
    return min(max(number, low), high) if not text.startswith("-") else max(low, high + number)


def values(log: EventLog, topic: Topic[K, V]) -> Iterator[V]:
    """Every value of a topic that can be decoded; none if there is no such topic yet."""
    for batch in all_batches(log, topic.name):
        for offset, raw in zip(batch.offsets, batch.values, strict=True):
            value = _decode(topic, batch.topic_partition, offset, raw)
            if value is not None:
                yield value


def latest(log: EventLog, topic: Topic[str, V]) -> dict[str, V]:
    """The last value of each key; a key whose last record is a tombstone is left out."""
    return latest_and_removed(log, topic)[0]


def latest_and_removed(log: EventLog, topic: Topic[str, V]) -> tuple[dict[str, V], set[str]]:
    """The last value of each key, and the keys whose last record is a tombstone, as long as compaction keeps it."""
    found: dict[bytes, tuple[TopicPartition, int, bytes | None]] = {}
    for batch in all_batches(log, topic.name):
        for offset, key, raw in zip(batch.offsets, batch.keys, batch.values, strict=True):
            if key is not None:
                found[key] = (batch.topic_partition, offset, raw)
    decoded: dict[str, V] = {}
    removed: set[str] = set()
    for key, (at, offset, raw) in found.items():
        if raw is None:
            removed.add(topic.key.deserialize(key))
        value = _decode(topic, at, offset, raw)
        if value is not None:
            decoded[topic.key.deserialize(key)] = value
    return decoded, removed


def _decode(topic: Topic[K, V], at: TopicPartition, offset: int, raw: bytes | None) -> V | None:
    if raw is None:
        return None
    try:
        return topic.value.deserialize(raw)
    except DeserializationError as error:
        say(f"streambank: passed over {at} offset {offset}, which cannot be decoded: {error}")
        return None


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is in one partition. ``committed`` is None where it has committed nothing yet."""

    group: str
    topic: str
    partition: int
    committed: int | None
    low: int
    end: int
    member: str | None
    counted: int | None = None

    @property
    def start(self) -> int:
        """Where the group reads on."""
        return self.low if self.committed is None else max(self.committed, self.low)

    @property
    def lag(self) -> int:
        """The records between the group's position and the end; at most so many, where they are not counted."""
        return max(0, self.end - self.start) if self.counted is None else self.counted


def lags(log: EventLog, groups: list[GroupDescription] | None = None) -> list[PartitionLag]:
    """Every partition that a group has a position in or reads now, by group, topic and partition."""
    return [counted(log, at) for at in lags_at_most(log, groups)]


def counted(log: EventLog, at: PartitionLag) -> PartitionLag:
    """With the records of a short lag counted."""
    if not 0 < at.lag < COUNTED_LAG:
        return at
    between = batches(log, TopicPartition(at.topic, at.partition), at.start, at.end)
    return replace(at, counted=sum(offset < at.end for batch in between for offset in batch.offsets))


def lags_at_most(log: EventLog, groups: list[GroupDescription] | None = None) -> list[PartitionLag]:
    """The same by offsets alone, which reads no records."""
    found = []
    for group in log.groups() if groups is None else groups:
        readers = {at: member.member_id for member in group.members for at in member.assignment}
        committed: Mapping[TopicPartition, OffsetAndMetadata] = group.committed
        for at in sorted(readers.keys() | committed.keys()):
            low, high = log.watermarks(at)
            position = committed.get(at)
            offset = position.offset if position is not None else None
            found.append(PartitionLag(group.group, at.topic, at.partition, offset, low, high, readers.get(at)))
    return found
