"""An e-mail's headers and parts (RFC 5322), of texts that come from elsewhere. Pure: the same gives the same bytes."""

import re
import unicodedata
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import SMTPUTF8, compat32
from email.utils import format_datetime as rfc5322_date
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from streambank.bank.addresses import parse_address
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.zones import zone_of
from streambank.clock import to_datetime
from streambank.errors import check
from streambank.ids import derived_id

TEXT_CHARS_MAX = 80
"""Names come from elsewhere; more than this is no name, and a subject line has no room for it."""

_ACCOUNT_NUMBER = re.compile(
    r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?\d{1,3}|[A-Z0-9]{1,3})?\b|\d(?:[ /-]?\d){8,}"
)
"""An IBAN (ISO 13616), or nine digits and more: people put account numbers into names."""

_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_UNSAFE_CHARACTERS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Direction controls (Unicode TR 36): they can make an amount or a name read other than it is written."""

_MESSAGE_ID_SAFE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class FormedEmail:
    """What goes to the mail server: the envelope's recipient, the Message-ID, and the message's bytes."""

    recipient: str
    message_id: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What an e-mail says, and to whom.

    Attributes:
        recipient: from :func:`~streambank.bank.addresses.parse_address`.
        cause_id: the alert's id, or the event's that asked for the e-mail.
        headers: those beside the usual ones; the values are safe.
        template: without its ending; there is one for plain text and one for HTML, and both are given ``view``.
    """

    recipient: str
    name: str
    subject: str
    cause_id: str
    headers: Sequence[tuple[str, str]]
    template: str
    view: object


def compose(letter: Letter, settings: NotificationsSettings, date_ms: int) -> FormedEmail:
    """The letter as an e-mail, dated ``date_ms``."""
    recipient, utf8 = letter.recipient, not letter.recipient.isascii()
    message_id = message_id_of(letter.cause_id, settings)
    # The default boundary is random; a repeat of this e-mail is to be the same to the byte.
    message = MIMEMultipart("alternative", boundary=f"=_{derived_id('boundary', letter.cause_id)}")
    message["From"] = _mailbox("From", settings.sender_name, parse_address(settings.sender), utf8)
    message["To"] = _mailbox("To", letter.name, recipient, utf8)
    headers = [
        ("Subject", letter.subject),
        ("Date", rfc5322_date(to_datetime(date_ms))),
        ("Message-ID", message_id),
        # RFC 3834 section 5: keeps holiday notes and other robots from answering.
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        *letter.headers,
    ]
    for name, value in headers:
        message[name] = _header(name, value, utf8)
    for subtype, ending in (("plain", "txt.j2"), ("html", "html.j2")):
        text = _templates().get_template(f"{letter.template}.{ending}").render(view=letter.view)
        part = MIMENonMultipart("text", subtype, charset="utf-8")
        part["Content-Transfer-Encoding"] = "quoted-printable"
        # Not by a Charset, which does it a character at a time, in Python.
        part.set_payload(b2a_qp(text.encode()).decode("ascii"))
        message.attach(part)
    return FormedEmail(recipient, message_id, message.as_bytes(policy=SMTPUTF8 if utf8 else _ASCII))


def message_id_of(cause_id: str, settings: NotificationsSettings) -> str:
    """The Message-ID of an alert's or a request's e-mail: always the same, so that receivers recognise a repeat."""
    left = cause_id if len(cause_id) <= 64 and _MESSAGE_ID_SAFE.fullmatch(cause_id) else derived_id("alert", cause_id)
    return f"<{left}@{settings.message_id_host}>"


def safe_text(text: str, *, hide_numbers: bool = True) -> str:
    """One line of visible text: no control or direction characters, not too long, account numbers cut to four digits.

    Without line breaks it can end no header (RFC 5322 section 2.2), whatever it says.
    """
    visible = "".join(
        " " if unicodedata.category(c) in _UNSAFE_CATEGORIES else "" if c in _UNSAFE_CHARACTERS else c
        for c in text[: 4 * TEXT_CHARS_MAX]
    )
    line = " ".join(visible.split())
    if hide_numbers:
        line = _ACCOUNT_NUMBER.sub(lambda number: f"••{re.sub('[^0-9A-Z]', '', number[0])[-4:]}", line)
    return line if len(line) <= TEXT_CHARS_MAX else line[: TEXT_CHARS_MAX - 1].rstrip() + "…"


def moment(at: datetime, timezone: str, locale: Locale) -> str:
    """A moment in the user's time zone; one without a zone is in UTC."""
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    try:
        return format_datetime(aware, "long", tzinfo=zone_of(timezone), locale=locale)
    except OverflowError:
        # There is no such moment there: on the last day of the calendar the next has begun.
        return format_datetime(aware, "long", tzinfo=UTC, locale=locale)


@lru_cache(maxsize=64)
def locale_of(name: str) -> Locale:
    """The locale of that name, else that of its language, else English: the wrong format beats no e-mail."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, TypeError, UnknownLocaleError):
        language = re.split("[-_]", name)[0]
        return locale_of(language) if language != name else Locale("en")


def _mailbox(header: str, name: str, address: str, utf8: bool) -> str:
    name = safe_text(name)
    local, _, domain = address.rpartition("@")
    if _is_literal(name, utf8):
        return _header(header, str(Address(name, local, domain)), utf8)
    return f"{_header(header, name, utf8)}\n <{address}>"


def _is_literal(text: str, utf8: bool) -> bool:
    """Whether the text can stand in a header as it is. What looks encoded would be decoded by whoever reads it, and
    could then be anything: encoded itself, it stays what it is."""
    return (utf8 or text.isascii()) and "=?" not in text


def _header(name: str, text: str, utf8: bool) -> str:
    """The header's value: the text, or else RFC 2047 encoded words, folded where the header of that name needs it."""
    check(_LINE_END.search(text) is None, f"header {name}: a control character or a line's end would break out of it")
    return text if _is_literal(text, utf8) else Header(text, "utf-8", header_name=name).encode()


_ASCII = compat32.clone(linesep="\r\n")
"""Headers here are ASCII already. The newer policies would parse each one again, at twice the cost of the rest."""

_LINE_END = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("streambank.bank.notifications"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
