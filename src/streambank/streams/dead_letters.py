"""Dead letters: records that could not be processed, unchanged, with what went wrong in headers (KIP-1034)."""

import traceback

from streambank.log import Record, encode_headers
from streambank.streams.collector import Columns

STACKTRACE_CHARACTERS_MAX = 8_000
MESSAGE_CHARACTERS_MAX = 1_000

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
            (MESSAGE, _bytes(str(error)[:MESSAGE_CHARACTERS_MAX])),
            (STACKTRACE, _bytes(trace)),
            (TOPIC, record.topic.encode()),
            (PARTITION, str(record.partition).encode()),
            (OFFSET, str(record.offset).encode()),
        )
    )


def _bytes(text: str) -> bytes:
    """The text in UTF-8, whatever an error had to quote: lone surrogates as escapes."""
    return text.encode(errors="backslashreplace")


def write_dead_letter(columns: Columns, record: Record, error: BaseException) -> None:
    """Write the record, key, value and timestamp byte for byte, with :func:`dead_letter_headers`."""
    columns.append(record.key, record.value, record.timestamp, dead_letter_headers(record, error))
