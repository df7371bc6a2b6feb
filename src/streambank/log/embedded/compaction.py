"""Compaction: of each key in a compacted partition, the last record stays."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streambank.errors import InvariantError
from streambank.log.embedded.batches import BATCH_MAX_BYTES, BATCH_MAX_RECORDS, Columns, decode, encode, split
from streambank.log.embedded.database import Database
from streambank.log.embedded.schema import batch_id, last_offset
from streambank.log.records import RecordBatch, TopicPartition

KEYS_MAX = 1_000_000
"""How many keys one pass over a partition remembers: some 150 MB. More keys take more passes."""

ROWS_PER_WRITE_MAX = 500
"""How many stored batches one write transaction replaces at most, so that appends never wait long."""


class _Row(NamedTuple):
    row_id: int
    base_offset: int
    written_at: int
    size: int
    batch: RecordBatch


@dataclass(slots=True)
class _Group:
    """Neighbouring stored batches that become one, or none."""

    bucket: int | None = None
    rows: list[_Row] = field(default_factory=list)
    records: int = 0
    size: int = 0
    removed: int = 0
    written_at: int | None = None
    offsets: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: list[bytes | None] = field(default_factory=list)


class Compactor:
    """Compacts one partition as far as it was written when it starts; its newest batch only when that is overdue.

    What it removes is overwritten with zeros in the file: a key that was erased must not be left in free pages.
    """

    def __init__(
        self,
        database: Database,
        topic_partition: TopicPartition,
        partition_id: int,
        now: int,
        delete_retention_ms: int,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._database = database
        self._topic_partition = topic_partition
        self._partition_id = partition_id
        self._now = now
        self._delete_retention_ms = delete_retention_ms
        self._is_stopped = is_stopped
        self._latest: dict[bytes | None, int] = {}
        self._tombstones_since: int | None = None
        self._newest_row_id: int | None = None
        self.removed = 0

    def run(self, tombstones_due: bool = False, overdue: bool = False) -> bool:
        """Compact: whether there was anything to go through. With ``tombstones_due`` also where nothing is new.

        With ``overdue`` the newest batch too, whose last record always stays: a partition never looks shorter.

        1. Remember the last offset of each key from where the previous pass ended.
        2. From the start on, write the batches anew without the records that have a later one, a few at a time.
        3. Note how far this pass came. Where its memory was full before the end, begin again from there.
        """
        worked = False
        while True:
            clean_end, last = self._bounds(overdue)
            if last is None:
                return worked
            map_end = self._remember(clean_end)
            end = min(map_end, last)
            if end < clean_end and not tombstones_due:
                return worked
            end = max(end, clean_end - 1)
            tombstones_due = False
            self._tombstones_since = None
            for group in self._groups(end):
                if self._is_stopped():
                    return worked
                self._replace(group)
            self._finish(end)
            worked = True
            if end >= last:
                return worked

    def _bounds(self, overdue: bool) -> tuple[int, int | None]:
        """Where the dirty part begins, and the last offset that may be cleaned: the newest batch is left alone, unless
        cleaning it is overdue."""
        with self._database.read() as connection:
            (clean_end,) = connection.execute(
                "SELECT clean_end FROM partitions WHERE partition_id = ?", (self._partition_id,)
            ).fetchone()
            newest = connection.execute(
                "SELECT batch_id FROM batches WHERE batch_id BETWEEN ? AND ? ORDER BY batch_id DESC LIMIT 2",
                self._id_range(0),
            ).fetchall()
        self._newest_row_id = newest[0][0] if newest else None
        cleanable = newest if overdue else newest[1:]
        return clean_end, last_offset(cleanable[0][0]) if cleanable else None

    def _remember(self, start: int) -> int:
        """Map the keys from ``start`` on to their last offsets; returns the last offset that is in the map."""
        latest: dict[bytes | None, int] = {}
        self._latest = latest
        reached = start - 1
        for row in self._rows(start, None):
            if len(latest) + len(row.batch) > KEYS_MAX and latest:
                break
            latest.update(zip(row.batch.keys, row.batch.offsets, strict=True))
            reached = last_offset(row.row_id)
        return reached

    def _groups(self, end: int) -> Iterator[_Group]:
        """The rows up to ``end``, filtered, in groups that fit into one stored batch."""
        group = _Group()
        for row in self._rows(0, end):
            keep, tombstones = self._filter(row)
            bucket = self._bucket(row) if tombstones else None
            full = (
                group.records + len(keep) > BATCH_MAX_RECORDS
                or group.size + row.size > BATCH_MAX_BYTES
                or len(group.rows) >= ROWS_PER_WRITE_MAX
            )
            # A tombstone's age is its batch's: joining old ones with new ones again and again would keep them for ever.
            if group.rows and (full or (None not in (bucket, group.bucket) and bucket != group.bucket)):
                yield group
                group = _Group()
            self._add(group, row, keep)
            if tombstones:
                group.bucket = bucket
                group.written_at = max(row.written_at, group.written_at or row.written_at)
                known = self._tombstones_since
                self._tombstones_since = row.written_at if known is None else min(known, row.written_at)
        if group.rows:
            yield group

    def _filter(self, row: _Row) -> tuple[list[int], bool]:
        """The positions of the records that stay, and whether there are tombstones among them."""
        latest = self._latest
        batch = row.batch
        keep = [
            i
            for i, (key, offset) in enumerate(zip(batch.keys, batch.offsets, strict=True))
            if latest.get(key, -1) <= offset
        ]
        if None not in batch.values or row.row_id == self._newest_row_id:
            # Tombstones of the newest batch wait for the pass after it is the newest no longer.
            return keep, False
        if row.written_at + self._delete_retention_ms <= self._now:
            keep = [i for i in keep if batch.values[i] is not None]
            return keep, False
        return keep, any(batch.values[i] is None for i in keep)

    def _bucket(self, row: _Row) -> int:
        return row.written_at // max(1, self._delete_retention_ms // 4)

    def _add(self, group: _Group, row: _Row, keep: list[int]) -> None:
        batch = row.batch
        group.rows.append(row)
        group.records += len(keep)
        group.removed += len(batch) - len(keep)
        group.size += row.size * len(keep) // max(1, len(batch))
        headers = batch.headers if batch.headers is not None else [None] * len(batch)
        if len(keep) == len(batch):
            group.offsets += batch.offsets
            group.timestamps += batch.timestamps
            group.keys += batch.keys
            group.values += batch.values
            group.headers += headers
            return
        group.offsets += [batch.offsets[i] for i in keep]
        group.timestamps += [batch.timestamps[i] for i in keep]
        group.keys += [batch.keys[i] for i in keep]
        group.values += [batch.values[i] for i in keep]
        group.headers += [headers[i] for i in keep]

    def _replace(self, group: _Group) -> None:
        if not group.removed and len(group.rows) == 1:
            return
        first, last = group.rows[0], group.rows[-1]
        with self._database.write() as connection:
            (before,) = connection.execute("PRAGMA secure_delete").fetchone()
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM batches WHERE batch_id BETWEEN ? AND ?", (first.row_id, last.row_id))
            # Elsewhere it would cost retention as many bytes written as it frees.
            connection.execute(f"PRAGMA secure_delete = {int(before)}")
            if group.offsets:
                self._insert(connection, group, first.base_offset, last_offset(last.row_id))
        self.removed += group.removed

    def _insert(self, connection: sqlite3.Connection, group: _Group, base: int, last: int) -> None:
        headers = group.headers if any(group.headers) else None
        columns = Columns(group.offsets, group.timestamps, group.keys, group.values, headers)
        pieces = split(columns)
        for piece in pieces:
            if piece.offsets is None:
                raise InvariantError(f"{self._topic_partition}: compacted records without offsets")
            end = last if piece is pieces[-1] else piece.offsets[-1]
            dense = len(piece.offsets) == end - base + 1
            encoded = encode(piece._replace(offsets=None) if dense else piece)
            connection.execute(
                "INSERT INTO batches (batch_id, base_offset, records, min_timestamp, max_timestamp, written_at, bytes,"
                " checksum, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    batch_id(self._partition_id, end),
                    base,
                    encoded.records,
                    encoded.min_timestamp,
                    encoded.max_timestamp,
                    group.rows[-1].written_at if group.written_at is None else group.written_at,
                    len(encoded.payload),
                    encoded.checksum,
                    encoded.payload,
                ),
            )
            base = end + 1

    def _finish(self, end: int) -> None:
        with self._database.write() as connection:
            total, dirty = connection.execute(
                "SELECT coalesce(sum(bytes), 0), coalesce(sum(CASE WHEN batch_id > ?3 THEN bytes END), 0)"
                " FROM batches WHERE batch_id BETWEEN ?1 AND ?2",
                (*self._id_range(0), batch_id(self._partition_id, end)),
            ).fetchone()
            connection.execute(
                "UPDATE partitions SET clean_end = ?, total_bytes = ?, dirty_bytes = ?, tombstones_since = ?"
                " WHERE partition_id = ?",
                (end + 1, total, dirty, self._tombstones_since, self._partition_id),
            )

    def _rows(self, start: int, end: int | None) -> Iterator[_Row]:
        """The stored batches from ``start`` to ``end``, read one by one so that nothing stays locked between them."""
        position = start
        while True:
            with self._database.read() as connection:
                row = connection.execute(
                    "SELECT batch_id, base_offset, written_at, bytes, checksum, payload FROM batches"
                    " WHERE batch_id BETWEEN ? AND ? ORDER BY batch_id LIMIT 1",
                    self._id_range(position, end),
                ).fetchone()
            if row is None:
                return
            row_id, base_offset, written_at, size, checksum, payload = row
            position = last_offset(row_id) + 1
            batch = decode(self._topic_partition, base_offset, position - 1, checksum, payload)
            yield _Row(row_id, base_offset, written_at, size, batch)

    def _id_range(self, start: int, end: int | None = None) -> tuple[int, int]:
        last = batch_id(self._partition_id + 1, 0) - 1 if end is None else batch_id(self._partition_id, end)
        return batch_id(self._partition_id, start), last
