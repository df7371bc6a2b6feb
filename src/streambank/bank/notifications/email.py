"""Forms an alert's e-mail. Pure: the same alert and time give the same bytes."""

import base64
import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import SMTPUTF8, compat32
from email.utils import format_datetime as rfc5322_date
from functools import lru_cache
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from streambank.bank.events import AlertNotification, AlertRaised, Currency, Direction, Scope, to_decimal
from streambank.bank.notifications.addresses import parse_address
from streambank.bank.notifications.settings import NotificationsSettings
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


@dataclass(frozen=True, slots=True)
class _View:
    """What the templates show. All of it is text for people, made safe for headers too."""

    name: str
    what: str
    direction: str
    subject: str
    now: str
    before: str
    threshold: str
    entry_amount: str
    entry_is_credit: bool
    entry_account: str
    entry_time: str
    counterparty: str
    remittance: str
    kind: str
    is_total: bool
    currency: str
    sender_name: str
    settings_url: str | None
    alert_id: str


def form_email(notification: AlertNotification, settings: NotificationsSettings, date_ms: int) -> FormedEmail:
    """The alert's e-mail, dated ``date_ms``.

    An unknown locale or time zone becomes English or UTC, since an alert in the wrong format beats none.

    Raises:
        AddressError: the recipient's address is malformed.
    """
    recipient = parse_address(notification.email)
    view = _view(notification, settings)
    utf8 = not recipient.isascii()
    message_id = message_id_of(notification.alert_id, settings)
    # The default boundary is random; a repeat of this e-mail is to be the same to the byte.
    message = MIMEMultipart("alternative", boundary=f"=_{derived_id('boundary', notification.alert_id)}")
    headers: list[tuple[str, str | Header]] = [
        ("From", _mailbox("From", settings.sender_name, parse_address(settings.sender), utf8)),
        ("To", _mailbox("To", view.name, recipient, utf8)),
        ("Subject", view.subject),
        ("Date", rfc5322_date(to_datetime(date_ms))),
        ("Message-ID", message_id),
        # RFC 3834 section 5: keeps holiday notes and other robots from answering.
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        *_unsubscribe_headers(notification, settings),
        ("X-Streambank-Alert-Id", view.alert_id),
    ]
    for name, value in headers:
        check(
            _LINE_END.search(str(value)) is None,
            f"header {name}: a control character or a line's end would break out of it",
        )
        plain = utf8 or isinstance(value, Header) or value.isascii()
        message[name] = value if plain else _encoded(name, str(value))  # type: ignore[assignment]  # A Header is as good.
    for subtype, template in (("plain", "alert.txt.j2"), ("html", "alert.html.j2")):
        text = _templates().get_template(template).render(view=view)
        part = MIMENonMultipart("text", subtype, charset="utf-8")
        part.set_payload(text, _QUOTED_PRINTABLE)
        message.attach(part)
    return FormedEmail(recipient, message_id, message.as_bytes(policy=SMTPUTF8 if utf8 else _ASCII))


def message_id_of(alert_id: str, settings: NotificationsSettings) -> str:
    """The Message-ID of an alert's e-mail: always the same, so that receivers recognise a repeat."""
    left = alert_id if len(alert_id) <= 64 and _MESSAGE_ID_SAFE.fullmatch(alert_id) else derived_id("alert", alert_id)
    return f"<{left}@{settings.message_id_host}>"


