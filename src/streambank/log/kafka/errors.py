"""librdkafka's errors in the log's terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from streambank.log.errors import (
    FencedError,
    InvalidRecordError,
    LogError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    UnknownTopicError,
)

STALE_EPOCH = frozenset({KafkaError.STALE_MEMBER_EPOCH, KafkaError.ILLEGAL_GENERATION})
"""The group has moved on since the member's metadata were taken; whether it kept its place, it knows itself."""

UNKNOWN_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})

_FENCED = STALE_EPOCH | {
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError._FENCED,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.INVALID_TXN_STATE,
    KafkaError.UNKNOWN_PRODUCER_ID,
}

_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the transactional id",
}

_UNREACHABLE = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
    | {KafkaError._WAIT_COORD, KafkaError._TIMED_OUT_QUEUE}
)

REFUSED = frozenset({KafkaError._SSL, KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
"""Waiting does not help: the cluster is there, and one side does not trust the other."""

_OLD_BROKER = frozenset({KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION})


def is_fatal(error: KafkaError) -> bool:
    """Whether the client is of no use any more."""
    return bool(error.fatal()) or error.code() == KafkaError._FATAL


def _cause(error: KafkaError) -> int:
    """The code; for a fatal error, whose code says only that, the one that its text names."""
    if error.code() == KafkaError._FATAL:
        for code in (*_OLD_BROKER, *_FENCED, *_DENIED):
            if KafkaError(code).str() in error.str():
                return code
    return int(error.code())


def translate(error: KafkaError, doing: str, connecting: KafkaError | None = None) -> LogError:
    """The log's error for one of Kafka's; ``doing`` says what was tried, and on what.

    ``connecting`` is what came of the last attempt to connect, for an error that says only that nobody answered.
    """
    if connecting is not None and error.code() in _UNREACHABLE:
        error = connecting
    code, text = _cause(error), error.str()
    if code in UNKNOWN_TOPIC:
        return UnknownTopicError(f"{doing}: no such topic or partition ({text})")
    if code in _FENCED:
        return FencedError(f"{doing}: {text}")
    if code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE):
        return RecordTooLargeError(f"{doing}: {text}")
    if code in (KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP):
        return InvalidRecordError(f"{doing}: the broker refuses a record: {text}")
    if code in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
        return OffsetOutOfRangeError(f"{doing}: {text}")
    if code in _DENIED:
        return LogError(
            f"{doing}: the cluster denies this user the access to {_DENIED[code]} ({text}). "
            "Give it the ACL: docs/guides/growing-onto-kafka.md lists those needed"
        )
    if code in (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED):
        return LogError(f"{doing}: the cluster refuses the credentials ({text}); see the settings sasl.* and ssl.*")
    if code in _OLD_BROKER:
        return LogError(
            f"{doing}: the broker is too old for what was asked ({text}). Apache Kafka 4.0 or newer is expected; with "
            "one from 2.5 on, add ?group.protocol=classic to the address"
        )
    if code == KafkaError._SSL:
        return LogError(
            f"{doing}: no encrypted connection ({text}). ssl.ca.location is the file with the certificate of the"
            " brokers' authority; ssl.certificate.location and ssl.key.location are yours, where they ask for one"
        )
    if code in _UNREACHABLE:
        return LogError(
            f"{doing}: no broker answers ({text}). Is the address right, the cluster up, and security.protocol what it"
            " expects?"
        )
    return LogError(f"{doing}: {error.name()}: {text}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Let Kafka's exceptions leave the block as the log's."""
    try:
        yield
    except KafkaException as exception:
        raise translate(exception.args[0], doing) from exception
