"""Dead letters: records that could not be processed, unchanged, with what went wrong in headers (KIP-1034)."""

import traceback

from streambank.log import Record, encode_headers
from streambank.streams.collector import Write

STACKTRACE_CHARACTERS_MAX = 8_000

EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
STACKTRACE = "__streams.errors.stacktrace"
TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"


def dead_letter_headers(record: Record, error: BaseException) -> bytes | None:
    """The record's own headers, and after them what happened, where."""
    trace = "".join(traceback.format_exception(error))[-STACKTRACE_CHARACTERS_MAX:]
    return encode_headers(
        (
            *record.headers,
            (EXCEPTION, f"{type(error).__module__}.{type(error).__qualname__}".encode()),
            (MESSAGE, str(error).encode()),
            (STACKTRACE, trace.encode()),
            (TOPIC, record.topic.encode()),
            (PARTITION, str(record.partition).encode()),
            (OFFSET, str(record.offset).encode()),
        )
    )


def write_dead_letter(write: Write, record: Record, error: BaseException) -> None:
    """Write the record, key, value and timestamp byte for byte, with :func:`dead_letter_headers`."""
    write(record.key, record.value, record.timestamp, dead_letter_headers(record, error))
