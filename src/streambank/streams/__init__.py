"""Stream processing with the semantics of Kafka Streams on any event log."""

from streambank.streams.builder import StreamBuilder
from streambank.streams.cogrouped_kstream import CogroupedKStream
from streambank.streams.compatibility import StoredTopology
from streambank.streams.config import StreamsConfig
from streambank.streams.error_policies import ErrorAction, ErrorContext, ErrorKind, ErrorPolicy, Retry
from streambank.streams.errors import (
    BufferFullError,
    DeserializationError,
    NotHereError,
    ProcessingError,
    QueryError,
    QueryTimeoutError,
    RecordDroppedError,
    RestoreError,
    SerializationError,
    StoreError,
    StreamsError,
    TopologyError,
)
from streambank.streams.global_ktable import GlobalKTable
from streambank.streams.kgrouped_table import KGroupedTable
from streambank.streams.kstream import KGroupedStream, KStream
from streambank.streams.ktable import KTable
from streambank.streams.metrics import InputMetrics, Metrics, OperatorMetrics, StoreMetrics, TaskMetrics
from streambank.streams.processor import KeyValueState, Processor, ProcessorContext, Record, RecordMetadata
from streambank.streams.punctuation import Punctuation
from streambank.streams.queries import StoreQuery
from streambank.streams.remote_queries import AnywhereQuery, KeyQueryMetadata
from streambank.streams.restore import OnRestore, RestoreProgress
from streambank.streams.runner import OnMetrics, StreamRunner
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde
from streambank.streams.stores import StoreSpec
from streambank.streams.suppressed import BufferConfig, Suppressed
from streambank.streams.topic import Topic
from streambank.streams.topology import Topology
from streambank.streams.windowed import SessionWindowedSerde, TimeWindowedSerde, Windowed
from streambank.streams.windowed_kstream import SessionWindowedKStream, TimeWindowedKStream
from streambank.streams.windows import JoinWindows, SessionWindows, SlidingWindows, TimeWindows

__all__ = [
    "BYTES",
    "LONG",
    "STRING",
    "AnywhereQuery",
    "BufferConfig",
    "BufferFullError",
    "CogroupedKStream",
    "DeserializationError",
    "ErrorAction",
    "ErrorContext",
    "ErrorKind",
    "ErrorPolicy",
    "GlobalKTable",
    "InputMetrics",
    "JoinWindows",
    "JsonSerde",
    "KGroupedStream",
    "KGroupedTable",
    "KStream",
    "KTable",
    "KeyQueryMetadata",
    "KeyValueState",
    "Metrics",
    "NotHereError",
    "OnMetrics",
    "OnRestore",
    "OperatorMetrics",
    "ProcessingError",
    "Processor",
    "ProcessorContext",
    "Punctuation",
    "QueryError",
    "QueryTimeoutError",
    "Record",
    "RecordDroppedError",
    "RecordMetadata",
    "RestoreError",
    "RestoreProgress",
    "Retry",
    "Serde",
    "SerializationError",
    "SessionWindowedKStream",
    "SessionWindowedSerde",
    "SessionWindows",
    "SlidingWindows",
    "StoreError",
    "StoreMetrics",
    "StoreQuery",
    "StoreSpec",
    "StoredTopology",
    "StreamBuilder",
    "StreamRunner",
    "StreamsConfig",
    "StreamsError",
    "Suppressed",
    "TaskMetrics",
    "TimeWindowedKStream",
    "TimeWindowedSerde",
    "TimeWindows",
    "Topic",
    "Topology",
    "TopologyError",
    "Windowed",
]
