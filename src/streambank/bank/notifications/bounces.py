"""Reports that an e-mail did not reach its mailbox (RFC 3464), as mail servers send them back. Pure.

Anybody can write one. What proves that it is about an e-mail of ours, and about which, is the mark in that e-mail's
header, which the report holds as its third part (RFC 6522).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message

from streambank.bank.notifications.links import MARK_HEADER, TOKEN_CHARS_MAX

REPORT_BYTES_MAX = 1024 * 1024
"""A report has the headers of the e-mail, or all of it; ours have some ten kilobytes."""

PARSED_BYTES_MAX = 128 * 1024
"""How much of a report is looked at: what counts comes first, and anybody may hand one in."""

NESTED_MAX = 8
"""How often a report may name a boundary, and how often a message within: the parser takes the square of how deep they
are nested. One that is real has two or three of each."""

PARTS_MAX = 50

_MARK = re.compile(rf"^{MARK_HEADER}:\s*((?:[A-Za-z0-9_-]|\r?\n[ \t])+)\s*$", re.IGNORECASE | re.MULTILINE)
_PERMANENT = re.compile(r"\s*5\.\d{1,3}\.\d{1,3}\b")
_POLICY = re.compile(r"\s*5\.7\.")


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report: the mark of the e-mail, not verified yet, and whether the address is no good, for good."""

    mark: str
    is_permanent: bool


def parse_report(raw: bytes) -> Bounce | None:
    """What a report says; None where it is none, or has no mark."""
    raw = raw[:PARSED_BYTES_MAX]
    lower = raw.lower()
    if max(lower.count(b"boundary"), lower.count(b"message/")) > NESTED_MAX:
        return None
    message = message_from_bytes(raw)
    if message.get_content_type() != "multipart/report":
        return None
    if str(message.get_param("report-type", "")).lower() != "delivery-status":
        return None
    statuses: list[Message] = []
    mark = None
    for part in _parts(message):
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            payload = part.get_payload()
            statuses += [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []
        elif kind in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            mark = mark or _mark_in(part)
    if mark is None or not statuses:
        return None
    return Bounce(mark, any(map(_is_permanent, statuses)))


def _is_permanent(status: Message) -> bool:
    """RFC 3464 section 2.3.3: ``failed`` is final. A refusal by policy (5.7.x) is as often about the sender."""
    action, code = str(status.get("Action", "")).strip().lower(), str(status.get("Status", ""))
    return action == "failed" and _PERMANENT.match(code) is not None and _POLICY.match(code) is None


def _mark_in(part: Message) -> str | None:
    payload = part.get_payload()
    if isinstance(payload, list):
        found = payload[0].get(MARK_HEADER) if payload and isinstance(payload[0], Message) else None
        mark = "".join(str(found).split()) if found is not None else None
    else:
        matched = _MARK.search(str(payload))
        mark = "".join(matched[1].split()) if matched is not None else None
    return mark if mark and len(mark) <= TOKEN_CHARS_MAX else None


def _parts(message: Message) -> Iterator[Message]:
    """The report's own parts; not those of the e-mail that it may hold."""
    payload = message.get_payload()
    if isinstance(payload, list):
        yield from (part for part in payload[:PARTS_MAX] if isinstance(part, Message))
