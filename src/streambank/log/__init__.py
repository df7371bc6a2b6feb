"""The event log: records in the partitions of topics, written by transactions, read by consumer groups."""

from streambank.log.errors import (
    ClosedError,
    FencedError,
    LogError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    StorageFullError,
    StorageVersionError,
    TopicMismatchError,
    UnknownTopicError,
)
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
    "LogError",
    "MemberDescription",
    "OffsetAndMetadata",
    "OffsetOutOfRangeError",
    "Producer",
    "RebalanceListener",
    "Record",
    "RecordBatch",
    "RecordTooLargeError",
    "StartPosition",
    "StorageFullError",
    "StorageVersionError",
    "TopicConfig",
    "TopicMismatchError",
    "TopicPartition",
    "Transaction",
    "UnknownTopicError",
    "Watermarks",
    "decode_headers",
    "encode_headers",
]
