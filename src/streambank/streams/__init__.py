"""Stream processing with the semantics of Kafka Streams on any event log."""

from streambank.streams.builder import StreamBuilder
from streambank.streams.config import StreamsConfig
from streambank.streams.error_policies import ErrorAction, ErrorContext, ErrorKind, ErrorPolicy, Retry
from streambank.streams.errors import (
    DeserializationError,
    ProcessingError,
    RecordDroppedError,
    RestoreError,
    SerializationError,
    StreamsError,
    TopologyError,
)
from streambank.streams.kstream import KGroupedStream, KStream
from streambank.streams.ktable import KTable
from streambank.streams.metrics import InputMetrics, Metrics, OperatorMetrics, StoreMetrics, TaskMetrics
from streambank.streams.restore import OnRestore, RestoreProgress
from streambank.streams.runner import OnMetrics, StreamRunner
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde
from streambank.streams.topic import Topic
from streambank.streams.topology import Topology

__all__ = [
    "BYTES",
    "LONG",
    "STRING",
    "DeserializationError",
    "ErrorAction",
    "ErrorContext",
    "ErrorKind",
    "ErrorPolicy",
    "InputMetrics",
    "JsonSerde",
    "KGroupedStream",
    "KStream",
    "KTable",
    "Metrics",
    "OnMetrics",
    "OnRestore",
    "OperatorMetrics",
    "ProcessingError",
    "RecordDroppedError",
    "RestoreError",
    "RestoreProgress",
    "Retry",
    "Serde",
    "SerializationError",
    "StoreMetrics",
    "StreamBuilder",
    "StreamRunner",
    "StreamsConfig",
    "StreamsError",
    "TaskMetrics",
    "Topic",
    "Topology",
    "TopologyError",
]
