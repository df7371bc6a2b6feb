"""Records, in the two shapes they are handled in: one at a time, and as the columns of a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streambank.log.headers import Headers, decode_headers


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class OffsetAndMetadata(NamedTuple):
    """A committed position: the offset of the next record to read, and a string that is kept with it."""

    offset: int
    metadata: str = ""


class Watermarks(NamedTuple):
    """The first offset still kept, and the offset that the next committed record will get."""

    low: int
    high: int


class Record(NamedTuple):
    """One record as read. ``timestamp`` is event time, milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition, as equally long columns.

    Offsets ascend but need not be dense: compaction leaves gaps. ``next_offset`` is where to read on; it may lie beyond
    the last record. ``headers`` is None where no record of the batch has any; each entry is in the encoded form of
    :mod:`streambank.log.headers`.
    """

    topic_partition: TopicPartition
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    headers: Sequence[bytes | None] | None
    next_offset: int

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Record]:
        """The batch's records one by one, headers decoded."""
        topic, partition = self.topic_partition
        for i, offset in enumerate(self.offsets):
            headers = decode_headers(self.headers[i]) if self.headers is not None else ()
            yield Record(topic, partition, offset, self.timestamps[i], self.keys[i], self.values[i], headers)
