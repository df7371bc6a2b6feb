"""One partition's records on their way into a task, which can go back to the last commit."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from operator import length_hint
from typing import Any

from streambank.log import Record, RecordBatch, TopicPartition, decode_headers
from streambank.streams.error_policies import ErrorAction, ErrorContext
from streambank.streams.errors import SerializationError
from streambank.streams.failed_records import FailedRecords
from streambank.streams.operators.base import Process
from streambank.streams.serde import Serde
from streambank.streams.stores.base import NO_TIME


class RecordFailedError(Exception):
    """Internal: a record failed. Says which one of which queue, and how."""

    def __init__(self, queue: InputQueue, context: ErrorContext) -> None:
        super().__init__(str(context))
        self.queue, self.context = queue, context


@dataclass(slots=True)
class Retrying:
    """A record that is tried again: its offset, how often it was tried, and when its turn comes."""

    offset: int
    attempts: int
    due_ms: int
    waiting: bool = True


class Position:
    """Where a task is: its stream time, and the record in work, for messages."""

    __slots__ = ("_batch", "_kept", "_rows", "_stop", "stream_time")

    def __init__(self) -> None:
        self.stream_time = NO_TIME
        self._batch: RecordBatch | None = None
        self._stop = 0
        self._kept = -1
        self._rows: Iterator[object] = iter(())

    def enter(self, batch: RecordBatch, stop: int, rows: Iterator[object]) -> None:
        """A run begins that ends before row ``stop``.

        ``rows`` has as many items left as the run has rows left, so that no record need be counted as it goes by.
        """
        self._batch, self._stop, self._rows, self._kept = batch, stop, rows, -1

    def leave(self) -> None:
        """The run ends: no record is in work."""
        self._batch = None

    @property
    def row(self) -> int:
        """The row in work."""
        return self._stop - length_hint(self._rows) - 1

    def record_to_keep(self) -> Record | None:
        """The record in work, as bytes, the first time that it is asked for; None later, and between records."""
        if self._batch is None or self._kept == self.row:
            return None
        self._kept = self.row
        return record_at(self._batch, self._kept)

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
        failed: FailedRecords,
        drop: Callable[[str], None],
    ) -> None:
        """``failed`` deals with records that fail; ``drop`` is told why the record in work is left out otherwise."""
        self.topic_partition = topic_partition
        self.failed = failed
        self.poison: dict[int, tuple[ErrorContext, ErrorAction]] = {}
        """The records that failed, by offset, and what to do when they come up again."""
        self._undecodable: dict[int, tuple[ErrorContext, ErrorAction]] = {}
        self.retrying: Retrying | None = None
        self.partition_time = NO_TIME
        self.next_offset: int | None = None
        self._decode_key, self._decode_value = key.deserialize, value.deserialize
        self._process, self._drop = process, drop
        self._batches: list[RecordBatch] = []
        self._batch = self._row = 0
        self._mark = (0, 0, NO_TIME)
        self._rows: _Rows | None = None
        self.head_timestamp: int | None = None
        """The timestamp of the next record; None when there is none."""
        self._touched = False
        self.buffered = 0
        self.processed = 0
        """How many records were processed and committed."""

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
    def head(self) -> Record:
        """The next record, as bytes. There must be one."""
        return record_at(self._batches[self._batch], self._row)

    @property
    def waits_for_retry(self) -> bool:
        """Whether the next record's turn to be tried again has not come."""
        return self._held is not None and self._held == self._batches[self._batch].offsets[self._row]

    @property
    def _held(self) -> int | None:
        """The offset before which to stop until then."""
        return self.retrying.offset if self.retrying is not None and self.retrying.waiting else None

    def run(self, position: Position, bound: int, limit: int) -> int:
        """Process up to ``limit`` records in order, as long as their timestamps are at most ``bound``.

        Returns how many; at least one. Ends before and after a record that is left out, so that poison is committed
        before the next one is met.

        Raises:
            RecordFailedError: an operator raised, or a record cannot be decoded and the policy is ``fail``.
        """
        batch, start = self._batches[self._batch], self._row
        position.enter(batch, start + 1, iter(()))
        timestamp, offset = batch.timestamps[start], batch.offsets[start]
        if offset in self.poison:
            self.failed.leave_out(*self.poison[offset])
            end, self._rows = start + 1, None
        elif timestamp < 0:
            self._drop("negative timestamp")
            end, self._rows = start + 1, None
        else:
            if self._rows is None:
                self._rows = _Rows(batch, start, self._decode_key, self._decode_value)
            end = self._loop(position, batch, start, self._rows.stop(bound, self._limit(batch, start, limit)))
        self._advance(batch, start, end)
        position.leave()
        return end - start

    def _limit(self, batch: RecordBatch, start: int, limit: int) -> int:
        """The row before which to stop whatever the time is: for the limit, for poison, or for one held for a retry."""
        stop = min(start + limit, len(batch))
        if self.poison or self.retrying is not None:
            for offset in self.poison if self._held is None else (*self.poison, self._held):
                row = bisect_left(batch.offsets, offset)
                if start < row < stop:
                    stop = row
        return stop

    def _loop(self, position: Position, batch: RecordBatch, start: int, stop: int) -> int:
        """Process the rows from ``start`` to before ``stop``; returns the row after the last one done."""
        process, stream_time, rows = self._process, position.stream_time, self._rows
        assert rows is not None
        position.enter(batch, len(batch), rows.timestamps)
        try:
            for timestamp, key, value, header in islice(rows.decoded, stop - start):
                if timestamp > stream_time:
                    stream_time = position.stream_time = timestamp
                process(key, value, timestamp, header)
        except Exception as error:
            row, self._rows = position.row, None
            self._leave_out_if_undecodable(batch, row, error)
            return row + 1
        return stop

    def _leave_out_if_undecodable(self, batch: RecordBatch, row: int, error: Exception) -> None:
        """Whether the decoding failed or an operator, only another attempt at decoding tells."""
        key, value = batch.keys[row], batch.values[row]
        try:
            if key is not None:
                self._decode_key(key)
            if value is not None:
                self._decode_value(value)
        except Exception as undecodable:
            self._leave_out_undecodable(batch, row, undecodable)
        else:
            raise RecordFailedError(self, self._context(batch, row, error)) from error

    def _leave_out_undecodable(self, batch: RecordBatch, row: int, error: Exception) -> None:
        offset = batch.offsets[row]
        if offset not in self._undecodable:
            context = ErrorContext("deserialization", record_at(batch, row), error, self.failed.source)
            self._undecodable[offset] = context, self.failed.decide(context)
        context, action = self._undecodable[offset]
        if action == "fail":
            raise RecordFailedError(self, context) from error
        self.failed.leave_out(context, action)

    def _context(self, batch: RecordBatch, row: int, error: Exception) -> ErrorContext:
        """What an operator raised."""
        again = self.retrying is not None and self.retrying.offset == batch.offsets[row]
        return ErrorContext(
            "production" if isinstance(error, SerializationError) else "processing",
            record_at(batch, row),
            error,
            self.failed.operator_of(error),
            self.retrying.attempts + 1 if self.retrying is not None and again else 1,
        )

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
        self.processed += self.advanced
        del self._batches[: self._batch]
        self._batch = 0
        self._mark = (0, self._row, self.partition_time)
        self._touched = False
        if self.poison and self.next_offset is not None:
            self.poison = {offset: what for offset, what in self.poison.items() if offset >= self.next_offset}
        self._undecodable.clear()
        if self.retrying is not None and self.next_offset is not None and self.next_offset > self.retrying.offset:
            self.retrying = None

    def rollback(self) -> None:
        """Go back to the last commit."""
        self._batch, self._row, self.partition_time = self._mark
        self._rows = None
        self._touched = False
        self.buffered = sum(len(batch) for batch in self._batches) - self._row
        if self._batches:
            first = self._batches[0]
            self.next_offset = first.offsets[self._row] if self._row < len(first) else first.next_offset
        self._skip_finished()

    def _advance(self, batch: RecordBatch, start: int, end: int) -> None:
        if end > start:
            latest = max(batch.timestamps[start:end]) if self._rows is None else self._rows.latest(start, end)
            self.partition_time = max(self.partition_time, latest)
        self.buffered -= end - start
        self._row = end
        self.next_offset = batch.offsets[end] if end < len(batch) else batch.next_offset
        self._skip_finished()

    def _skip_finished(self) -> None:
        while self._batch < len(self._batches) and self._row >= len(self._batches[self._batch]):
            self._batch, self._row, self._rows = self._batch + 1, 0, None
        self._look_at_head()

    def _look_at_head(self) -> None:
        at_end = self._batch == len(self._batches)
        self.head_timestamp = None if at_end else self._batches[self._batch].timestamps[self._row]


