"""librdkafka's messages as the log's record batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import Message

from streambank.log.headers import encode_headers
from streambank.log.records import RecordBatch, TopicPartition


def batches_of(messages: Iterable[Message]) -> list[RecordBatch]:
    """Messages without an error, grouped by partition in order of appearance; each ``next_offset`` follows the last."""
    columns: dict[tuple[Any, Any], list[Message]] = {}
    for message in messages:
        place = (message.topic(), message.partition())
        found = columns.get(place)
        if found is None:
            columns[place] = [message]
        else:
            found.append(message)
    return [_batch(TopicPartition(*place), found) for place, found in columns.items()]


def empty_batch(topic_partition: TopicPartition, next_offset: int) -> RecordBatch:
    """Nothing, up to that offset."""
    return RecordBatch(topic_partition, [], [], [], [], None, next_offset)


def _batch(topic_partition: TopicPartition, messages: Sequence[Message]) -> RecordBatch:
    headers: Sequence[Any] = [message.headers() for message in messages]
    offsets: Sequence[Any] = [message.offset() for message in messages]
    return RecordBatch(
        topic_partition,
        offsets,
        [message.timestamp()[1] for message in messages],
        [message.key() for message in messages],
        [message.value() for message in messages],
        [encode_headers(pairs) if pairs else None for pairs in headers] if any(headers) else None,
        offsets[-1] + 1,
    )
