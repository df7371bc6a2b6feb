"""A deterministic driver for tests: the production runner and tasks on a log in memory, one record at a time.

driver = TopologyTestDriver(topology)
driver.pipe(CLICKS, "anna", 1)
driver.crash()                                  # as kill -9 and a new start
driver.pipe(CLICKS, "anna", 1)
assert driver.read(COUNTS) == [("anna", 1, 0), ("anna", 2, 1)]
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from streambank.errors import check
from streambank.log import EventLog, Headers, Record, TopicPartition, encode_headers
from streambank.log.embedded import EmbeddedLog
from streambank.streams.config import StreamsConfig
from streambank.streams.error_policies import ErrorPolicy
from streambank.streams.runner import StreamRunner
from streambank.streams.topic import Topic
from streambank.streams.topology import Topology

K = TypeVar("K")
V = TypeVar("V")

READ_RECORDS = 10_000

REBALANCE_STEPS = 4
"""After so many, each member knows of the other, one has given up its share, and the other has got it."""


class OutputRecord(NamedTuple):
    """A record read back, without its place and headers: what tests compare."""

    key: Any
    value: Any
    timestamp: int


class TopologyTestDriver:
    """Runs a topology on a log in memory, within the calling thread.

    Every :meth:`pipe` is processed and committed before it returns, through however many internal topics. Timestamps
    are the test's: without one, a record is a millisecond later than the one before. With a ``state_dir``, key-value
    stores are in RocksDB there.
    """

    runner: StreamRunner

    def __init__(
        self,
        topology: Topology,
        *,
        application_id: str = "test",
        on_error: ErrorPolicy = "fail",
        config: StreamsConfig | None = None,
        idle_close_ms: int | None = None,
        state_dir: Path | None = None,
        log: EventLog | None = None,
        folder: Path | None = None,
    ) -> None:
        """On ``log``, which stays open in the end; else on one of its own, in ``folder`` if given.

        One in a folder is closed by a crash and opened again, as a new process does. ``config`` says everything that
        the settings here leave open, and is used instead of them.
        """
        self.topology = topology
        self._folder = folder
        self.log: EventLog = log if log is not None else self._open()
        self._config = config or StreamsConfig(
            application_id=application_id,
            on_error=on_error,
            idle_close_ms=idle_close_ms,
            store="memory" if state_dir is None else "rocksdb",
            state_dir=state_dir,
        )
        self._monotonic_ms = self._wall_clock = 0
        self._owns_log = log is None
        self._producer = self.log.producer()
        self._read: dict[TopicPartition, int] = {}
        self._next_timestamp = 0
        self._earlier_drops: Counter[str] = Counter()
        self._start()

    def pipe(
        self,
        topic: Topic[K, V],
        key: K | None,
        value: V | None,
        timestamp: int | None = None,
        *,
        late_by_ms: int = 0,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Write a record and process all that follows from it."""
        self.write(topic, key, value, timestamp, late_by_ms=late_by_ms, partition=partition, headers=headers)
        self.run()

    def write(
        self,
        topic: Topic[K, V],
        key: K | None,
        value: V | None,
        timestamp: int | None = None,
        *,
        late_by_ms: int = 0,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Write a record without processing it yet: see :meth:`run`.

        Without a timestamp, ``late_by_ms`` makes it so much older than it would be; the next record is not.
        """
        if timestamp is None:
            timestamp = self._next_timestamp
        self._next_timestamp = timestamp + 1
        timestamp -= late_by_ms
        self.write_bytes(
            topic.name,
            None if key is None else topic.key.serialize(key),
            None if value is None else topic.value.serialize(value),
            timestamp,
            partition=partition,
            headers=headers,
        )

    def write_bytes(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Write raw bytes, such as a record that cannot be decoded."""
        with self._producer.transaction() as transaction:
            transaction.append(
                topic, value, key=key, timestamp=timestamp, headers=encode_headers(headers), partition=partition
            )

    def run(self) -> None:
        """Process until nothing is left to do. Records that are tried again wait for no time."""
        while self.runner.step() or self._skip_wait():
            pass

    def advance_wall_clock(self, by_ms: int) -> None:
        """Let the wall clock, which stands still otherwise and starts at 0, go on; process all that follows from it."""
        self._wall_clock += by_ms
        self.runner.step()
        self.run()

    def read(self, topic: Topic[K, V]) -> list[OutputRecord]:
        """What the topology has written to ``topic`` since the last read, partition by partition."""
        return [
            OutputRecord(
                None if record.key is None else topic.key.deserialize(record.key),
                None if record.value is None else topic.value.deserialize(record.value),
                record.timestamp,
            )
            for record in self.read_records(topic.name)
        ]

    def read_records(self, topic: str) -> list[Record]:
        """The records written to ``topic`` since the last read, as bytes, with headers."""
        records: list[Record] = []
        for partition in range(self.log.topics()[topic].partitions):
            at = TopicPartition(topic, partition)
            while batch := self.log.read(at, self._read.get(at, 0), READ_RECORDS):
                records += batch
                self._read[at] = batch.next_offset
        return records

    def store(self, name: str) -> dict[Any, Any]:
        """The store's content over all partitions."""
        return {key: stored[0] for part in self.runner.stores(name) for key, stored in part.items()}

    def windows(self, name: str, key: Any) -> dict[tuple[int, int], Any]:
        """A key's windows or sessions in the store, by start and end in ms, the earliest first."""
        found = {(window.start, window.end): value for window, value in self.store(name).items() if window.key == key}
        return dict(sorted(found.items()))

    @property
    def drops(self) -> Counter[str]:
        """How many records went no further, by reason, since the driver began."""
        return self._earlier_drops + self.runner.drops

    @property
    def dead_letters(self) -> list[Record]:
        """The dead letters written since they were last read."""
        return self.read_records(self._config.dead_letter_topic)

    def crash(self) -> None:
        """Lose everything in memory, as a killed process does, and start again from what is committed."""
        self._leave(self.runner)
        self._come_back()

    def restart(self) -> None:
        """Stop as a program does that is told to, and start again."""
        self.runner.stop()
        self.runner.run()
        self._leave(self.runner, save=True)
        self._come_back()

    def rebalance(self) -> None:
        """Let the partitions move to another member of the group, some first and then all, and come back likewise.

        What is written but not processed yet is processed by whoever has its partition at that moment.
        """
        everything = self.runner.assignment
        for _ in range(2):
            other = self._new_runner(self.log)
            for _ in range(REBALANCE_STEPS):
                self.runner.step()
                other.step()
            self._leave(self.runner)
            self.runner = other
            while self.runner.assignment != everything:
                self.runner.step()
            self.run()

    def crash_before_commit(self) -> None:
        """Process what is written, and crash before it is committed."""
        failing: Any = _FailingLog(self.log)
        self._leave(self.runner)
        runner = self._new_runner(failing)
        try:
            while runner.step():
                pass
        except _CrashError:
            pass
        finally:
            runner.close(save=False)
        check(failing.crashed, "crash_before_commit: there was nothing to process")
        self._start()

    def close(self) -> None:
        """Release the log."""
        self.runner.close()
        self._producer.close()
        if self._owns_log:
            self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _skip_wait(self) -> bool:
        """Let the time come when a record is tried again; False if none waits."""
        due = self.runner.next_retry_ms
        self._monotonic_ms = max(self._monotonic_ms, due or 0)
        return due is not None

    def _open(self) -> EventLog:
        # Durability is for power cuts, which no test has.
        return EmbeddedLog.open(self._folder, synchronous="OFF")

    def _start(self) -> None:
        self.runner = self._new_runner(self.log)
        self.run()

    def _come_back(self) -> None:
        if self._owns_log and self._folder is not None:
            self._producer.close()
            self.log.close()
            self.log = self._open()
            self._producer = self.log.producer()
        self._start()

    def _leave(self, runner: StreamRunner, *, save: bool = False) -> None:
        self._earlier_drops += runner.drops
        runner.close(save=save)

    def _new_runner(self, log: EventLog) -> StreamRunner:
        return StreamRunner(
            self.topology,
            log,
            self._config,
            monotonic_ms=lambda: self._monotonic_ms,
            clock=lambda: self._wall_clock,
        )


class _CrashError(BaseException):
    """The crash. Not an Exception, so that no policy catches it."""


class _FailingLog:
    """The log, but transactions that commit offsets die before they commit."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.crashed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def producer(self, transactional_id: str | None = None) -> Any:
        return _FailingProducer(self, self._log.producer(transactional_id))


class _FailingProducer:
    def __init__(self, log: _FailingLog, producer: Any) -> None:
        self._log, self._producer = log, producer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def transaction(self, **how: bool) -> Any:
        return _FailingTransaction(self._log, self._producer.transaction(**how))


class _FailingTransaction:
    def __init__(self, log: _FailingLog, transaction: Any) -> None:
        self._log, self._transaction = log, transaction

    def __enter__(self) -> Any:
        return self._transaction.__enter__()

    def __exit__(self, *details: Any) -> None:
        self._log.crashed = True
        crash = _CrashError()
        self._transaction.__exit__(_CrashError, crash, None)
        raise crash
