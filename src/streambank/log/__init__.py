"""The event log: records in the partitions of topics, written by transactions, read by consumer groups."""

from streambank.log.errors import (
    ClosedError,
    FencedError,
    InvalidRecordError,
    LogError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    StorageCorruptError,
    StorageFullError,
    StorageVersionError,
    TopicMismatchError,
    TransactionAbortedError,
    UnknownTopicError,
)
from streambank.log.factory import open_log
from streambank.log.headers import Headers, decode_headers, encode_headers
from streambank.log.interface import (
    Consumer,
    EventLog,
    GroupDescription,
    GroupMetadata,
    MemberDescription,
    Producer,
    RebalanceListener,
    StartPosition,
    Transaction,
)
from streambank.log.partitioner import Partitioner, murmur2, partition_for
from streambank.log.range_assign import range_assign
from streambank.log.records import OffsetAndMetadata, Record, RecordBatch, TopicPartition, Watermarks
from streambank.log.topics import CleanupPolicy, TopicConfig

__all__ = [
    "CleanupPolicy",
    "ClosedError",
    "Consumer",
    "EventLog",
    "FencedError",
    "GroupDescription",
    "GroupMetadata",
    "Headers",
    "InvalidRecordError",
    "LogError",
    "MemberDescription",
    "OffsetAndMetadata",
    "OffsetOutOfRangeError",
    "Partitioner",
    "Producer",
    "RebalanceListener",
    "Record",
    "RecordBatch",
    "RecordTooLargeError",
    "StartPosition",
    "StorageCorruptError",
    "StorageFullError",
    "StorageVersionError",
    "TopicConfig",
    "TopicMismatchError",
    "TopicPartition",
    "Transaction",
    "TransactionAbortedError",
    "UnknownTopicError",
    "Watermarks",
    "decode_headers",
    "encode_headers",
    "murmur2",
    "open_log",
    "partition_for",
    "range_assign",
]