def unsubscribe_token(key: bytes, user_id: str) -> str:
    """What proves that an unsubscribe link is ours (RFC 8058 section 4): an HMAC-SHA-256 of the user's id."""
    digest = hmac.digest(key, b"unsubscribe\x1f" + user_id.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def money(minor: int, currency: Currency, locale: Locale, *, sign: bool = False) -> str:
    """An amount in the locale's digits and grouping, with as many decimals as ISO 4217 gives the currency."""
    digits = currency.exponent or 0
    whole = locale.decimal_formats[None].pattern.partition(".")[0]
    pattern = f"{whole}.{'0' * digits}" if digits else whole
    amount = format_decimal(to_decimal(minor, currency), format=pattern, locale=locale)
    return f"{'+' if sign and minor > 0 else ''}{amount} {currency.value}"


def _view(notification: AlertNotification, settings: NotificationsSettings) -> _View:
    alert, locale = notification.alert, _locale(notification.locale)
    entry, currency, is_total = alert.entry, alert.currency, alert.scope is Scope.TOTAL
    direction = "fell below" if alert.threshold.direction is Direction.BELOW else "rose above"
    account = _account(alert)
    what = f"Total of all accounts in {currency.value}" if is_total else account
    threshold, now = (money(m, currency, locale) for m in (alert.threshold.level_minor, alert.after_minor))
    return _View(
        name=safe_text(notification.name),
        what=what,
        direction=direction,
        subject=f"{what} {direction} {threshold}: now {now}",
        now=now,
        before=money(alert.before_minor, currency, locale),
        threshold=threshold,
        entry_amount=money(entry.signed_minor, currency, locale, sign=True),
        entry_is_credit=entry.signed_minor >= 0,
        entry_account=account,
        entry_time=_moment(entry.occurred_at, notification.timezone, locale),
        counterparty=safe_text(entry.counterparty or ""),
        remittance=safe_text(entry.remittance or ""),
        kind=safe_text(entry.kind or ""),
        is_total=is_total,
        currency=currency.value,
        sender_name=safe_text(settings.sender_name),
        settings_url=settings.settings_url,
        alert_id=safe_text(notification.alert_id, hide_numbers=False),
    )


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


def _account(alert: AlertRaised) -> str:
    name = safe_text(alert.account_name or "") or "Account"
    last4 = re.sub(r"[^0-9A-Za-z]", "", alert.account_number_last4 or "")[-4:]
    return f"{name} ••{last4}" if last4 else name


def _moment(moment: datetime, timezone: str, locale: Locale) -> str:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return format_datetime(aware, "long", tzinfo=_zone(timezone), locale=locale)


@lru_cache(maxsize=64)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, TypeError, UnknownLocaleError):
        language = re.split("[-_]", name)[0]
        return _locale(language) if language != name else Locale("en")


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # A name may also be that of a folder in the time zone database ("Europe"): an OSError.
        return ZoneInfo("UTC")


def _mailbox(header: str, name: str, address: str, utf8: bool) -> str | Header:
    name = safe_text(name)
    local, _, domain = address.rpartition("@")
    if utf8 or name.isascii():
        return str(Address(name, local, domain))
    mailbox = _encoded(header, name)
    mailbox.append(f"<{address}>", "us-ascii")
    return mailbox


def _encoded(header: str, text: str) -> Header:
    """Text as RFC 2047 encoded words, folded where the header of that name needs it."""
    return Header(text, "utf-8", header_name=header)


def _unsubscribe_headers(notification: AlertNotification, settings: NotificationsSettings) -> list[tuple[str, str]]:
    subject = quote(f"unsubscribe {notification.user_id}"[: 2 * TEXT_CHARS_MAX], safe="")
    mailto = f"<mailto:{quote(parse_address(settings.sender), safe='@')}?subject={subject}>"
    if settings.unsubscribe_url is None or settings.unsubscribe_key is None:
        return [("List-Unsubscribe", mailto)]
    user_id = notification.user_id
    query = urlencode({"user": user_id, "token": unsubscribe_token(settings.unsubscribe_key, user_id)})
    url = f"{settings.unsubscribe_url}{'&' if '?' in settings.unsubscribe_url else '?'}{query}"
    # RFC 2369 section 2: the first that a client can use is preferred. RFC 8058 section 3.1: the post header's value.
    return [("List-Unsubscribe", f"<{url}>, {mailto}"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")]


def _quoted_printable() -> Charset:
    charset = Charset("utf-8")
    charset.body_encoding = QP
    return charset


_ASCII = compat32.clone(linesep="\r\n")
"""Headers here are ASCII already. The newer policies would parse each one again, at twice the cost of the rest."""

_LINE_END = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_QUOTED_PRINTABLE = _quoted_printable()


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("streambank.bank.notifications"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
