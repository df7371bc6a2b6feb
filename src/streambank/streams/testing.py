"""A deterministic driver for tests: the production runner and tasks on a log in memory, one record at a time.

driver = TopologyTestDriver(topology)
driver.pipe(CLICKS, "anna", 1)
driver.crash()                                  # as kill -9 and a new start
driver.pipe(CLICKS, "anna", 1)
assert driver.read(COUNTS) == [("anna", 1, 0), ("anna", 2, 1)]
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from streambank.errors import check
from streambank.log import EventLog, Headers, Record, TopicPartition, encode_headers
from streambank.log.embedded import EmbeddedLog
from streambank.streams.config import OnError, StreamsConfig
from streambank.streams.runner import StreamRunner
from streambank.streams.topic import Topic
from streambank.streams.topology import Topology

K = TypeVar("K")
V = TypeVar("V")

READ_RECORDS = 10_000


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

    def __init__(
        self,
        topology: Topology,
        *,
        application_id: str = "test",
        on_error: OnError = "fail",
        idle_close_ms: int | None = None,
        state_dir: Path | None = None,
        log: EventLog | None = None,
    ) -> None:
        self._wall_clock = 0
        self.topology = topology
        self.log: EventLog = log if log is not None else EmbeddedLog.open(None)
        self._config = StreamsConfig(
            application_id=application_id,
            on_error=on_error,
            poll_timeout_s=0.0,
            idle_close_ms=idle_close_ms,
            store="memory" if state_dir is None else "rocksdb",
            state_dir=state_dir,
        )
        self._owns_log = log is None
        self._producer = self.log.producer()
        self._read: dict[TopicPartition, int] = {}
        self._next_timestamp = 0
        self._start()

    def pipe(
        self,
        topic: Topic[K, V],
        key: K | None,
        value: V | None,
        timestamp: int | None = None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Write a record and process all that follows from it."""
        self.write(topic, key, value, timestamp, partition=partition, headers=headers)
        self.run()

    def write(
        self,
        topic: Topic[K, V],
        key: K | None,
        value: V | None,
        timestamp: int | None = None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        """Write a record without processing it yet: see :meth:`run`."""
        if timestamp is None:
            timestamp = self._next_timestamp
        self._next_timestamp = timestamp + 1
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
        """Process until nothing is left to do."""
        while self.runner.step():
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

    @property
    def dead_letters(self) -> list[Record]:
        """The dead letters written since they were last read."""
        return self.read_records(self._config.dead_letter_topic)

    def crash(self) -> None:
        """Lose everything in memory, as a killed process does, and start again from what is committed."""
        self.runner.close(save=False)
        self._start()

    def restart(self) -> None:
        """Stop in good order and start again."""
        self.runner.close()
        self._start()

    def crash_before_commit(self) -> None:
        """Process what is written, and crash before it is committed."""
        failing = _FailingLog(self.log)
        self.runner.close(save=False)
        runner = StreamRunner(self.topology, failing, self._config, clock=self._clock)
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

    def _clock(self) -> int:
        return self._wall_clock

    def _start(self) -> None:
        self.runner = StreamRunner(self.topology, self.log, self._config, clock=self._clock)
        self.run()


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

    def transaction(self, *, durable: bool = True) -> Any:
        return _FailingTransaction(self._log, self._producer.transaction(durable=durable))


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
