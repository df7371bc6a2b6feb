"""The cleaner: retention of topics that delete, compaction of topics that compact.

Works in short write transactions, so that appends never wait long, and for one process at a time.
"""

import logging
import threading
from dataclasses import dataclass

from streambank.clock import Clock
from streambank.log.embedded.catalog import Catalog, StoredTopic
from streambank.log.embedded.compaction import Compactor
from streambank.log.embedded.database import Database
from streambank.log.embedded.locks import FileLock
from streambank.log.embedded.schema import batch_id, last_offset
from streambank.log.errors import ClosedError, LogError
from streambank.log.records import TopicPartition
from streambank.log.topics import MAX_COMPACTION_LAG_MS

_logger = logging.getLogger(__name__)

MIN_DIRTY_RATIO = 0.5
"""Kafka's ``min.cleanable.dirty.ratio``: compaction runs once half of a partition's bytes are new."""

CLEANING_INTERVAL_S = 60.0

DELETED_ROWS_PER_WRITE_MAX = 500
DELETED_BYTES_PER_WRITE_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What one pass did. ``skipped`` when another process was cleaning at the time."""

    partitions_compacted: int = 0
    records_compacted: int = 0
    batches_expired: int = 0
    records_expired: int = 0
    skipped: bool = False


class Cleaner:
    """Cleans a log when asked, and in the background once :meth:`start` was called."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._mutex = threading.Lock()
        self._file_lock = FileLock(database.folder / "clean.lock") if database.folder is not None else None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Clean every :data:`CLEANING_INTERVAL_S` from a thread."""
        self._thread = threading.Thread(target=self._run, name="streambank-log-cleaner", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, after the write transaction that may be under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._mutex:
            if self._file_lock is not None:
                self._file_lock.close()

    def clean(self, min_dirty_ratio: float = MIN_DIRTY_RATIO) -> CleaningReport:
        """One pass over every partition."""
        with self._mutex:
            if self._file_lock is not None and not self._file_lock.try_acquire():
                return CleaningReport(skipped=True)
            try:
                return self._pass(min_dirty_ratio)
            finally:
                if self._file_lock is not None:
                    self._file_lock.release()

    def _run(self) -> None:
        while not self._stop.wait(CLEANING_INTERVAL_S):
            try:
                report = self.clean()
            except ClosedError:
                return
            except LogError as error:
                _logger.warning("cleaning failed, trying again in %d s: %s", CLEANING_INTERVAL_S, error)
                continue
            if report.records_compacted or report.records_expired:
                _logger.info("cleaned: %s", report)

    def _pass(self, min_dirty_ratio: float) -> CleaningReport:
        partitions = compacted = batches = expired = 0
        now = self._clock()
        for name, topic in sorted(self._catalog.reload().items()):
            for number in range(topic.config.partitions):
                if self._stop.is_set():
                    break
                partition_id = topic.first_partition_id + number
                if topic.config.cleanup_policy != "compact" and topic.config.retention_ms >= 0:
                    rows, records = self._expire(partition_id, now - topic.config.retention_ms)
                    batches += rows
                    expired += records
                if not topic.config.compacted:
                    continue
                overdue = self._is_overdue(partition_id, now)
                if overdue or self._is_due(topic, partition_id, now, min_dirty_ratio):
                    compactor = Compactor(
                        self._database,
                        TopicPartition(name, number),
                        partition_id,
                        now,
                        topic.config.delete_retention_ms,
                        self._stop.is_set,
                    )
                    partitions += compactor.run(self._is_tombstone_due(topic, partition_id, now), overdue)
                    compacted += compactor.removed
        return CleaningReport(partitions, compacted, batches, expired)

    def _is_due(self, topic: StoredTopic, partition_id: int, now: int, min_dirty_ratio: float) -> bool:
        with self._database.read() as connection:
            total, dirty = connection.execute(
                "SELECT total_bytes, dirty_bytes FROM partitions WHERE partition_id = ?", (partition_id,)
            ).fetchone()
        return (dirty > 0 and dirty >= min_dirty_ratio * total) or self._is_tombstone_due(topic, partition_id, now)

    def _is_overdue(self, partition_id: int, now: int) -> bool:
        """Whether something was written so long ago that what it replaced must not stay, be it ever so little."""
        with self._database.read() as connection:
            oldest = connection.execute(
                "SELECT written_at FROM partitions JOIN batches ON batch_id BETWEEN ? + clean_end AND ?"
                " WHERE partition_id = ? ORDER BY batch_id LIMIT 1",
                (batch_id(partition_id, 0), batch_id(partition_id + 1, 0) - 1, partition_id),
            ).fetchone()
        return oldest is not None and oldest[0] + MAX_COMPACTION_LAG_MS <= now

    def _is_tombstone_due(self, topic: StoredTopic, partition_id: int, now: int) -> bool:
        with self._database.read() as connection:
            (since,) = connection.execute(
                "SELECT tombstones_since FROM partitions WHERE partition_id = ?", (partition_id,)
            ).fetchone()
        return since is not None and since + topic.config.delete_retention_ms <= now

    def _expire(self, partition_id: int, before: int) -> tuple[int, int]:
        """Delete the batches at the start whose records are all older than ``before``: batches and records deleted."""
        rows = records = 0
        while not self._stop.is_set():
            deleted = self._expire_some(partition_id, before)
            if not deleted[0]:
                break
            rows += deleted[0]
            records += deleted[1]
        return rows, records

    def _expire_some(self, partition_id: int, before: int) -> tuple[int, int]:
        first, end = batch_id(partition_id, 0), batch_id(partition_id + 1, 0) - 1
        with self._database.read() as connection:
            oldest = connection.execute(
                "SELECT batch_id, max_timestamp, records, bytes FROM batches WHERE batch_id BETWEEN ? AND ?"
                " ORDER BY batch_id LIMIT ?",
                (first, end, DELETED_ROWS_PER_WRITE_MAX),
            ).fetchall()
        doomed: list[tuple[int, int, int]] = []
        size = 0
        for row_id, max_timestamp, count, row_bytes in oldest:
            if max_timestamp >= before or size >= DELETED_BYTES_PER_WRITE_MAX:
                break
            doomed.append((row_id, count, row_bytes))
            size += row_bytes
        if not doomed:
            return 0, 0
        last = doomed[-1][0]
        with self._database.write() as connection:
            connection.execute("DELETE FROM batches WHERE batch_id BETWEEN ? AND ?", (first, last))
            connection.execute(
                "UPDATE partitions SET low = ?, total_bytes = max(0, total_bytes - ?),"
                " dirty_bytes = min(dirty_bytes, max(0, total_bytes - ?)) WHERE partition_id = ?",
                (last_offset(last) + 1, size, size, partition_id),
            )
        return len(doomed), sum(count for _, count, _ in doomed)
