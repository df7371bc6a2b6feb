"""Stream processing with the semantics of Kafka Streams on any event log."""

from streambank.streams.builder import StreamBuilder
from streambank.streams.config import OnError, StreamsConfig
from streambank.streams.errors import (
    BufferFullError,
    DeserializationError,
    ProcessingError,
    RestoreError,
    StreamsError,
    TopologyError,
)
from streambank.streams.global_ktable import GlobalKTable
from streambank.streams.kgrouped_table import KGroupedTable
from streambank.streams.kstream import KGroupedStream, KStream
from streambank.streams.ktable import KTable
from streambank.streams.restore import OnRestore, RestoreProgress
from streambank.streams.runner import StreamRunner
from streambank.streams.serde import BYTES, LONG, STRING, JsonSerde, Serde
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
    "BufferConfig",
    "BufferFullError",
    "DeserializationError",
    "GlobalKTable",
    "JoinWindows",
    "JsonSerde",
    "KGroupedStream",
    "KGroupedTable",
    "KStream",
    "KTable",
    "OnError",
    "OnRestore",
    "ProcessingError",
    "RestoreError",
    "RestoreProgress",
    "Serde",
    "SessionWindowedKStream",
    "SessionWindowedSerde",
    "SessionWindows",
    "SlidingWindows",
    "StreamBuilder",
    "StreamRunner",
    "StreamsConfig",
    "StreamsError",
    "Suppressed",
    "TimeWindowedKStream",
    "TimeWindowedSerde",
    "TimeWindows",
    "Topic",
    "Topology",
    "TopologyError",
    "Windowed",
]
