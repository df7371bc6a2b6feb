"""The embedded event log: one SQLite file, no server, shared by threads and by processes of one machine."""

import contextlib
import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from streambank.clock import Clock, monotonic_ms, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log.embedded.catalog import Catalog
from streambank.log.embedded.cleaner import MIN_DIRTY_RATIO, Cleaner, CleaningReport
from streambank.log.embedded.consumer import ConsumerParts, EmbeddedConsumer
from streambank.log.embedded.database import Database, Synchronous
from streambank.log.embedded.groups import Groups, Liveness
from streambank.log.embedded.locks import ProcessLock
from streambank.log.embedded.reader import check_range, offset_for_time, read_batch
from streambank.log.embedded.signals import Peers, Signals
from streambank.log.embedded.writer import EmbeddedProducer, WriterParts
from streambank.log.errors import ClosedError, LogError
from streambank.log.interface import GroupDescription, RebalanceListener, StartPosition
from streambank.log.partitioner import Partitioner
from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition, Watermarks
from streambank.log.topics import TopicConfig

RECORD_MAX_BYTES = 1 << 20
"""Kafka's default for ``max.message.bytes``, so that what fits here fits there."""

SESSION_TIMEOUT_MS = 10_000
"""A processing step between two polls is well below this; a process that ends is noticed at once by its lock."""

WAIT_STEP_S = 0.5


