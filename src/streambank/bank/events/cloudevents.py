"""CloudEvents 1.0, Kafka protocol binding, binary mode: attributes in ``ce_`` headers, data as the value."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from streambank.log.headers import begin_headers, encode_header

SPEC_VERSION = b"1.0"

TIMES_MAX = 1_000
"""Times kept as text: one takes a microsecond or two to write, and the events of a batch repeat them."""

SUBJECTS_MAX = 1_000
"""Subjects of a topic kept as headers, for the same reason."""


def binary_mode_headers(*, type: str, source: str, id: str, subject: str) -> Callable[[Any, int], bytes | None]:  # noqa: A002
    """The function that makes an event's headers.

    Args:
        type: the event type, reverse-DNS style with its version, such as ``bank.balance.changed.v1``.
        source: who publishes it, a URI reference; source and id together are unique.
        id: the event's attribute that holds its id.
        subject: the event's attribute that it is about; also its partition key.
    """
    id_of, subject_of = attrgetter(id), attrgetter(subject)
    begin = begin_headers(
        9,  # These five, and the four below.
        ("content-type", b"application/json"),
        ("ce_specversion", SPEC_VERSION),
        ("ce_type", type.encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", f"/schemas/{type}.json".encode()),
    )

    @lru_cache(maxsize=SUBJECTS_MAX)
    def of_subject(about: str) -> bytes:
        return encode_header(("ce_subject", about.encode())) + encode_header(("ce_partitionkey", about.encode()))

    def headers(event: Any, timestamp: int) -> bytes | None:
        named = encode_header(("ce_id", id_of(event).encode()))
        return begin + named + of_subject(subject_of(event)) + _time(timestamp)

    return headers


@lru_cache(maxsize=TIMES_MAX)
def _time(timestamp_ms: int) -> bytes:
    moment = datetime.fromtimestamp(timestamp_ms // 1000, UTC)
    # Without its offset, which isoformat would write as +00:00.
    return encode_header(("ce_time", f"{moment.isoformat()[:-6]}.{timestamp_ms % 1000:03d}Z".encode()))
