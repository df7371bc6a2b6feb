"""Reading whole topics without a group: for what has to be known before it goes on."""

from collections.abc import Iterator
from typing import TypeVar

from streambank.log import EventLog, RecordBatch, TopicPartition
from streambank.streams.topic import Topic

READ_RECORDS = 20_000

V = TypeVar("V")


def latest(log: EventLog, topic: Topic[str, V]) -> dict[str, V]:
    """The last value of each key; a key whose last record is a tombstone is left out."""
    values: dict[bytes, bytes] = {}
    for batch in batches(log, topic.name):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None:
                continue
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
    return {key.decode(): topic.value.deserialize(value) for key, value in values.items()}


def batches(log: EventLog, topic: str) -> Iterator[RecordBatch]:
    """All records of a topic, up to its present end; none if there is no such topic yet."""
    config = log.topics().get(topic)
    if config is None:
        return
    for partition in range(config.partitions):
        place = TopicPartition(topic, partition)
        offset, end = log.watermarks(place)
        while offset < end:
            batch = log.read(place, offset, READ_RECORDS)
            yield batch
            if batch.next_offset <= offset:
                break
            offset = batch.next_offset