class EmbeddedLog:
    """See :class:`streambank.log.interface.EventLog`. Made by :meth:`open`; also a context manager that closes it."""

    def __init__(self, database: Database, processes: Path | None, settings: "_Settings") -> None:
        self._database = database
        self._log_id = _log_id(database, settings)
        self._catalog = Catalog(database)
        # Not from the injected randomness: two processes with the same seed must not take each other's lock.
        self._process_id = uuid7(settings.clock(), os.urandom)
        self._process_lock = ProcessLock(processes, self._process_id) if processes is not None else None
        peers = (
            Peers(database.folder, self._log_id, self._process_id, database.connect_watcher)
            if database.folder is not None
            else None
        )
        self._signals = Signals(peers)
        self._cleaner = Cleaner(database, self._catalog, settings.clock)
        liveness = Liveness(self._process_id, processes, settings.monotonic_ms, settings.session_timeout_ms)
        self._groups = Groups(database, self._catalog, liveness, settings.clock, settings.random_bytes)
        self._writer_parts = WriterParts(
            database, self._catalog, self._groups, self._signals, settings.clock, settings.record_max_bytes
        )
        self._consumer_parts = ConsumerParts(database, self._catalog, self._groups, self._signals)
        self._partitioners: dict[int, Partitioner] = {}
        self._mutex = threading.Lock()
        self._producers: set[EmbeddedProducer] = set()
        self._consumers: set[EmbeddedConsumer] = set()
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: Path | None,
        *,
        clock: Clock = system_clock,
        monotonic_ms: Clock = monotonic_ms,
        random_bytes: RandomBytes = os.urandom,
        synchronous: Synchronous = "FULL",
        session_timeout_ms: int = SESSION_TIMEOUT_MS,
        size_max_bytes: int | None = None,
        record_max_bytes: int = RECORD_MAX_BYTES,
        background_cleaning: bool | None = None,
    ) -> "EmbeddedLog":
        """Open the log in ``folder``, making it if need be; None: a private log in memory.

        ``clock`` stamps what is written and drives retention; ``monotonic_ms`` drives sessions, and must be the same
        clock in every process. ``size_max_bytes`` bounds the file, without its write-ahead log (at most some 64 MiB).
        ``background_cleaning`` runs :meth:`clean` once a minute from a thread; by default for a log with a folder.

        Raises:
            LogError: the folder cannot be made or used.
            StorageVersionError: the folder holds another version's log, or something else, or a damaged file.
            ValueError: a setting is out of range.
        """
        if synchronous not in ("FULL", "NORMAL", "OFF"):
            raise ValueError(f"synchronous must be 'FULL', 'NORMAL' or 'OFF', not {synchronous!r}")
        if session_timeout_ms < 1 or record_max_bytes < 1 or (size_max_bytes is not None and size_max_bytes < 1):
            raise ValueError("session_timeout_ms, record_max_bytes and size_max_bytes must be positive")
        settings = _Settings(clock, monotonic_ms, random_bytes, session_timeout_ms, record_max_bytes)
        processes = _make_folders(folder) if folder is not None else None
        database = Database(folder, synchronous, size_max_bytes)
        try:
            log = cls(database, processes, settings)
        except BaseException:
            database.close()
            raise
        if background_cleaning or (background_cleaning is None and folder is not None):
            log._cleaner.start()
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def log_id(self) -> str:
        """Names this log for ever: a UUIDv7 made with it."""
        return self._log_id

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist. Raises TopicMismatchError; none is created then."""
        if self._catalog.create(configs):
            self._signals.announce()

    def delete_topics(self, names: Collection[str]) -> None:
        """Delete topics with their records and every group's positions in them. Raises UnknownTopicError; none then."""
        self._catalog.delete(names)
        self._signals.announce()

    def topics(self) -> dict[str, TopicConfig]:
        """Every topic by name."""
        return {name: topic.config for name, topic in sorted(self._catalog.reload().items())}

    def watermarks(self, topic_partition: TopicPartition) -> Watermarks:
        """The partition's first and next offset. Raises UnknownTopicError."""
        partition_id = self._catalog.partition_id(topic_partition)
        with self._database.read() as connection:
            return self._catalog.watermarks(connection, partition_id)

    def stable_end(self, topic_partition: TopicPartition) -> int:
        """The next offset: a transaction is over when it commits. Raises UnknownTopicError."""
        return self.watermarks(topic_partition).high

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int = 10_000) -> RecordBatch:
        """Committed records from ``offset`` on, without a group. Raises UnknownTopicError, OffsetOutOfRangeError."""
        partition_id = self._catalog.partition_id(topic_partition)
        with self._database.read() as connection:
            marks = self._catalog.watermarks(connection, partition_id)
            check_range(topic_partition, offset, marks)
            return read_batch(
                connection, TopicPartition(*topic_partition), partition_id, offset, marks.high, max_records
            )

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int:
        """The offset of the first record whose timestamp is at or after ``timestamp``; the end if there is none."""
        partition_id = self._catalog.partition_id(topic_partition)
        with self._database.read() as connection:
            marks = self._catalog.watermarks(connection, partition_id)
            return offset_for_time(connection, partition_id, timestamp, marks.high)

    def wait(self, positions: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        """Wait until one of the partitions has a record at or beyond its position."""
        wanted = {self._catalog.partition_id(at): offset for at, offset in positions.items()}
        # Real time whatever clock the log has: this is how long a thread sleeps, not what anything is decided by.
        deadline = time.monotonic() + timeout_s
        self._signals.listen()
        topics = {at.topic for at in positions}
        while True:
            ticket = self._signals.ticket(topics)
            with self._database.read() as connection:
                ends = self._catalog.ends(connection, wanted)
            if any(ends[partition_id] > offset for partition_id, offset in wanted.items()):
                return True
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            self._signals.wait(ticket, min(remaining_s, WAIT_STEP_S), topics)

    def flush(self) -> None:
        """Make everything durable that could be read before the call."""
        self._database.flush()

    def producer(self, transactional_id: str | None = None) -> EmbeddedProducer:
        """A producer. With a ``transactional_id``, every earlier producer of that id is fenced from now on."""
        self._check_open()
        producer = EmbeddedProducer(self._writer_parts, self._partitioners, transactional_id, self._producers.discard)
        self._producers.add(producer)
        return producer

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        *,
        listener: RebalanceListener | None = None,
        start: StartPosition = "earliest",
        instance_id: str | None = None,
    ) -> EmbeddedConsumer:
        """Join a group; ``instance_id`` changes nothing here. Raises UnknownTopicError."""
        self._check_open()
        consumer = EmbeddedConsumer(self._consumer_parts, group, topics, listener, start, self._consumers.discard)
        self._consumers.add(consumer)
        return consumer

    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; empty for an unknown group."""
        return self._groups.committed(group)

    def describe_group(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""
        return self._groups.describe_one(group)

    def groups(self) -> list[GroupDescription]:
        """Every group that has members or committed positions, by name."""
        return self._groups.describe()

    def clean(self, min_dirty_ratio: float = MIN_DIRTY_RATIO) -> CleaningReport:
        """Apply retention and compaction now, in one pass over every partition.

        A partition is compacted once ``min_dirty_ratio`` of its bytes are new, or a tombstone's time is over. Its
        newest batch is left alone. Does nothing while another process cleans the log.
        """
        self._check_open()
        return self._cleaner.clean(min_dirty_ratio)

    def close(self) -> None:
        """Close the log and everything opened from it. Members leave their groups at once. Idempotent."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
        with contextlib.ExitStack() as stack:
            # Unwound from the last to the first, each whatever happens to the others.
            if self._process_lock is not None:
                stack.callback(self._process_lock.close)
            stack.callback(self._database.close)
            stack.callback(self._signals.close)
            stack.callback(self._cleaner.close)
            for consumer in list(self._consumers):
                stack.callback(consumer.abandon)
            for producer in list(self._producers):
                stack.callback(producer.close)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the log is closed; open it again")


class _Settings:
    """What :meth:`EmbeddedLog.open` was given."""

    def __init__(
        self,
        clock: Clock,
        monotonic_ms: Clock,
        random_bytes: RandomBytes,
        session_timeout_ms: int,
        record_max_bytes: int,
    ) -> None:
        self.clock = clock
        self.monotonic_ms = monotonic_ms
        self.random_bytes = random_bytes
        self.session_timeout_ms = session_timeout_ms
        self.record_max_bytes = record_max_bytes


def _make_folders(folder: Path) -> Path:
    processes = folder / "processes"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        processes.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LogError(f"{folder} cannot hold a log ({error.strerror}); choose a folder you may write to") from error
    return processes


def _log_id(database: Database, settings: _Settings) -> str:
    with database.read() as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()
    if row is None:
        with database.write() as connection:
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('log_id', ?) ON CONFLICT DO NOTHING",
                (uuid7(settings.clock(), settings.random_bytes),),
            )
            row = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()
    return str(row[0])
