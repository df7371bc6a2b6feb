"""Stream processing with the semantics of Kafka Streams on any event log."""

from streambank.streams.builder import StreamBuilder
from streambank.streams.compatibility import StoredTopology
from streambank.streams.config import OnError, StreamsConfig
from streambank.streams.errors import (
    DeserializationError,
    ProcessingError,
    RestoreError,
    StreamsError,
    TopologyError,
)
from streambank.streams.kstream import KGroupedStream, KStream
from streambank.streams.ktable import KTable
from streambank.streams.restore import OnRestore, RestoreProgress
from streambank.streams.runner import StreamRunner
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde
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
    "OnError",
    "OnRestore",
    "ProcessingError",
    "RestoreError",
    "RestoreProgress",
    "Serde",
    "StoredTopology",
    "StreamBuilder",
    "StreamRunner",
    "StreamsConfig",
    "StreamsError",
    "Topic",
    "Topology",
    "TopologyError",
]
