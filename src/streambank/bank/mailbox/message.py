"""Reads a message (RFC 5322, MIME) into the shapes that Mailpit's API gives it."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from functools import cached_property
from html import unescape
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

SNIPPET_CHARS_MAX = 250
SEARCH_CHARS_MAX = 20_000
"""How much of a message's text is searched: a statement of many pages is found by its beginning."""

_TAGS = re.compile(r"<(style|script|title)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP said about a message: from, to, and who authenticated."""

    mail_from: str
    recipients: tuple[str, ...]
    username: str = ""


class ParsedMessage:
    """One message. Nothing in it is trusted: whatever cannot be read is left empty."""

    def __init__(self, raw: bytes) -> None:
        # The older of the standard library's two message classes: it parses in a tenth of the time.
        self._message = message_from_bytes(raw, policy=compat32)
        self._size = len(raw)

    @property
    def text(self) -> str:
        """The plain text, empty if there is none."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML, empty if there is none."""
        return self._body("html")

    def headers(self) -> dict[str, list[str]]:
        """Every header's values by name, decoded."""
        found: dict[str, list[str]] = {}
        for name, value in self._message.raw_items():
            found.setdefault(_clean(name), []).append(_decoded(str(value)))
        return found

    def summary(self, envelope: Envelope) -> Json:
        """Mailpit's MessageSummary, but for what the store knows (ID, Created, Read)."""
        addresses = {name: self._addresses(name) for name in ("From", "To", "Cc", "Reply-To")}
        visible = {a["Address"].lower() for name in ("To", "Cc") for a in addresses[name]}
        return {
            "MessageID": self._header("Message-ID").strip().strip("<>"),
            "From": (addresses["From"] or [{"Name": "", "Address": envelope.mail_from}])[0],
            "To": addresses["To"],
            "Cc": addresses["Cc"],
            "Bcc": [{"Name": "", "Address": r} for r in envelope.recipients if r.lower() not in visible],
            "ReplyTo": addresses["Reply-To"],
            "Subject": self._header("Subject"),
            "Username": envelope.username,
            "Tags": [],
            "Size": self._size,
            "Attachments": len(self._attachments()),
            "Snippet": " ".join(self._plain.split())[:SNIPPET_CHARS_MAX],
        }

    def full(self, summary: Json, mail_from: str, received: datetime) -> Json:
        """Mailpit's Message: the summary with date, bodies and attachments."""
        kept = ("ID", "MessageID", "From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Tags", "Username", "Size")
        header = self._header("List-Unsubscribe")
        return {
            **{name: summary[name] for name in kept},
            "ReturnPath": mail_from,
            "Date": rfc3339(self._date() or received),
            "ListUnsubscribe": {
                "Header": header,
                "Links": re.findall(r"<\s*((?:https?|mailto):[^>\s]+)\s*>", header),
                "Errors": "",
                "HeaderPost": self._header("List-Unsubscribe-Post"),
            },
            "Text": self.text,
            "HTML": self.html,
            "Inline": [],
            "Attachments": [_attachment(n, part) for n, part in enumerate(self._attachments(), 1)],
        }

    def search_text(self, summary: Json) -> str:
        """What a search without a field looks at, case-folded."""
        people = (summary["From"], *summary["To"], *summary["Cc"], *summary["Bcc"])
        words = [summary["Subject"], *(f"{p['Name']} {p['Address']}" for p in people), self._plain]
        return "\n".join(words).casefold()[:SEARCH_CHARS_MAX]

    @cached_property
    def _plain(self) -> str:
        return self.text or unescape(_TAGS.sub(" ", self.html))

    def _body(self, subtype: str) -> str:
        part = next((p for p in self._leaves() if p.get_content_type() == f"text/{subtype}" and not _is_file(p)), None)
        if part is None:
            return ""
        charset = part.get_content_charset("utf-8")
        try:
            return _clean(_payload(part).decode(charset, "replace"))
        except (LookupError, ValueError):
            return _payload(part).decode("utf-8", "replace")

    def _attachments(self) -> list[Message]:
        return [part for part in self._leaves() if _is_file(part)]

    def _leaves(self) -> list[Message]:
        return [part for part in self._message.walk() if not part.is_multipart()]

    def _header(self, name: str) -> str:
        return _decoded(next(iter(self._values(name)), ""))

    def _values(self, name: str) -> list[str]:
        return [str(value) for found, value in self._message.raw_items() if found.lower() == name.lower()]

    def _addresses(self, name: str) -> list[Json]:
        # Taken apart before decoding: an encoded name may hold a comma.
        found = getaddresses([" ".join(value.split()) for value in self._values(name)])
        return [{"Name": _decoded(display), "Address": _clean(address)} for display, address in found if address]

    def _date(self) -> datetime | None:
        try:
            date = parsedate_to_datetime(self._header("Date"))
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _decoded(value: str) -> str:
    # RFC 2047. The parser behind EmailMessage's own headers does this too, at ten times the cost.
    folded = _clean(" ".join(value.split()))
    if "=?" not in folded:
        return folded
    try:
        return _clean(str(make_header(decode_header(folded))))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return folded


def _clean(text: str) -> str:
    # The parser keeps bytes that are not ASCII as lone surrogates, which neither JSON nor a database takes. They are
    # UTF-8 nearly always (RFC 6532).
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()


def rfc3339(moment: datetime) -> str:
    """A time as Mailpit's JSON has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def names(people: Iterable[Json]) -> str:
    """People in one line, for lists."""
    return ", ".join(p["Address"] for p in people)


def _is_file(part: Message) -> bool:
    return part.get_content_maintype() != "text" or part.get_content_disposition() == "attachment"


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _attachment(number: int, part: Message) -> Json:
    content = _payload(part)
    return {
        "PartID": str(number),
        "FileName": _clean(part.get_filename() or ""),
        "ContentType": _clean(part.get_content_type()),
        "ContentID": _clean(str(part.get("Content-ID", ""))).strip("<>"),
        "Size": len(content),
        "Checksums": {
            "MD5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "SHA1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            "SHA256": hashlib.sha256(content).hexdigest(),
        },
    }
