"""The event log as one process has it: the embedded log, reached by way of the process's life."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from tests.simulation.faults import Life

from streambank.log import (
    EventLog,
    GroupMetadata,
    OffsetAndMetadata,
    RecordBatch,
    StorageFullError,
    TopicConfig,
    TopicPartition,
    Watermarks,
)
from streambank.log.embedded import EmbeddedLog
from streambank.log.embedded.consumer import EmbeddedConsumer
from streambank.log.embedded.writer import EmbeddedProducer, EmbeddedTransaction
from streambank.log.interface import GroupDescription, RebalanceListener, StartPosition


class SimLog(EventLog):
    """See :class:`streambank.log.interface.EventLog`."""

    def __init__(self, log: EmbeddedLog, life: Life, on_durable: Callable[[], None]) -> None:
        """``on_durable`` is called after what makes the log durable."""
        self._log = log
        self._life = life
        self._on_durable = on_durable
        self._consumers: list[EmbeddedConsumer] = []
        self._producers: list[EmbeddedProducer] = []

    def end(self, *, noticed: bool) -> None:
        """The process has ended. Unless that is noticed, its group learns of it when its session is over."""
        for producer in self._producers:
            producer.close()
        if noticed:
            for consumer in self._consumers:
                consumer.abandon()

    @property
    def log_id(self) -> str:
        return self._log.log_id

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        self._life.point("log: create topics")
        self._log.create_topics(configs)

    def delete_topics(self, names: Collection[str]) -> None:
        self._life.point("log: delete topics")
        self._log.delete_topics(names)

    def topics(self) -> dict[str, TopicConfig]:
        return self._log.topics()

    def watermarks(self, topic_partition: TopicPartition) -> Watermarks:
        return self._log.watermarks(topic_partition)

    def stable_end(self, topic_partition: TopicPartition) -> int:
        return self._log.stable_end(topic_partition)

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int = 10_000) -> RecordBatch:
        self._life.point("log: read")
        return self._log.read(topic_partition, offset, max_records)

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int:
        return self._log.offset_for_time(topic_partition, timestamp)

    def wait(self, positions: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        return self._log.wait(positions, 0.0)

    def flush(self) -> None:
        self._life.point("log: flush")
        self._log.flush()
        self._on_durable()

    def producer(self, transactional_id: str | None = None) -> "SimProducer":
        self._life.point("log: producer")
        producer = self._log.producer(transactional_id)
        self._producers.append(producer)
        return SimProducer(producer, self._life, self._on_durable)

    def consumer(
        self,
        group: str,
        topics: Collection[str],
        *,
        listener: RebalanceListener | None = None,
        start: StartPosition = "earliest",
        instance_id: str | None = None,
    ) -> "SimConsumer":
        self._life.point("log: join")
        consumer = self._log.consumer(group, topics, listener=listener, start=start, instance_id=instance_id)
        self._consumers.append(consumer)
        return SimConsumer(consumer, self._life)

    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        return self._log.committed(group)

    def describe_group(self, group: str) -> GroupDescription:
        return self._log.describe_group(group)

    def groups(self) -> list[GroupDescription]:
        return self._log.groups()

    def close(self) -> None:
        """The log is not the process's to close."""


class SimProducer:
    """See :class:`streambank.log.interface.Producer`."""

    def __init__(self, producer: EmbeddedProducer, life: Life, on_durable: Callable[[], None]) -> None:
        self._producer = producer
        self._life = life
        self._on_durable = on_durable

    @contextmanager
    def transaction(self, *, durable: bool = True, wait: bool = True) -> Iterator[EmbeddedTransaction]:
        with self._producer.transaction(durable=durable, wait=wait) as transaction:
            yield transaction
            self._life.point("log: before commit")
            if self._life.faults.strikes(self._life.faults.rates.storage_full, self._life.name, "disk full"):
                raise StorageFullError("no space left, says the simulator")
        if durable:
            self._on_durable()
        self._life.point("log: after commit")

    def close(self) -> None:
        self._producer.close()


class SimConsumer:
    """See :class:`streambank.log.interface.Consumer`."""

    def __init__(self, consumer: EmbeddedConsumer, life: Life) -> None:
        self._consumer = consumer
        self._life = life

    @property
    def metadata(self) -> GroupMetadata:
        return self._consumer.metadata

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._consumer.assignment

    def poll(self, max_records: int, timeout_s: float) -> list[RecordBatch]:
        self._life.point("log: before poll")
        batches = self._consumer.poll(max_records, 0.0)
        self._life.point("log: after poll")
        return batches

    def position(self, topic_partition: TopicPartition) -> int:
        return self._consumer.position(topic_partition)

    def current_lag(self, topic_partition: TopicPartition) -> int:
        return self._consumer.current_lag(topic_partition)

    def seek(self, topic_partition: TopicPartition, offset: int) -> None:
        self._consumer.seek(topic_partition, offset)

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.pause(partitions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.resume(partitions)

    def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        return self._consumer.committed(partitions)

    def wakeup(self) -> None:
        self._consumer.wakeup()

    def close(self) -> None:
        self._life.point("log: leave")
        self._consumer.close()


def snapshot(log: EmbeddedLog) -> bytes:
    """What a log in memory holds now."""
    return log._database._writer.serialize()


def restore(log: EmbeddedLog, held: bytes) -> None:
    """Let a new log in memory hold that."""
    log._database._writer.deserialize(held)
    with log._database.read() as connection:
        (log._log_id,) = connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()


def values_of(log: EventLog, topic: str, partitions: int, read_to: dict[TopicPartition, int]) -> list[bytes | None]:
    """What was written to a topic since it was read up to ``read_to``, which is moved on."""
    found: list[bytes | None] = []
    for partition in range(partitions):
        at = TopicPartition(topic, partition)
        while batch := log.read(at, read_to.get(at, 0)):
            found.extend(batch.values)
            read_to[at] = batch.next_offset
    return found
