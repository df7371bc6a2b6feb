"""Moving a log's topics and its groups' positions to another log, such as from the embedded one to Kafka.

1. Check that no group has members, and that the other log has none of the topics, but those that an earlier run of the
   same migration has begun.
2. Create the topics.
3. Copy each partition, in transactions that also say how far it is copied, in the topic :data:`PROGRESS_TOPIC`: so a
   run that was interrupted is gone on with, and nothing comes twice. Where a group has a position, a transaction ends,
   and it is noted which offset of the other log that is.
4. Read both logs, and compare them.
5. Commit the groups' positions, translated, with what is kept with them.

The topic with the progress stays until :meth:`Migration.finish`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeAlias
from zlib import crc32

import msgspec

from streambank.log.errors import LogError
from streambank.log.interface import EventLog, GroupMetadata, Producer, Transaction
from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition
from streambank.log.topics import TopicConfig

PROGRESS_TOPIC = "streambank.migration"

READ_RECORDS = 5_000
TRANSACTION_BYTES = 8 << 20

_ANY_TIME = 1


class MigrationError(LogError):
    """The logs cannot be migrated, or what arrived differs; nothing of the first log was changed."""


class _Progress(msgspec.Struct):
    """How far a partition is copied: to before the offset ``next_offset``. ``positions``: other offsets by offsets."""

    log_id: str
    next_offset: int
    positions: dict[int, int]


@dataclass(frozen=True, slots=True)
class MigratedTopic:
    """What arrived of one topic. Of a compacted topic ``records`` counts keys, and the last of each is compared."""

    topic: str
    partitions: int
    records: int
    checksum: int


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """What was done of so many offsets, of all topics together."""

    step: str
    done: int
    total: int


class Migration:
    """From ``source`` to ``target``. Nothing else may write to either."""

    def __init__(
        self, source: EventLog, target: EventLog, extra: Mapping[TopicPartition, set[int]] | None = None
    ) -> None:
        """``extra`` are offsets to translate beside those that groups have committed.

        Raises:
            MigrationError: see step 1.
        """
        self._source, self._target = source, target
        self._topics = {name: of for name, of in source.topics().items() if name != PROGRESS_TOPIC}
        self._partitions = [
            TopicPartition(name, number) for name, of in self._topics.items() for number in range(of.partitions)
        ]
        self._groups = source.groups()
        self._positions: dict[TopicPartition, set[int]] = {
            at: set((extra or {}).get(at, ())) for at in self._partitions
        }
        for group in self._groups:
            for at, position in group.committed.items():
                self._positions[at].add(position.offset)
        self._marks = {at: source.watermarks(at) for at in self._partitions}
        self._total = sum(marks.high - marks.low for marks in self._marks.values())
        self._progress: dict[TopicPartition, _Progress] = {}
        self._check()

    @property
    def total(self) -> int:
        """How many offsets there are to copy."""
        return self._total

    def copy(self, on_progress: Callable[[MigrationProgress], object] = lambda _: None) -> None:
        """Steps 2 and 3."""
        progress = TopicConfig(name=PROGRESS_TOPIC, partitions=1, cleanup_policy="compact")
        self._target.create_topics([progress, *self._topics.values()])
        done = 0
        with closing(self._target.producer("streambank.migration")) as producer:
            for at in self._partitions:
                for copied in self._copy(producer, at):
                    on_progress(MigrationProgress("copying", done + copied, self._total))
                done += self._marks[at].high - self._marks[at].low
        self._target.flush()

    def verify(self, on_progress: Callable[[MigrationProgress], object] = lambda _: None) -> list[MigratedTopic]:
        """Step 4. Raises MigrationError, naming the first difference."""
        done, topics = 0, []
        for name, of in self._topics.items():
            records, checksum = 0, 0
            for number in range(of.partitions):
                at = TopicPartition(name, number)
                compare = _compare_last if of.compacted else _compare_all
                counted, checksum = compare(self._source, self._target, at, checksum)
                records += counted
                done += self._marks[at].high - self._marks[at].low
                on_progress(MigrationProgress("comparing", done, self._total))
            topics.append(MigratedTopic(name, of.partitions, records, checksum))
        return topics

    def commit_positions(self) -> int:
        """Step 5; how many groups there are."""
        with closing(self._target.producer()) as producer:
            for group in self._groups:
                with producer.transaction() as transaction:
                    positions = {
                        at: OffsetAndMetadata(self.translated(at, position.offset), position.metadata)
                        for at, position in group.committed.items()
                    }
                    transaction.commit_offsets(GroupMetadata(group.group), positions)
        return len(self._groups)

    def translated(self, at: TopicPartition, offset: int) -> int:
        """The offset in the target that has as much before it. For those that the constructor was told of."""
        return self._progress[at].positions[offset]

    def finish(self) -> None:
        """Forget the progress: the same migration cannot be run again."""
        self._target.delete_topics([PROGRESS_TOPIC])

    def _check(self) -> None:
        for log, where in ((self._source, "the log to migrate"), (self._target, "the log to migrate to")):
            if busy := [group.group for group in log.groups() if group.members]:
                raise MigrationError(f"{where} is in use by {', '.join(busy)}: stop them first")
        if self._source.log_id == self._target.log_id:
            raise MigrationError("a log cannot be migrated to itself")
        existing = self._target.topics()
        if PROGRESS_TOPIC in existing:
            self._progress = self._read_progress()
        for at in self._partitions:
            if at.topic in existing and at not in self._progress and self._target.watermarks(at).high > 0:
                raise MigrationError(
                    f"the log to migrate to has records in topic {at.topic!r} already: delete it there, or take another"
                )

    def _read_progress(self) -> dict[TopicPartition, _Progress]:
        decode, at = msgspec.json.Decoder(_Progress).decode, TopicPartition(PROGRESS_TOPIC, 0)
        found: dict[TopicPartition, _Progress] = {}
        for batch in _batches(self._target, at):
            for key, value in zip(batch.keys, batch.values, strict=True):
                topic, _, number = (key or b"").decode().rpartition("-")
                found[TopicPartition(topic, int(number))] = decode(value or b"")
        if any(progress.log_id != self._source.log_id for progress in found.values()):
            raise MigrationError(
                f"the log to migrate to has a migration of another log under way: go on with that, or delete the topics"
                f" there, {PROGRESS_TOPIC!r} too"
            )
        return found

    def _copy(self, producer: Producer, at: TopicPartition) -> Iterator[int]:
        """Copy a partition; yields how many offsets are behind."""
        low, high = self._marks[at]
        progress = self._progress.get(at)
        if progress is None:
            progress = self._progress[at] = _Progress(self._source.log_id, low, {})
        cuts = sorted(self._positions[at])
        self._note_positions(at, progress, cuts)
        while progress.next_offset < high:
            batch = self._source.read(at, progress.next_offset, READ_RECORDS)
            for piece in _pieces(batch, cuts):
                progress.next_offset = piece.next_offset
                with producer.transaction(durable=False) as transaction:
                    transaction.append_columns(at, piece.timestamps, piece.keys, piece.values, piece.headers)
                    self._append_progress(transaction, at, progress)
                self._note_positions(at, progress, cuts)
                yield progress.next_offset - low
        with producer.transaction(durable=False) as transaction:
            self._append_progress(transaction, at, progress)

    def _note_positions(self, at: TopicPartition, progress: _Progress, cuts: list[int]) -> None:
        """Note the positions that lie between what is copied and what is not."""
        low, high = self._marks[at]
        for cut in cuts:
            if cut in progress.positions or min(cut, high) > progress.next_offset:
                continue
            if low <= cut < progress.next_offset and self._has_records(at, cut, progress.next_offset):
                raise MigrationError(
                    f"{at}: a position was moved since an earlier run of this migration. Delete the topics there,"
                    f" {PROGRESS_TOPIC!r} too, and begin again"
                )
            progress.positions[cut] = self._target.watermarks(at).high

    def _has_records(self, at: TopicPartition, start: int, end: int) -> bool:
        batch = self._source.read(at, start, 1)
        return len(batch) > 0 and batch.offsets[0] < end

    @staticmethod
    def _append_progress(transaction: Transaction, at: TopicPartition, progress: _Progress) -> None:
        value = msgspec.json.encode(progress)
        transaction.append(PROGRESS_TOPIC, value, key=str(at).encode(), timestamp=_ANY_TIME, partition=0)


def _batches(log: EventLog, at: TopicPartition) -> Iterator[RecordBatch]:
    offset, end = log.watermarks(at)
    while offset < end:
        batch = log.read(at, offset, READ_RECORDS)
        yield batch
        offset = batch.next_offset


def _pieces(batch: RecordBatch, cuts: list[int]) -> Iterator[RecordBatch]:
    """The batch in pieces that end where a position is, and are not too large."""
    ends = {bisect_left(batch.offsets, cut) for cut in cuts}
    start = size = 0
    for row in range(len(batch)):
        if row > start and (row in ends or size >= TRANSACTION_BYTES):
            yield _rows(batch, start, row, batch.offsets[row])
            start, size = row, 0
        size += len(batch.keys[row] or b"") + len(batch.values[row] or b"")
    yield _rows(batch, start, len(batch), batch.next_offset)


def _rows(batch: RecordBatch, start: int, end: int, next_offset: int) -> RecordBatch:
    return RecordBatch(
        batch.topic_partition,
        batch.offsets[start:end],
        batch.timestamps[start:end],
        batch.keys[start:end],
        batch.values[start:end],
        batch.headers[start:end] if batch.headers is not None else None,
        next_offset,
    )


_Content: TypeAlias = tuple[int, bytes | None, bytes | None, bytes | None]


def _contents(log: EventLog, at: TopicPartition) -> Iterator[_Content]:
    """What a record is apart from its offset: timestamp, key, value, headers."""
    for batch in _batches(log, at):
        headers = batch.headers if batch.headers is not None else [None] * len(batch)
        for timestamp, key, value, header in zip(batch.timestamps, batch.keys, batch.values, headers, strict=True):
            # Kafka has no record of the first millisecond of 1970, and takes it for the second.
            yield max(timestamp, 1), key, value, header or None


def _compare_all(source: EventLog, target: EventLog, at: TopicPartition, checksum: int) -> tuple[int, int]:
    """How many records there are, and their checksum. Raises MigrationError."""
    count = 0
    for count, (ours, theirs) in enumerate(zip_longest(_contents(source, at), _contents(target, at)), 1):
        if ours != theirs:
            raise MigrationError(f"{at}: record {count:,} is not what it was: {_difference(ours, theirs)}")
        checksum = crc32(repr(ours).encode(), checksum)
    return count, checksum


def _compare_last(source: EventLog, target: EventLog, at: TopicPartition, checksum: int) -> tuple[int, int]:
    """The same for a compacted topic, of which both may have left out all but the last record of each key."""
    # In order of their last records; tombstones may be gone on one side only.
    ours, theirs = ({content[1]: content for content in _contents(log, at)} for log in (source, target))
    for key in ours.keys() | theirs.keys():
        mine, other = ours.get(key), theirs.get(key)
        if mine != other and not (_is_deleted(mine) and _is_deleted(other)):
            raise MigrationError(f"{at}: key {key!r} is not what it was: {_difference(mine, other)}")
    live = sorted((content for content in ours.values() if not _is_deleted(content)), key=lambda each: each[1] or b"")
    for content in live:
        checksum = crc32(repr(content).encode(), checksum)
    return len(live), checksum


def _is_deleted(content: _Content | None) -> bool:
    return content is None or content[2] is None


def _difference(ours: _Content | None, theirs: _Content | None) -> str:
    """Which parts differ, without what is in them."""
    if ours is None or theirs is None:
        return "it is missing" if theirs is None else "there are more"
    names = ("timestamp", "key", "value", "headers")
    return ", ".join(name for name, one, other in zip(names, ours, theirs, strict=True) if one != other)
