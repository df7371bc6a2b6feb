"""Dead letters: records that could not be handled, kept unchanged with the reason in headers named after KIP-1034."""

from streambank.log import Record, TopicConfig, encode_headers
from streambank.service.outbox import OutgoingRecord

PREFIX = "__streams.errors."

MESSAGE_CHARS_MAX = 1_000
"""A reason is a sentence; more would only make the record larger than the log takes."""


def dead_letter_topic(group: str) -> TopicConfig:
    """The topic that a group's dead letters go to. One partition: they are few, and read in the order they came in."""
    return TopicConfig(name=f"{group}.dlq", partitions=1)


def dead_letter(group: str, record: Record, *, exception: str, message: str) -> OutgoingRecord:
    """The record as it was, byte for byte, with headers that say where it came from and what was wrong with it.

    ``exception`` is the class of the failure. Headers of an earlier death stay; readers take the last of a name.
    """
    reasons = {
        "exception": exception,
        "message": message[:MESSAGE_CHARS_MAX],
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "group": group,
    }
    headers = encode_headers((*record.headers, *((PREFIX + name, text.encode()) for name, text in reasons.items())))
    return OutgoingRecord(dead_letter_topic(group).name, record.key, record.value, headers, record.timestamp)
