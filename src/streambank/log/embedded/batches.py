"""The stored form of a batch: its columns, in MessagePack, with a checksum."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import msgspec

from streambank.log.errors import StorageCorruptError
from streambank.log.records import RecordBatch, TopicPartition

BATCH_MAX_RECORDS = 10_000
BATCH_MAX_BYTES = 1 << 20
"""A batch of more than one record does not exceed these, so that a read in its middle and compaction stay cheap."""


class Columns(NamedTuple):
    """The records of a batch. ``offsets`` is None where they are dense, the others where every entry would be None."""

    offsets: Sequence[int] | None
    timestamps: Sequence[int]
    keys: Sequence[bytes | None] | None
    values: Sequence[bytes | None]
    headers: Sequence[bytes | None] | None


class _Stored(NamedTuple):
    offsets: list[int] | None
    timestamps: list[int]
    keys: list[bytes | None] | None
    values: list[bytes | None]
    headers: list[bytes | None] | None


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch ready to be stored."""

    records: int
    min_timestamp: int
    max_timestamp: int
    checksum: int
    payload: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


def encode(columns: Columns) -> EncodedBatch:
    """The stored form of at least one record."""
    payload = _encoder.encode(columns)
    timestamps = columns.timestamps
    return EncodedBatch(len(timestamps), min(timestamps), max(timestamps), crc32(payload), payload)


def decode(
    topic_partition: TopicPartition, base_offset: int, last_offset: int, checksum: int, payload: bytes
) -> RecordBatch:
    """The records of a stored batch.

    Raises:
        StorageCorruptError: the bytes are not those that were written.
    """
    if crc32(payload) != checksum:
        raise StorageCorruptError(
            f"{topic_partition}: the batch at offsets {base_offset} to {last_offset} does not match its checksum;"
            " check the disk and restore the data folder from a backup"
        )
    offsets, timestamps, keys, values, headers = _decoder.decode(payload)
    return RecordBatch(
        topic_partition,
        range(base_offset, last_offset + 1) if offsets is None else offsets,
        timestamps,
        [None] * len(timestamps) if keys is None else keys,
        values,
        headers,
        last_offset + 1,
    )


def split(columns: Columns, total_bytes: int | None = None) -> list[Columns]:
    """The records in batches within the limits; ``total_bytes`` is the size of all of them where it is known."""
    count = len(columns.timestamps)
    if total_bytes is None:
        total_bytes = column_bytes(columns)
    if count == 1 or (count <= BATCH_MAX_RECORDS and total_bytes <= BATCH_MAX_BYTES):
        return [columns]
    # As if all records were equally large; pieces that are too large nevertheless are split again.
    parts = max(-(-count // BATCH_MAX_RECORDS), -(-total_bytes // BATCH_MAX_BYTES), 2)
    size = -(-count // parts)
    pieces = [cut(columns, start, start + size) for start in range(0, count, size)]
    return [batch for piece in pieces for batch in split(piece)]


def cut(columns: Columns, start: int, end: int) -> Columns:
    """The records at positions ``start`` to ``end``."""
    offsets, timestamps, keys, values, headers = columns
    return Columns(
        offsets[start:end] if offsets is not None else None,
        timestamps[start:end],
        keys[start:end] if keys is not None else None,
        values[start:end],
        headers[start:end] if headers is not None else None,
    )


def column_bytes(columns: Columns) -> int:
    """The size of keys, values and headers together."""
    return sum(_bytes_of(column) for column in (columns.keys, columns.values, columns.headers) if column is not None)


def _bytes_of(column: Sequence[bytes | None]) -> int:
    try:
        return sum(map(len, column))  # type: ignore[arg-type]  # the fast way; a None makes it raise
    except TypeError:
        return sum(len(item) for item in column if item is not None)


def slice_batch(batch: RecordBatch, start: int, end: int | None = None) -> RecordBatch:
    """The records at positions ``start`` to ``end`` of a batch."""
    cut_off = end is not None and end < len(batch)
    return RecordBatch(
        batch.topic_partition,
        batch.offsets[start:end],
        batch.timestamps[start:end],
        batch.keys[start:end],
        batch.values[start:end],
        batch.headers[start:end] if batch.headers is not None else None,
        batch.offsets[end] if end is not None and cut_off else batch.next_offset,
    )


def from_offset(batch: RecordBatch, offset: int) -> RecordBatch:
    """The batch without what comes before ``offset``."""
    if not batch.offsets or batch.offsets[0] >= offset:
        return batch
    if isinstance(batch.offsets, range):
        return slice_batch(batch, offset - batch.offsets[0])
    return slice_batch(batch, bisect_left(batch.offsets, offset))


def concatenate(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Several batches of one partition, in order, as one."""
    if len(batches) == 1:
        return batches[0]
    first, last = batches[0], batches[-1]
    dense = all(isinstance(batch.offsets, range) for batch in batches)
    offsets: list[int] | range = range(first.offsets[0], last.next_offset) if dense and len(first) else []
    if len(offsets) != sum(map(len, batches)):
        offsets = [offset for batch in batches for offset in batch.offsets]
    timestamps: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    for batch in batches:
        timestamps += batch.timestamps
        keys += batch.keys
        values += batch.values
    headers: list[bytes | None] | None = None
    if any(batch.headers is not None for batch in batches):
        headers = []
        for batch in batches:
            headers += batch.headers if batch.headers is not None else [None] * len(batch)
    return RecordBatch(first.topic_partition, offsets, timestamps, keys, values, headers, last.next_offset)
