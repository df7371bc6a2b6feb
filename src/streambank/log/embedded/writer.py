"""Producers and their transactions: gathered in memory, written in one SQL transaction on commit."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from streambank.clock import Clock
from streambank.log.embedded.batches import Columns, EncodedBatch, column_bytes, encode, split
from streambank.log.embedded.catalog import Catalog, StoredTopic
from streambank.log.embedded.database import Database
from streambank.log.embedded.groups import Groups
from streambank.log.embedded.schema import batch_id
from streambank.log.embedded.signals import Signals
from streambank.log.errors import ClosedError, FencedError, InvalidRecordError, LogError, RecordTooLargeError
from streambank.log.interface import GroupMetadata
from streambank.log.partitioner import Partitioner
from streambank.log.records import OffsetAndMetadata, TopicPartition

_BYTES_OR_NONE = {bytes, type(None)}
_INT = {int}

ROWS_AT_ONCE_MAX = 32
"""Few enough that the statements for each number of rows stay prepared."""


@dataclass(frozen=True, slots=True)
class WriterParts:
    """What producers share."""

    database: Database
    catalog: Catalog
    groups: Groups
    signals: Signals
    clock: Clock
    record_max_bytes: int


@dataclass(slots=True)
class _Pending:
    """What a transaction has for one partition: whole column sets, and single records after them."""

    topic_partition: TopicPartition
    compacted: bool
    sealed: list[tuple[Columns, int]] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[bytes | None] = field(default_factory=list)
    has_headers: bool = False
    size: int = 0

    def seal(self) -> None:
        """Close the single records gathered so far: what comes next stands after them."""
        if self.timestamps:
            headers = self.headers if self.has_headers else None
            self.sealed.append((Columns(None, self.timestamps, self.keys, self.values, headers), self.size))
            self.timestamps, self.keys, self.values, self.headers = [], [], [], []
            self.has_headers, self.size = False, 0


class EmbeddedTransaction:
    """See :class:`streambank.log.interface.Transaction`."""

    def __init__(self, parts: WriterParts, turns: dict[str, int], partitioners: dict[int, Partitioner]) -> None:
        self._parts = parts
        self._turns = turns
        self._partitioners = partitioners
        self._pending: dict[TopicPartition, _Pending] = {}
        self._topics: dict[str, tuple[StoredTopic, Partitioner, list[_Pending | None]]] = {}
        self._offsets: dict[GroupMetadata, dict[TopicPartition, OffsetAndMetadata]] = {}
        self._end_offsets: dict[TopicPartition, int] = {}
        self._open = True

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
        found = self._topics.get(topic) or self._topic(topic)
        if partition is None:
            partition = found[1].partition(key) if key is not None else self._next_turn(found[0])
        pending = found[2][partition] if 0 <= partition < len(found[2]) else None
        if pending is None or not self._open:
            pending = self._pending_of(TopicPartition(topic, partition))
            found[2][partition] = pending
        size = (len(value) if value is not None else 0) + (len(key) if key is not None else 0)
        if key is None and pending.compacted:
            raise _no_key(pending.topic_partition)
        if headers is not None:
            size += len(headers)
            pending.has_headers = True
        if size > self._parts.record_max_bytes:
            raise self._too_large(pending.topic_partition, size)
        pending.timestamps.append(timestamp)
        pending.keys.append(key)
        pending.values.append(value)
        pending.headers.append(headers)
        pending.size += size

    def append_columns(
        self,
        topic_partition: TopicPartition,
        timestamps: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[bytes | None] | None = None,
    ) -> None:
        """Add many records to one partition at once."""
        count = len(timestamps)
        if len(keys) != count or len(values) != count or (headers is not None and len(headers) != count):
            raise ValueError(f"{topic_partition}: the columns must be equally long")
        pending = self._pending_of(topic_partition)
        if not count:
            return
        if pending.compacted and None in keys:
            raise _no_key(pending.topic_partition)
        columns = Columns(None, timestamps, keys, values, headers)
        size = column_bytes(columns)
        if size > self._parts.record_max_bytes:
            self._check_sizes(pending.topic_partition, columns)
        pending.seal()
        pending.sealed.append((columns, size))

    def commit_offsets(self, member: GroupMetadata, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Let the transaction also commit the group's positions."""
        self._check_open()
        for topic_partition, position in offsets.items():
            self._parts.catalog.partition_id(topic_partition)
            if position.offset < 0:
                raise ValueError(f"{topic_partition}: a committed offset cannot be {position.offset}")
        self._offsets.setdefault(member, {}).update(offsets)

    @property
    def end_offsets(self) -> Mapping[TopicPartition, int]:
        """After the commit: for each partition written to, the offset after the transaction's last record."""
        return self._end_offsets

    @property
    def decided(self) -> bool:
        """True: the block ends with the decision."""
        return not self._open

    def wait(self) -> None:
        """Nothing: see :attr:`decided`."""

    def abort(self) -> None:
        """Drop everything."""
        self._open = False
        self._pending.clear()
        self._topics.clear()
        self._offsets.clear()

    def commit(self, check_writer: Callable[[sqlite3.Connection], None] | None, *, durable: bool) -> None:
        """Write everything in one SQL transaction; ``check_writer`` is called in it first.

        1. Encode the batches, before the lock, as that is most of the work.
        2. Take the write lock. Check the producer's epoch and the members' partitions.
        3. Raise the watermarks, insert the batches, store the positions. Commit.
        4. Wake whoever waits.
        """
        self._open = False
        encoded = self._encode()
        if not encoded and not self._offsets and check_writer is None:
            return
        parts = self._parts
        with parts.database.write(durable=durable) as connection:
            if check_writer is not None:
                check_writer(connection)
            ends = _insert(connection, parts.catalog, encoded, parts.clock()) if encoded else {}
            for member, offsets in self._offsets.items():
                self._store_offsets(connection, member, offsets)
        self._end_offsets = ends
        self._pending.clear()
        if ends:
            parts.signals.announce({topic_partition.topic for topic_partition in ends})

    def _encode(self) -> dict[TopicPartition, list[EncodedBatch]]:
        encoded: dict[TopicPartition, list[EncodedBatch]] = {}
        for topic_partition, pending in self._pending.items():
            pending.seal()
            for columns, size in pending.sealed:
                _check_types(topic_partition, columns)
                batches = [encode(without_empty_keys(piece)) for piece in split(columns, total_bytes=size)]
                encoded.setdefault(topic_partition, []).extend(batches)
        return encoded

    def _store_offsets(
        self, connection: sqlite3.Connection, member: GroupMetadata, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        ids = {self._parts.catalog.partition_id(topic_partition): at for topic_partition, at in offsets.items()}
        group_id = self._parts.groups.check_commit(connection, member, set(ids))
        _execute_rows(
            connection,
            "INSERT INTO committed_offsets (group_id, partition_id, next_offset, metadata) VALUES {rows}"
            " ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, metadata = excluded.metadata",
            [(group_id, partition_id, at.offset, at.metadata) for partition_id, at in ids.items()],
        )

    def _topic(self, name: str) -> tuple[StoredTopic, Partitioner, list[_Pending | None]]:
        self._check_open()
        topic = self._parts.catalog.topic(name)
        count = topic.config.partitions
        partitioner = self._partitioners.get(count)
        if partitioner is None:
            partitioner = self._partitioners[count] = Partitioner(count)
        slots: list[_Pending | None] = [None] * count
        self._topics[name] = topic, partitioner, slots
        return self._topics[name]

    def _next_turn(self, topic: StoredTopic) -> int:
        turn = self._turns.get(topic.config.name, 0)
        self._turns[topic.config.name] = turn + 1
        return turn % topic.config.partitions

    def _pending_of(self, topic_partition: TopicPartition) -> _Pending:
        self._check_open()
        pending = self._pending.get(topic_partition)
        if pending is None:
            self._parts.catalog.partition_id(topic_partition)
            compacted = self._parts.catalog.topic(topic_partition.topic).config.compacted
            pending = self._pending[topic_partition] = _Pending(TopicPartition(*topic_partition), compacted)
        return pending

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("the transaction has ended; begin another one with transaction()")

    def _check_sizes(self, topic_partition: TopicPartition, columns: Columns) -> None:
        for i in range(len(columns.timestamps)):
            size = sum(len(column[i] or b"") for column in (columns.keys, columns.values, columns.headers) if column)
            if size > self._parts.record_max_bytes:
                raise self._too_large(topic_partition, size)

    def _too_large(self, topic_partition: TopicPartition, size: int) -> RecordTooLargeError:
        return RecordTooLargeError(
            f"{topic_partition}: a record of {size:,} bytes exceeds the log's limit of"
            f" {self._parts.record_max_bytes:,}; store the content elsewhere and append a reference to it"
        )


def without_empty_keys(columns: Columns) -> Columns:
    """The columns with None for a key or header column that has nothing in it."""
    keys, headers = columns.keys, columns.headers
    if keys is not None and keys[0] is None and not any(key is not None for key in keys):
        columns = columns._replace(keys=None)
    if headers is not None and headers[0] is None and not any(headers):
        columns = columns._replace(headers=None)
    return columns


def _insert(
    connection: sqlite3.Connection,
    catalog: Catalog,
    encoded: Mapping[TopicPartition, Sequence[EncodedBatch]],
    written_at: int,
) -> dict[TopicPartition, int]:
    """Store the batches and raise the watermarks; the new ends. Raises UnknownTopicError."""
    ids = {topic_partition: catalog.partition_id(topic_partition) for topic_partition in encoded}
    ends = catalog.ends(connection, ids.values())
    rows: list[tuple[object, ...]] = []
    raised: list[tuple[object, ...]] = []
    for topic_partition, batches in encoded.items():
        partition_id, base, size = ids[topic_partition], ends[ids[topic_partition]], 0
        for batch in batches:
            ends[partition_id] = end = base + batch.records
            times = (batch.min_timestamp, batch.max_timestamp, written_at)
            content = (len(batch.payload), batch.checksum, batch.payload)
            rows.append((batch_id(partition_id, end - 1), base, batch.records, *times, *content))
            base, size = end, size + len(batch.payload)
        raised.append((partition_id, base, size))
    _execute_rows(
        connection,
        "WITH raised (id, end_, more) AS (VALUES {rows}) UPDATE partitions SET high = end_,"
        " total_bytes = total_bytes + more, dirty_bytes = dirty_bytes + more FROM raised WHERE partition_id = id",
        raised,
    )
    _execute_rows(
        connection,
        "INSERT INTO batches (batch_id, base_offset, records, min_timestamp, max_timestamp, written_at, bytes,"
        " checksum, payload) VALUES {rows}",
        rows,
    )
    return {topic_partition: ends[partition_id] for topic_partition, partition_id in ids.items()}


def _execute_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Execute a statement for many rows at once: for each that is executed, the other threads run first."""
    for start in range(0, len(rows), ROWS_AT_ONCE_MAX):
        some = rows[start : start + ROWS_AT_ONCE_MAX]
        connection.execute(_for_rows(statement, len(some), len(some[0])), [value for each in some for value in each])


@cache
def _for_rows(statement: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.format(rows=", ".join([row] * rows))


def _check_types(topic_partition: TopicPartition, columns: Columns) -> None:
    """What MessagePack would store but not read back as it was must not get in."""
    for column in (columns.keys, columns.values, columns.headers):
        if column is not None and not _BYTES_OR_NONE.issuperset(map(type, column)):
            raise TypeError(f"{topic_partition}: keys, values and encoded headers must be bytes or None")
    if not _INT.issuperset(map(type, columns.timestamps)):
        raise TypeError(f"{topic_partition}: timestamps must be integers, milliseconds since the epoch")


def _no_key(topic_partition: TopicPartition) -> InvalidRecordError:
    return InvalidRecordError(
        f"{topic_partition}: a compacted topic takes only records with a key; give the record one,"
        " or create the topic with cleanup_policy='delete'"
    )


class EmbeddedProducer:
    """See :class:`streambank.log.interface.Producer`."""

    def __init__(
        self,
        parts: WriterParts,
        partitioners: dict[int, Partitioner],
        transactional_id: str | None,
        on_close: Callable[["EmbeddedProducer"], None],
    ) -> None:
        self._parts = parts
        self._partitioners = partitioners
        self._transactional_id = transactional_id
        self._on_close = on_close
        self._turns: dict[str, int] = {}
        self._current: EmbeddedTransaction | None = None
        self._closed = False
        self._epoch = self._next_epoch() if transactional_id is not None else 0

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True, wait: bool = True) -> Iterator[EmbeddedTransaction]:
        """A transaction that commits when the block ends, ``wait`` or not, and aborts when it raises."""
        if self._closed:
            raise ClosedError("the producer is closed; get another one from the log")
        if self._current is not None:
            raise LogError("this producer has an open transaction; end it first, or use one producer per thread")
        transaction = self._current = EmbeddedTransaction(self._parts, self._turns, self._partitioners)
        try:
            yield transaction
            if self._closed:
                raise ClosedError("the producer was closed within the transaction; nothing was written")
            transaction.commit(self._check_epoch if self._transactional_id is not None else None, durable=durable)
        except BaseException:
            transaction.abort()
            raise
        finally:
            self._current = None

    def close(self) -> None:
        """Release the producer. An open transaction is aborted."""
        self._closed = True
        if self._current is not None:
            self._current.abort()
        self._on_close(self)

    def _next_epoch(self) -> int:
        with self._parts.database.write() as connection:
            (epoch,) = connection.execute(
                "INSERT INTO producers (transactional_id, epoch) VALUES (?, 1)"
                " ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                (self._transactional_id,),
            ).fetchone()
        return int(epoch)

    def _check_epoch(self, connection: sqlite3.Connection) -> None:
        (epoch,) = connection.execute(
            "SELECT epoch FROM producers WHERE transactional_id = ?", (self._transactional_id,)
        ).fetchone()
        if epoch != self._epoch:
            raise FencedError(
                f"a newer producer uses the transactional id {self._transactional_id!r}; nothing was written."
                " Stop one of the two"
            )
