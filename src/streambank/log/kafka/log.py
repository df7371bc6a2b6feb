"""The event log on Apache Kafka."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self

from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log.errors import ClosedError, LogError, OffsetOutOfRangeError
from streambank.log.interface import GroupDescription, RebalanceListener, StartPosition
from streambank.log.kafka.batches import empty_batch
from streambank.log.kafka.client import fence
from streambank.log.kafka.consumer import KafkaConsumer
from streambank.log.kafka.groups import KafkaGroups
from streambank.log.kafka.producer import KafkaProducer
from streambank.log.kafka.reader import Readers
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.kafka.topics import KafkaTopics
from streambank.log.kafka.transaction import KafkaTransaction
from streambank.log.records import OffsetAndMetadata, RecordBatch, TopicPartition, Watermarks
from streambank.log.topics import TopicConfig

STABLE_S = 60.0
"""Longer than any transaction may be open: by default 10 s, and 10 s until the broker looks."""

STEP_S = 0.002
WAIT_STEP_S = 0.02


class KafkaLog:
    """See :class:`streambank.log.interface.EventLog`. A context manager that closes it.

    Kafka differs in this: offsets have gaps, where marks of transactions are; a commit is as durable as the topics'
    ``min.insync.replicas`` make it, ``durable`` or not; a record of the first millisecond of 1970 is written as of the
    second, and an earlier one is refused. What one ``KafkaLog`` has written it reads at once; others see
    it some milliseconds later, when the brokers have written the marks.
    """

    def __init__(
        self, settings: KafkaSettings, *, clock: Clock = system_clock, random_bytes: RandomBytes = os.urandom
    ) -> None:
        """Raises LogError where no broker answers, or where they refuse the credentials."""
        self._settings, self._clock, self._random_bytes = settings, clock, random_bytes
        self._topics = KafkaTopics(settings)
        self._log_id = self._topics.cluster_id()
        self._groups = KafkaGroups(settings, self._topics)
        self._readers = Readers(settings)
        self._mutex = threading.Lock()
        self._producers: set[KafkaProducer] = set()
        self._consumers: set[KafkaConsumer] = set()
        self._written: dict[TopicPartition, int] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def log_id(self) -> str:
        """The cluster's id."""
        return self._log_id

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist, with the cluster's default replication."""
        self._check_open()
        self._topics.create(configs)

    def delete_topics(self, names: Collection[str]) -> None:
        """Delete topics with all that is in them; brokers drop the positions with them."""
        self._check_open()
        self._topics.delete(names)
        for at in [at for at in self._written if at.topic in names]:
            self._written.pop(at, None)

    def topics(self) -> dict[str, TopicConfig]:
        """Every topic by name, but Kafka's own."""
        self._check_open()
        return self._topics.all()

    def watermarks(self, topic_partition: TopicPartition) -> Watermarks:
        """The partition's first offset, and its last stable one."""
        self._check_open()
        self._topics.check(topic_partition)
        at = [topic_partition]
        low = self._topics.offsets(at, "earliest")[topic_partition]
        written = self._written.get(topic_partition, 0)
        return Watermarks(low, self._wait_for(topic_partition, written))

    def stable_end(self, topic_partition: TopicPartition) -> int:
        """The partition's end, once every transaction has ended that is open in it now (KAFKA-10167)."""
        self._check_open()
        self._topics.check(topic_partition)
        end = self._topics.offsets([topic_partition], "latest", uncommitted=True)[topic_partition]
        return self._wait_for(topic_partition, end)

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int = 10_000) -> RecordBatch:
        """Committed records from ``offset`` on, without a group; an empty batch at the end."""
        self._check_open()
        self._topics.check(topic_partition)
        with self._readers.borrowed(topic_partition, offset) as reader:
            low, high = self.watermarks(topic_partition)
            if not low <= offset <= high:
                raise OffsetOutOfRangeError(f"{topic_partition} has offsets {low} to {high}, not {offset}")
            if offset == high:
                return empty_batch(topic_partition, offset)
            return reader.read(topic_partition, offset, max_records, high)

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int:
        """The offset of the first record whose timestamp is at or after ``timestamp``; the end if there is none."""
        low, high = self.watermarks(topic_partition)
        with self._readers.borrowed(topic_partition) as reader:
            found = reader.offset_for_time(topic_partition, timestamp)
        offset = high if found is None else max(low, found)
        # Marks of transactions have the time of their writing, so that the broker may name one that lies before.
        while offset < high:
            batch = self.read(topic_partition, offset)
            if (row := next((row for row, at in enumerate(batch.timestamps) if at >= timestamp), None)) is not None:
                return batch.offsets[row]
            offset = batch.next_offset
        return high

    def wait(self, positions: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        """Wait until one of the partitions has a record at or beyond its position."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._check_open()
            ends = self._topics.offsets(positions.keys(), "latest")
            if any(ends[at] > position for at, position in positions.items()):
                return True
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            time.sleep(min(remaining_s, WAIT_STEP_S))

    def flush(self) -> None:
        """Nothing to do: what can be read is as durable as the cluster makes it."""

    def producer(self, transactional_id: str | None = None) -> KafkaProducer:
        """A producer."""
        self._check_open()
        writer_id = transactional_id or f"streambank-{uuid7(self._clock(), self._random_bytes)}"
        producer = KafkaProducer(
            self._settings,
            self._topics,
            writer_id,
            exclusive=transactional_id is not None,
            memberless=self._groups.memberless,
            on_commit=self._note,
            on_close=self._producers.discard,
        )
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
    ) -> KafkaConsumer:
        """Join a group, with the protocol of KIP-848 unless the settings say ``group.protocol=classic``."""
        self._check_open()
        consumer = KafkaConsumer(
            self._settings,
            self._topics,
            self._groups,
            group,
            topics,
            listener=listener,
            start=start,
            instance_id=instance_id,
            take_over=self._take_over,
            on_close=self._consumers.discard,
        )
        self._consumers.add(consumer)
        return consumer

    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's committed positions; empty for an unknown group."""
        self._check_open()
        return self._groups.committed(group)

    def describe_group(self, group: str) -> GroupDescription:
        """One group; without members and positions where there is none."""
        self._check_open()
        return self._groups.describe(group)

    def groups(self) -> list[GroupDescription]:
        """Every group that has members or committed positions, by name."""
        self._check_open()
        return self._groups.all()

    def close(self) -> None:
        """Close the log and everything opened from it. Idempotent."""
        with self._mutex:
            closed, self._closed = self._closed, True
        if closed:
            return
        for consumer in list(self._consumers):
            consumer.abandon()
        for producer in list(self._producers):
            producer.close()
        self._readers.close()
        self._groups.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the log is closed; open it again")

    def _note(self, transaction: KafkaTransaction) -> None:
        self._written.update(transaction.ends)

    def _wait_for(self, topic_partition: TopicPartition, end: int) -> int:
        """The last stable offset, once it has come to ``end``."""
        deadline = time.monotonic() + STABLE_S
        while True:
            stable = self._topics.offsets([topic_partition], "latest")[topic_partition]
            if stable >= end:
                return stable
            if time.monotonic() > deadline:
                raise LogError(f"{topic_partition}: readers wait for a transaction that is open for {STABLE_S:.0f} s")
            time.sleep(STEP_S)

    def _take_over(self, group: str, partitions: Collection[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """Fence who committed last for these partitions and is no member any more; the positions after that."""
        writers = {note for _, note in self._groups.notes(group, partitions, stable=False).values()}
        known = {producer.writer_id for producer in list(self._producers)}
        if strangers := {note for note in writers if note.member_id and note.writer_id not in known}:
            members = {member.member_id for member in self._groups.members(group)}
            for writer_id in sorted({note.writer_id for note in strangers if note.member_id not in members}):
                fence(self._settings, writer_id)
        return self._groups.committed(group, partitions)
