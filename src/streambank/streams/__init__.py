"""Stream processing with the semantics of Kafka Streams on any event log."""

from streambank.streams.builder import StreamBuilder
from streambank.streams.config import OnError, StreamsConfig
from streambank.streams.errors import (
    DeserializationError,
    ProcessingError,
    QueryError,
    QueryTimeoutError,
    RestoreError,
    StoreError,
    StreamsError,
    TopologyError,
)
from streambank.streams.kstream import KGroupedStream, KStream
from streambank.streams.ktable import KTable
from streambank.streams.processor import KeyValueState, Processor, ProcessorContext, Record, RecordMetadata
from streambank.streams.punctuation import Punctuation
from streambank.streams.queries import StoreQuery
from streambank.streams.restore import OnRestore, RestoreProgress
from streambank.streams.runner import StreamRunner
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde
from streambank.streams.stores import StoreSpec
from streambank.streams.topic import Topic
from streambank.streams.topology import Topology

__all__ = [
    "BYTES",
    "LONG",
    "STRING",
    "DeserializationError",
    "JsonSerde",
    "KGroupedStream",
    "KStream",
    "KTable",
    "KeyValueState",
    "OnError",
    "OnRestore",
    "ProcessingError",
    "Processor",
    "ProcessorContext",
    "Punctuation",
    "QueryError",
    "QueryTimeoutError",
    "Record",
    "RecordMetadata",
    "RestoreError",
    "RestoreProgress",
    "Serde",
    "StoreError",
    "StoreQuery",
    "StoreSpec",
    "StreamBuilder",
    "StreamRunner",
    "StreamsConfig",
    "StreamsError",
    "Topic",
    "Topology",
    "TopologyError",
]
