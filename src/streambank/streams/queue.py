"""One partition's records on their way into a task, which can go back to the last commit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from streambank.log import OffsetAndMetadata, Record, RecordBatch, TopicPartition, decode_headers
from streambank.streams.operators.base import Process
from streambank.streams.serde import Serde

NO_STREAM_TIME = -1


class RecordFailedError(Exception):
    """Internal: processing raised. Says which record of which queue; the cause is chained."""

    def __init__(self, queue: InputQueue, offset: int, cause: Exception) -> None:
        super().__init__(f"{queue.topic_partition} offset {offset}: {cause}")
        self.queue, self.offset, self.cause = queue, offset, cause


class Position:
    """Where a task is: what its operators may ask about the record in work."""

    __slots__ = ("offset", "stream_time", "topic_partition")

    def __init__(self) -> None:
        self.stream_time = NO_STREAM_TIME
        self.topic_partition: TopicPartition | None = None
        self.offset = -1


class InputQueue:
    """The fetched records of one source partition, in offset order, and how far processing has come."""

    def __init__(
        self,
        topic_partition: TopicPartition,
        key: Serde[Any],
        value: Serde[Any],
        process: Process,
        *,
        reject: Callable[[Record, Exception], None],
        drop: Callable[[str], None],
    ) -> None:
        """``reject`` takes a record that cannot be decoded or was found to fail; it raises to stop processing.

        ``drop`` is told why the record in work is left out.
        """
        self.topic_partition = topic_partition
        self.poison: dict[int, Exception] = {}
        self.partition_time = NO_STREAM_TIME
        self.next_offset: int | None = None
        self._decode_key, self._decode_value = key.deserialize, value.deserialize
        self._process, self._reject, self._drop = process, reject, drop
        self._batches: list[RecordBatch] = []
        self._batch = self._row = 0
        self._mark = (0, 0, NO_STREAM_TIME)
        self.buffered = 0

    def add(self, batch: RecordBatch) -> None:
        """Append a fetched batch."""
        if self.next_offset is None:
            self.next_offset = batch.offsets[0] if len(batch) else batch.next_offset
        if not len(batch):
            return
        self._batches.append(batch)
        self.buffered += len(batch)
        self._skip_finished()

    @property
    def head_timestamp(self) -> int | None:
        """The timestamp of the next record; None when there is none."""
        if self._batch == len(self._batches):
            return None
        return self._batches[self._batch].timestamps[self._row]

    def run(self, position: Position, bound: int, limit: int) -> int:
        """Process up to ``limit`` records in order, as long as their timestamps are at most ``bound``.

        Returns how many. Ends after a poison record, so that it is committed before the next one is met.

        Raises:
            RecordFailedError: an operator raised.
        """
        batch, start = self._batches[self._batch], self._row
        position.topic_partition = self.topic_partition
        stop = min(start + limit, len(batch))
        if self.poison:
            stop, rejected = self._before_poison(batch, start, stop)
            if rejected:
                self._advance(batch, start, start + 1)
                return 1
        end = self._loop(position, batch, start, stop, bound)
        self._advance(batch, start, end)
        return end - start

    def _loop(self, position: Position, batch: RecordBatch, start: int, stop: int, bound: int) -> int:
        decode_key, decode_value, process = self._decode_key, self._decode_value, self._process
        stream_time = position.stream_time
        headers = batch.headers if batch.headers is not None else (None,) * len(batch)
        columns = zip(
            batch.offsets[start:stop],
            batch.timestamps[start:stop],
            batch.keys[start:stop],
            batch.values[start:stop],
            headers[start:stop],
            strict=True,
        )
        offset = -1
        try:
            for offset, timestamp, key_bytes, value_bytes, header in columns:
                if timestamp > bound:
                    return bisect_left(batch.offsets, offset)
                position.offset = offset
                if timestamp > stream_time:
                    stream_time = position.stream_time = timestamp
                elif timestamp < 0:
                    self._drop("negative timestamp")
                    continue
                try:
                    key = None if key_bytes is None else decode_key(key_bytes)
                    value = None if value_bytes is None else decode_value(value_bytes)
                except Exception as error:
                    self._reject(self._record(batch, offset), error)
                    continue
                process(key, value, timestamp, header)
        except Exception as error:
            raise RecordFailedError(self, offset, error) from error
        return stop

    def offset_to_commit(self) -> OffsetAndMetadata | None:
        """Where to read on after a restart, with the partition's time; None where nothing has been processed."""
        if self.next_offset is None or self._mark[:2] == (self._batch, self._row):
            return None
        return OffsetAndMetadata(self.next_offset, f"t={self.partition_time}")

    def committed(self) -> None:
        """What was processed is final."""
        del self._batches[: self._batch]
        self._batch = 0
        self._mark = (0, self._row, self.partition_time)
        if self.poison and self.next_offset is not None:
            self.poison = {offset: error for offset, error in self.poison.items() if offset >= self.next_offset}

    def rollback(self) -> None:
        """Go back to the last commit."""
        self._batch, self._row, self.partition_time = self._mark
        self.buffered = sum(len(batch) for batch in self._batches) - self._row
        if self._batches:
            first = self._batches[0]
            self.next_offset = first.offsets[self._row] if self._row < len(first) else first.next_offset

    def _advance(self, batch: RecordBatch, start: int, end: int) -> None:
        if end > start:
            self.partition_time = max(self.partition_time, *batch.timestamps[start:end])
        self.buffered -= end - start
        self._row = end
        self.next_offset = batch.offsets[end] if end < len(batch) else batch.next_offset
        self._skip_finished()

    def _skip_finished(self) -> None:
        while self._batch < len(self._batches) and self._row >= len(self._batches[self._batch]):
            self._batch, self._row = self._batch + 1, 0

    def _before_poison(self, batch: RecordBatch, start: int, stop: int) -> tuple[int, bool]:
        """Where to stop so as not to process a poison record; whether the first one was such, and is rejected now."""
        rows = [bisect_left(batch.offsets, offset) for offset in self.poison]
        ahead = min((row for row in rows if start <= row < stop), default=stop)
        if ahead > start:
            return ahead, False
        offset = batch.offsets[start]
        if offset not in self.poison:
            return stop, False
        self._reject(self._record(batch, offset), self.poison[offset])
        return stop, True

    @staticmethod
    def _record(batch: RecordBatch, offset: int) -> Record:
        row = bisect_left(batch.offsets, offset)
        headers = decode_headers(batch.headers[row]) if batch.headers is not None else ()
        return Record(
            *batch.topic_partition, offset, batch.timestamps[row], batch.keys[row], batch.values[row], headers
        )
