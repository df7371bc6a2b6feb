"""Forms the e-mails that other services ask for. Pure: the same request and time give the same bytes."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from streambank.bank.addresses import parse_address
from streambank.bank.events import MailKind, MailRequested
from streambank.bank.notifications.errors import ExpiredError, UnformableError
from streambank.bank.notifications.message import FormedEmail, Letter, compose, locale_of, moment, safe_text
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.texts import language_of, texts_in
from streambank.clock import to_datetime

NEEDS_TOKEN = frozenset({MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD})
"""Without one there is nothing that the receiver could do."""

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,512}")
"""What needs no quoting anywhere (RFC 3986 section 2.3), in a length that a person can still copy."""


@dataclass(frozen=True, slots=True)
class _View:
    """What the templates show."""

    language: str
    subject: str
    greeting: str
    heading: str
    paragraphs: tuple[str, ...]
    action: str
    url: str
    code: str
    token: str | None
    valid_until: str
    closing: tuple[str, ...]
    footer: str


def form_requested(request: MailRequested, settings: NotificationsSettings, date_ms: int, now_ms: int) -> FormedEmail:
    """The e-mail that was asked for, dated ``date_ms``, unless at ``now_ms`` it is too late for it.

    In the user's language where there are texts in it, else in English.

    Raises:
        AddressError: the recipient's address is malformed.
        ExpiredError: what it says would not be so any more.
        UnformableError: its token is missing or malformed.
    """
    expires_at = _aware(request.expires_at)
    if expires_at is not None and expires_at <= to_datetime(now_ms):
        raise ExpiredError(f"the {request.kind.value} e-mail expired on {expires_at:%Y-%m-%d at %H:%M:%S} UTC, unsent")
    if request.token is None and request.kind in NEEDS_TOKEN:
        raise UnformableError(f"the {request.kind.value} e-mail has no token; whoever asked for it has to give one")
    if request.token is not None and not _TOKEN.fullmatch(request.token):
        raise UnformableError(f"the token of the {request.kind.value} e-mail has characters that no link can have")
    recipient = parse_address(request.email)
    view = _view(request, settings, expires_at)
    letter = Letter(
        recipient=recipient,
        name=safe_text(request.name),
        subject=view.subject,
        cause_id=request.event_id,
        headers=[("X-Streambank-Event-Id", safe_text(request.event_id, hide_numbers=False))],
        template="requested",
        view=view,
    )
    return compose(letter, settings, date_ms)


def page_url(request: MailRequested, settings: NotificationsSettings) -> str:
    """Where the e-mail's link leads: to the page of its kind if there is something to prove, else to the first page.

    The token is in the fragment, which browsers keep to themselves: it comes into no server's or proxy's log.
    """
    base = settings.public_url.rstrip("/")
    if request.token is None:
        return f"{base}/"
    return f"{base}/{request.kind.value}#token={quote(request.token, safe='')}"


def _view(request: MailRequested, settings: NotificationsSettings, expires_at: datetime | None) -> _View:
    locale = locale_of(request.locale)
    language = language_of(locale.language)
    if language != locale.language:
        locale = locale_of(language)
    texts = texts_in(language)
    mail = texts.mails[request.kind]
    name, sender = safe_text(request.name), safe_text(settings.sender_name)
    when = moment(request.occurred_at, request.timezone, locale)
    until = moment(expires_at, request.timezone, locale) if expires_at is not None else ""
    return _View(
        language=language,
        subject=mail.subject,
        greeting=texts.greeting.format(name=name) if name else texts.greeting_nameless,
        heading=mail.subject,
        paragraphs=tuple(paragraph.format(when=when) for paragraph in mail.paragraphs),
        action=mail.action,
        url=page_url(request, settings),
        code=texts.code,
        token=request.token,
        valid_until=texts.valid_until.format(until=until) if until else "",
        closing=tuple(paragraph.format(when=when) for paragraph in mail.closing),
        footer=texts.footer.format(sender=sender),
    )


def _aware(at: datetime | None) -> datetime | None:
    """In UTC; one without a zone is taken to be."""
    return at if at is None else at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
