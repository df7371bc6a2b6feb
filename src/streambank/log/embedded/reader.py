"""Reading records and watermarks out of the tables."""

import sqlite3

from streambank.log.embedded.batches import concatenate, decode, from_offset
from streambank.log.embedded.schema import batch_id, last_offset
from streambank.log.errors import OffsetOutOfRangeError
from streambank.log.records import RecordBatch, TopicPartition, Watermarks

READ_MAX_BYTES = 32 << 20
"""A read stops after the batch that reaches this, so that large records do not fill the memory."""


def check_range(topic_partition: TopicPartition, offset: int, marks: Watermarks) -> None:
    """Raise OffsetOutOfRangeError unless ``offset`` can be read from."""
    if offset < marks.low:
        raise OffsetOutOfRangeError(
            f"{topic_partition}: offset {offset} was removed by retention; the first kept is {marks.low}"
        )
    if offset > marks.high:
        raise OffsetOutOfRangeError(f"{topic_partition}: offset {offset} lies beyond the end, {marks.high}")


def read_batch(
    connection: sqlite3.Connection,
    topic_partition: TopicPartition,
    partition_id: int,
    offset: int,
    high: int,
    max_records: int,
) -> RecordBatch:
    """Records from ``offset`` on: whole stored batches, joined, until there are ``max_records``.

    ``high`` was read before: what is committed below it is then seen here, and what is not here was compacted away.
    """
    found: list[RecordBatch] = []
    records = size = 0
    cursor = connection.execute(
        "SELECT batch_id, base_offset, checksum, payload FROM batches WHERE batch_id BETWEEN ? AND ? ORDER BY batch_id",
        (batch_id(partition_id, offset), batch_id(partition_id + 1, 0) - 1),
    )
    for row_id, base_offset, checksum, payload in cursor:
        batch = decode(topic_partition, base_offset, last_offset(row_id), checksum, payload)
        found.append(batch if found else from_offset(batch, offset))
        records += len(found[-1])
        size += len(payload)
        if records >= max_records or size >= READ_MAX_BYTES:
            break
    cursor.close()
    if not found:
        return RecordBatch(topic_partition, (), (), (), (), None, max(offset, high))
    return concatenate(found)


def offset_for_time(connection: sqlite3.Connection, partition_id: int, timestamp: int, high: int) -> int:
    """The offset of the first record at or after ``timestamp``, else the end, which is ``high``."""
    row = connection.execute(
        "SELECT batch_id, base_offset, checksum, payload FROM batches"
        " WHERE batch_id BETWEEN ? AND ? AND max_timestamp >= ? ORDER BY batch_id LIMIT 1",
        (batch_id(partition_id, 0), batch_id(partition_id + 1, 0) - 1, timestamp),
    ).fetchone()
    if row is None:
        return high
    row_id, base_offset, checksum, payload = row
    batch = decode(TopicPartition("", 0), base_offset, last_offset(row_id), checksum, payload)
    return next(offset for offset, at in zip(batch.offsets, batch.timestamps, strict=True) if at >= timestamp)
