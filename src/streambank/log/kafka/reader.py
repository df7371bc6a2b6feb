"""Reading partitions without a group."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import ClosedError, LogError
from streambank.log.kafka.batches import batches_of, empty_batch
from streambank.log.kafka.errors import translate, translated
from streambank.log.kafka.patience import patiently
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.records import RecordBatch, TopicPartition

CALL_S = 30.0

FETCH_S = 60.0
"""How long records that are known to be there may take to come."""

FETCH_WAIT_MS = 10
"""What is read is there already."""

MARKS_S = 0.005
"""How often a reader that gets no records looks whether only marks of transactions were there."""

READERS_MAX = 8
"""Readers kept for whoever reads on where they stand: each has a connection to every broker."""


class Reader:
    """A consumer that reads one partition on and on. For one thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        # A broker serves a connection's requests in order: one that waits for records would hold the next place up.
        self._consumer = Consumer({**settings.reader(), "fetch.wait.max.ms": FETCH_WAIT_MS})
        self._known: set[str] = set()
        self.at: TopicPartition | None = None
        self.offset = 0

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int | None:
        """The first record's at or after that time; None if there is none."""
        with translated(f"{topic_partition}"):
            (found,) = self._consumer.offsets_for_times([KafkaPartition(*topic_partition, timestamp)], CALL_S)
        if found.error is not None:
            raise translate(found.error, f"{topic_partition}")
        return found.offset if found.offset >= 0 else None

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int, end: int) -> RecordBatch:
        """Records from ``offset`` on, which lies before ``end``; empty where only marks of transactions do."""
        if self.at != topic_partition or self.offset != offset:
            self._know(topic_partition.topic)
            self._consumer.assign([KafkaPartition(*topic_partition, offset)])
            self.at, self.offset = topic_partition, offset
        deadline = time.monotonic() + FETCH_S
        # consume() waits for as many records as it may return: so for the first one only.
        while not (messages := self._consumer.consume(1, MARKS_S)) and self._position() < end:
            if time.monotonic() > deadline:
                self.at = None
                raise LogError(f"{topic_partition}: no records came within {FETCH_S:.0f} s")
        if messages and max_records > 1:
            messages += self._consumer.consume(max_records - 1, 0)
        for message in messages:
            if (error := message.error()) is not None:
                self.at = None
                raise translate(error, f"{topic_partition} at offset {offset}")
        batches = batches_of(messages)
        batch = batches[0] if batches else empty_batch(topic_partition, offset)
        # Beyond marks of transactions.
        if (position := self._position()) > batch.next_offset:
            batch = replace(batch, next_offset=position)
        self.offset = batch.next_offset
        if self.offset >= end:
            self._consumer.unassign()
            self.at = None
        return batch

    def _know(self, topic: str) -> None:
        """Let the consumer learn of the topic now: by itself it looks for those it does not know once a second."""
        if topic not in self._known:
            patiently(lambda: self._consumer.list_topics(topic, CALL_S), f"topic {topic!r}")
            self._known.add(topic)

    def _position(self) -> int:
        if self.at is None:
            return -1
        (found,) = self._consumer.position([KafkaPartition(*self.at)])
        return int(found.offset)

    def close(self) -> None:
        """Close its connections."""
        self._consumer.close()


class Readers:
    """Readers kept for those who read on where they stopped. For several threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._idle: list[Reader] = []
        self._closed = False

    @contextmanager
    def borrowed(self, topic_partition: TopicPartition, offset: int = -1) -> Iterator[Reader]:
        """A reader, if possible the one that stands at that offset."""
        with self._mutex:
            if self._closed:
                raise ClosedError("the log is closed")
            standing = next((each for each in self._idle if (each.at, each.offset) == (topic_partition, offset)), None)
            found = standing or (self._idle[0] if self._idle else None)
            if found is not None:
                self._idle.remove(found)
        # Another one only where several threads read at once: to connect takes longer than to turn one to this place.
        reader = found if found is not None else Reader(self._settings)
        try:
            yield reader
        finally:
            with self._mutex:
                keep = not self._closed and len(self._idle) < READERS_MAX
                if keep:
                    self._idle.append(reader)
            if not keep:
                reader.close()

    def close(self) -> None:
        """Close those that are idle; the others close when they are given back."""
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()
