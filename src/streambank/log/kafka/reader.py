"""Reading partitions without a group."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import ClosedError, LogError
from streambank.log.kafka.batches import batches_of, empty_batch
from streambank.log.kafka.errors import translate, translated
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.records import RecordBatch, TopicPartition

CALL_S = 30.0

FETCH_S = 60.0
"""How long records that are known to be there may take to come."""

READERS_MAX = 4
"""Readers kept for whoever reads on where they stand: each has a connection to every broker."""


class Reader:
    """A consumer that reads one partition on and on. For one thread at a time."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = Consumer({**settings.reader(), "enable.partition.eof": True})
        self.at: TopicPartition | None = None
        self.offset = 0

    def offset_for_time(self, topic_partition: TopicPartition, timestamp: int) -> int | None:
        """The first record's at or after that time; None if there is none."""
        with translated(f"{topic_partition}"):
            (found,) = self._consumer.offsets_for_times([KafkaPartition(*topic_partition, timestamp)], CALL_S)
        if found.error is not None:
            raise translate(found.error, f"{topic_partition}")
        return found.offset if found.offset >= 0 else None

    def read(self, topic_partition: TopicPartition, offset: int, max_records: int) -> RecordBatch:
        """Records from an offset on that lies before the high watermark; empty where only marks of transactions do."""
        if self.at != topic_partition or self.offset != offset:
            self._consumer.assign([KafkaPartition(*topic_partition, offset)])
            self.at, self.offset = topic_partition, offset
        messages = self._consumer.consume(1, FETCH_S)
        if messages and messages[0].error() is None:
            messages += self._consumer.consume(max_records - 1, 0) if max_records > 1 else []
        end = None
        for message in messages:
            if (error := message.error()) is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    self.at = None
                    raise translate(error, f"{topic_partition} at offset {offset}")
                end = message.offset()
        if not messages:
            self.at = None
            raise LogError(f"{topic_partition}: no records came within {FETCH_S:.0f} s")
        batches = batches_of(message for message in messages if message.error() is None)
        batch = batches[0] if batches else empty_batch(topic_partition, offset)
        # The end that the broker tells lies beyond marks of transactions.
        if end is not None and end > batch.next_offset:
            batch = replace(batch, next_offset=end)
        self.offset = batch.next_offset
        return batch

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
            standing = [reader for reader in self._idle if (reader.at, reader.offset) == (topic_partition, offset)]
            # Else the one that has been idle for longest.
            found = standing[0] if standing else self._idle[0] if len(self._idle) >= READERS_MAX else None
            if found is not None:
                self._idle.remove(found)
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