class _Rows:
    """The rest of a batch, decoded as it is read: opened once, however many runs it takes to get through."""

    __slots__ = ("_ascending", "_batch", "_earliest", "_latest", "decoded", "timestamps")

    def __init__(
        self, batch: RecordBatch, start: int, decode_key: Callable[[bytes], Any], decode_value: Callable[[bytes], Any]
    ) -> None:
        self._batch = batch
        times = list(batch.timestamps[start:])
        # To sort what is in order already costs a small part of what min() and max() do.
        in_order = sorted(times)
        self._earliest, self._latest, self._ascending = in_order[0], in_order[-1], in_order == times
        headers = batch.headers[start:] if batch.headers is not None else repeat(None, len(times))
        self.timestamps = iter(times)
        keys, values = _decoded(decode_key, batch.keys[start:]), _decoded(decode_value, batch.values[start:])
        self.decoded = zip(self.timestamps, keys, values, headers, strict=True)

    def stop(self, bound: int, limit: int) -> int:
        """The row before which to stop: the first that is too late or has a negative timestamp, at most ``limit``."""
        if self._latest <= bound and self._earliest >= 0:
            return limit
        times, next_row = self._batch.timestamps, len(self._batch) - length_hint(self.timestamps)
        if self._ascending and self._earliest >= 0:
            return bisect_right(times, bound, next_row, limit)
        return next((row for row in range(next_row, limit) if times[row] > bound or times[row] < 0), limit)

    def latest(self, start: int, end: int) -> int:
        """The highest timestamp of the rows from ``start`` to before ``end``."""
        return self._batch.timestamps[end - 1] if self._ascending else max(self._batch.timestamps[start:end])


def record_at(batch: RecordBatch, row: int) -> Record:
    """One record of a batch."""
    headers = decode_headers(batch.headers[row]) if batch.headers is not None else ()
    topic, partition = batch.topic_partition
    key, value = batch.keys[row], batch.values[row]
    return Record(topic, partition, batch.offsets[row], batch.timestamps[row], key, value, headers)


def _decoded(decode: Callable[[bytes], Any], column: Sequence[bytes | None]) -> Iterator[Any]:
    """The column decoded as it is read, which leaves the call to C where nothing is None."""
    if None in column:
        return (None if data is None else decode(data) for data in column)
    return map(decode, column)  # type: ignore[arg-type]
