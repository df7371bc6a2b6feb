"""Dead letters: records that could not be processed, unchanged, with what went wrong in headers (KIP-1034)."""

import traceback

from streambank.log import Record, encode_headers
from streambank.streams.collector import Columns

STACKTRACE_CHARACTERS_MAX = 8_000
MESSAGE_CHARACTERS_MAX = 1_000
RECORD_BYTES_MAX = 1_000_000
"""What a dead letter may have in all: within Kafka's default for a record, 1 MiB with its framing."""

EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
STACKTRACE = "__streams.errors.stacktrace"
TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"
VALUE_OMITTED = "__streams.errors.value.omitted"
"""The length of a value that is only at the place that the other headers name; its headers are there too."""


def dead_letter_headers(record: Record, error: BaseException, *, room: int = RECORD_BYTES_MAX) -> bytes | None:
    """The record's own headers, and after them what happened, where; the stack trace only if ``room`` bytes hold it."""
    trace = "".join(traceback.format_exception(error))[-STACKTRACE_CHARACTERS_MAX:]
    place = (
        (TOPIC, record.topic.encode()),
        (PARTITION, str(record.partition).encode()),
        (OFFSET, str(record.offset).encode()),
    )
    what = (
        *record.headers,
        (EXCEPTION, f"{type(error).__module__}.{type(error).__qualname__}".encode()),
        (MESSAGE, _bytes(str(error)[:MESSAGE_CHARACTERS_MAX])),
    )
    whole = encode_headers((*what, (STACKTRACE, _bytes(trace)), *place))
    return whole if len(whole or b"") <= room else encode_headers((*what, *place))


def _bytes(text: str) -> bytes:
    """The text in UTF-8, whatever an error had to quote: lone surrogates as escapes."""
    return text.encode(errors="backslashreplace")


def write_dead_letter(columns: Columns, record: Record, error: BaseException) -> None:
    """Write the record, key, value and timestamp byte for byte, with :func:`dead_letter_headers`.

    A value that the headers leave no room for is left where it is: the dead letter has none, and a header says so.
    """
    room = RECORD_BYTES_MAX - len(record.key or b"") - len(record.value or b"")
    headers = dead_letter_headers(record, error, room=room)
    if len(headers or b"") <= room:
        columns.append(record.key, record.value, record.timestamp, headers)
        return
    omitted = record._replace(headers=((VALUE_OMITTED, str(len(record.value or b"")).encode()),))
    columns.append(record.key, None, record.timestamp, dead_letter_headers(omitted, error))
