"""One partition's records on their way into a task, which can go back to the last commit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import length_hint
from typing import Any

from streambank.log import Record, RecordBatch, TopicPartition, decode_headers
from streambank.streams.operators.base import Process
from streambank.streams.serde import Serde
from streambank.streams.stores.base import NO_TIME


class RecordFailedError(Exception):
    """Internal: processing raised. Says which record of which queue; the cause is chained."""

    def __init__(self, queue: InputQueue, offset: int, cause: Exception) -> None:
        super().__init__(f"{queue.topic_partition} offset {offset}: {type(cause).__name__}: {cause}")
        self.queue, self.offset, self.cause = queue, offset, cause


class Position:
    """Where a task is: its stream time, and the record in work, for messages."""

    __slots__ = ("_batch", "_rows", "_stop", "stream_time")

    def __init__(self) -> None:
        self.stream_time = NO_TIME
        self._batch: RecordBatch | None = None
        self._stop = 0
        self._rows: Iterator[object] = iter(())

    def enter(self, batch: RecordBatch, stop: int, rows: Iterator[object]) -> None:
        """A run begins that ends before row ``stop``.

        ``rows`` has as many items left as the run has rows left, so that no record need be counted as it goes by.
        """
        self._batch, self._stop, self._rows = batch, stop, rows

    @property
    def row(self) -> int:
        """The row in work."""
        return self._stop - length_hint(self._rows) - 1

    @property
    def record_at(self) -> tuple[str, int, int] | None:
        """Topic, partition and offset of the record in work; None before the first."""
        return None if self._batch is None else (*self._batch.topic_partition, self._batch.offsets[self.row])

    def __str__(self) -> str:
        """Topic, partition and offset of the record in work."""
        return "-" if self._batch is None else f"{self._batch.topic_partition} offset {self._batch.offsets[self.row]}"


class InputQueue:
    """The fetched records of one source partition, in offset order, and how far processing has come."""

    def __init__(
        self,
        topic_partition: TopicPartition,
        key: Serde[Any],
        value: Serde[Any],
        process: Process,
        *,
        reject: Callable[[Record, Exception], None] | None,
        drop: Callable[[str], None],
    ) -> None:
        """``reject`` takes a record that cannot be decoded or was found to fail; None: processing stops before it.

        ``drop`` is told why the record in work is left out.
        """
        self.topic_partition = topic_partition
        self.poison: dict[int, Exception] = {}
        self.partition_time = NO_TIME
        self.next_offset: int | None = None
        self._decode_key, self._decode_value = key.deserialize, value.deserialize
        self._process, self._reject, self._drop = process, reject, drop
        self._batches: list[RecordBatch] = []
        self._batch = self._row = 0
        self._mark = (0, 0, NO_TIME)
        self._touched = False
        self.buffered = 0

    def resume_at(self, partition_time: int) -> None:
        """Take over the partition's time that was committed with its offset."""
        self.partition_time = partition_time
        self._mark = (*self._mark[:2], partition_time)

    def advance(self, stream_time: int) -> None:
        """The partition's time goes on without a record."""
        self.partition_time = max(self.partition_time, stream_time)

    def touch(self, position: int) -> None:
        """Let the offset be committed though nothing was processed: ``position`` where there was no batch yet."""
        self._touched = True
        if self.next_offset is None:
            self.next_offset = position

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

        Returns how many; at least one. Ends before and after a record that is left out, so that poison is committed
        before the next one is met.

        Raises:
            RecordFailedError: an operator raised, or there is no ``reject`` for a record that needs it.
        """
        batch, start = self._batches[self._batch], self._row
        position.enter(batch, start + 1, iter(()))
        timestamp, offset = batch.timestamps[start], batch.offsets[start]
        if offset in self.poison:
            self._reject_row(batch, start, self.poison[offset])
            end = start + 1
        elif timestamp < 0:
            self._drop("negative timestamp")
            end = start + 1
        else:
            end = self._loop(position, batch, start, self._stop(batch, start, bound, limit))
        self._advance(batch, start, end)
        return end - start

    def _stop(self, batch: RecordBatch, start: int, bound: int, limit: int) -> int:
        """The row before which to stop: the first that is too late, has a negative timestamp, or is poison."""
        stop = min(start + limit, len(batch))
        for offset in self.poison:
            row = bisect_left(batch.offsets, offset)
            if start < row < stop:
                stop = row
        timestamps = batch.timestamps[start:stop]
        if max(timestamps) > bound or min(timestamps) < 0:
            stop = next(row for row, at in enumerate(timestamps, start) if at > bound or at < 0)
        return stop

    def _loop(self, position: Position, batch: RecordBatch, start: int, stop: int) -> int:
        """Process the rows from ``start`` to before ``stop``; returns the row after the last one done."""
        process, stream_time = self._process, position.stream_time
        rows = iter(batch.timestamps[start:stop])
        position.enter(batch, stop, rows)
        headers = batch.headers[start:stop] if batch.headers is not None else repeat(None, stop - start)
        keys = _decoded(self._decode_key, batch.keys[start:stop])
        values = _decoded(self._decode_value, batch.values[start:stop])
        try:
            for timestamp, key, value, header in zip(rows, keys, values, headers, strict=True):
                if timestamp > stream_time:
                    stream_time = position.stream_time = timestamp
                process(key, value, timestamp, header)
        except Exception as error:
            self._reject_if_undecodable(batch, position.row, error)
            return position.row + 1
        return stop

    def _reject_if_undecodable(self, batch: RecordBatch, row: int, error: Exception) -> None:
        """Whether the decoding failed or an operator, only another attempt at decoding tells."""
        key, value = batch.keys[row], batch.values[row]
        try:
            if key is not None:
                self._decode_key(key)
            if value is not None:
                self._decode_value(value)
        except Exception as undecodable:
            self._reject_row(batch, row, undecodable)
        else:
            raise RecordFailedError(self, batch.offsets[row], error) from error

    def _reject_row(self, batch: RecordBatch, row: int, error: Exception) -> None:
        if self._reject is None:
            raise RecordFailedError(self, batch.offsets[row], error) from error
        self._reject(self._record(batch, row), error)

    @property
    def offset_to_commit(self) -> int | None:
        """Where to read on after a restart; None where nothing has been processed since the last commit."""
        return self.next_offset if self._touched or self._mark[:2] != (self._batch, self._row) else None

    @property
    def advanced(self) -> int:
        """How many records were processed since the last commit."""
        done = sum(len(batch) for batch in self._batches[: self._batch]) + self._row
        return done - self._mark[1]

    def committed(self) -> None:
        """What was processed is final."""
        del self._batches[: self._batch]
        self._batch = 0
        self._mark = (0, self._row, self.partition_time)
        self._touched = False
        if self.poison and self.next_offset is not None:
            self.poison = {offset: error for offset, error in self.poison.items() if offset >= self.next_offset}

    def rollback(self) -> None:
        """Go back to the last commit."""
        self._batch, self._row, self.partition_time = self._mark
        self._touched = False
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

    @staticmethod
    def _record(batch: RecordBatch, row: int) -> Record:
        headers = decode_headers(batch.headers[row]) if batch.headers is not None else ()
        topic, partition = batch.topic_partition
        key, value = batch.keys[row], batch.values[row]
        return Record(topic, partition, batch.offsets[row], batch.timestamps[row], key, value, headers)


def _decoded(decode: Callable[[bytes], Any], column: Sequence[bytes | None]) -> Iterator[Any]:
    """The column decoded as it is read, which leaves the call to C where nothing is None."""
    if None in column:
        return (None if data is None else decode(data) for data in column)
    return map(decode, column)  # type: ignore[arg-type]
