"""Which records of a topic a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streambank.cli.errors import CommandError
from streambank.cli.reading import batches
from streambank.log import EventLog, Record, RecordBatch, TopicPartition, decode_headers, partition_for


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records to show."""

    partition: int | None = None
    key: str | None = None
    text: str | None = None

    def partitions(self, count: int) -> list[int]:
        """The partitions to read, of ``count``."""
        if self.partition is not None:
            if not 0 <= self.partition < count:
                raise CommandError(f"--partition: the topic has partitions 0 to {count - 1}, not {self.partition}")
            return [self.partition]
        # Where producers place records by key, that is the one partition that can have it.
        return list(range(count)) if self.key is None else [partition_for(self.key.encode(), count)]

    @property
    def selective(self) -> bool:
        """Whether it may leave out records of a partition that is read."""
        return self.key is not None or self.text is not None

    def records(self, log: EventLog, at: TopicPartition, start: int, end: int) -> Iterator[Record]:
        """The records of a partition from ``start`` to before ``end`` that are to be shown."""
        for batch in batches(log, at, start, end):
            for row in self._rows(batch):
                if batch.offsets[row] < end:
                    yield _record(batch, row)

    def _rows(self, batch: RecordBatch) -> Iterator[int]:
        if not self.selective:
            yield from range(len(batch))
            return
        key = self.key.encode() if self.key is not None else None
        text = self.text.casefold() if self.text is not None else None
        for row in range(len(batch)):
            if (key is None or batch.keys[row] == key) and (text is None or text in _searchable(batch, row)):
                yield row


def in_time_order(record: Record) -> tuple[int, int, int]:
    """What records of several partitions are sorted by."""
    return record.timestamp, record.partition, record.offset


def _record(batch: RecordBatch, row: int) -> Record:
    headers = decode_headers(batch.headers[row]) if batch.headers is not None else ()
    topic, partition = batch.topic_partition
    return Record(
        topic, partition, batch.offsets[row], batch.timestamps[row], batch.keys[row], batch.values[row], headers
    )


def _searchable(batch: RecordBatch, row: int) -> str:
    parts = [batch.keys[row], batch.values[row], batch.headers[row] if batch.headers is not None else None]
    return "\n".join(part.decode("utf-8", "replace") for part in parts if part is not None).casefold()
