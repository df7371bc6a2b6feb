"""Forms the e-mails of notices: one by itself, or several in a digest. Pure: the same gives the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from streambank.bank.addresses import parse_address
from streambank.bank.notifications.facts import MUTABLE, AlertFacts, Category, Facts
from streambank.bank.notifications.links import MARK_HEADER, mark_token, unsubscribe_token
from streambank.bank.notifications.message import FormedEmail, Letter, compose, moment, safe_text
from streambank.bank.notifications.notices import Notice
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.telling import Reader, Telling, tell, tell_somehow
from streambank.bank.notifications.texts import Texts
from streambank.bank.notifications.unsealing import Addressee, opener
from streambank.clock import to_datetime

CAUSE_CHARS_MAX = 160


@dataclass(frozen=True, slots=True)
class _View:
    """What the templates show of one notice."""

    subject: str
    greeting: str
    telling: Telling
    label_width: int
    links: list[tuple[str, str]]
    footer: str
    signature: str


@dataclass(frozen=True, slots=True)
class _DigestView:
    """What the templates show of several."""

    language: str
    subject: str
    greeting: str
    text: str
    items: list[tuple[str, Telling]]
    links: list[tuple[str, str]]
    footer: str
    signature: str


def form_notice(
    notice: Notice, to: Addressee, settings: NotificationsSettings, date_ms: int, key: bytes | None
) -> FormedEmail:
    """The notice's e-mail, dated ``date_ms``; ``key`` opens its facts.

    An unknown locale or time zone becomes English or UTC, since an alert in the wrong format beats none.

    Raises:
        AddressError: the recipient's address is malformed.
        KeyMissingError: something is sealed, and ``key`` is None.
    """
    reader = Reader(to.locale, to.timezone, opener(to.user_id, notice.cause_id, key))
    telling, category = tell(notice.facts, notice.occurred_at, reader), notice.facts.category
    labels = [label for table in telling.tables for label, _ in table.rows]
    cause = safe_text(notice.cause_id, hide_numbers=False)
    sender = safe_text(settings.sender_name)
    view = _View(
        subject=telling.title,
        greeting=_greeting(reader.texts, to),
        telling=telling,
        label_width=max(map(len, labels), default=0) + 3,
        links=_links(reader.texts, settings, to.user_id, category),
        footer=reader.texts.notice_footer[category],
        signature=f"{sender}, {_id_name(notice.facts)} {cause}",
    )
    headers = [*_headers(settings, to.user_id, category, notice.cause_id), (_id_header(notice.facts), cause)]
    return compose(_letter(to, view.subject, notice.cause_id, headers, "notice", view), settings, date_ms)


def form_digest(
    cause_id: str,
    notices: Sequence[Notice],
    to: Addressee,
    settings: NotificationsSettings,
    date_ms: int,
    key: bytes | None,
) -> FormedEmail:
    """One e-mail that lists the notices, in the order given. Raises what :func:`form_notice` raises."""
    reader = Reader(to.locale, to.timezone, opener(to.user_id, cause_id, key))
    texts = reader.texts
    items = [
        (
            moment(to_datetime(notice.occurred_at), to.timezone, reader.formats),
            tell_somehow(notice.facts, notice.occurred_at, reader),
        )
        for notice in notices
    ]
    # What ends these e-mails is what ends those of each kind in them; one header has room for one.
    categories = list(dict.fromkeys(notice.facts.category for notice in notices))
    subject = texts.digest.title_one if len(items) == 1 else texts.digest.title.format(count=len(items))
    links = [(texts.settings, settings.settings_url)] if settings.settings_url else []
    for category in categories:
        if (url := unsubscribe_url(settings, to.user_id, category)) is not None:
            links.append((f"{texts.stop}: {texts.categories[category]}", url))
    view = _DigestView(
        language=reader.language,
        subject=subject,
        greeting=_greeting(texts, to),
        text=texts.digest.text,
        items=items,
        links=links,
        footer=texts.digest.footer,
        signature=safe_text(settings.sender_name),
    )
    first = next((category for category in categories if category in MUTABLE), categories[0])
    headers = _headers(settings, to.user_id, first, cause_id)
    return compose(_letter(to, subject, cause_id, headers, "digest", view), settings, date_ms)


def unsubscribe_url(settings: NotificationsSettings, user_id: str, category: Category) -> str | None:
    """The link that ends a user's e-mails of a category; None where there is nobody that it could lead to."""
    if settings.unsubscribe_page is None or settings.link_key is None or category not in MUTABLE:
        return None
    token = unsubscribe_token(settings.link_key, user_id, category)
    return f"{settings.unsubscribe_page}?token={token}"


def _letter(
    to: Addressee, subject: str, cause_id: str, headers: list[tuple[str, str]], template: str, view: object
) -> Letter:
    return Letter(
        recipient=parse_address(to.email),
        name=to.name,
        subject=subject,
        cause_id=cause_id,
        headers=headers,
        template=template,
        view=view,
    )


def _greeting(texts: Texts, to: Addressee) -> str:
    name = safe_text(to.name)
    return texts.greeting.format(name=name) if name else texts.greeting_nameless


def _links(texts: Texts, settings: NotificationsSettings, user_id: str, category: Category) -> list[tuple[str, str]]:
    links = [(texts.settings, settings.settings_url)] if settings.settings_url else []
    if (url := unsubscribe_url(settings, user_id, category)) is not None:
        links.append((texts.stop, url))
    return links


def _headers(settings: NotificationsSettings, user_id: str, category: Category, cause_id: str) -> list[tuple[str, str]]:
    headers = []
    if settings.link_key is not None and len(cause_id) <= CAUSE_CHARS_MAX:
        headers.append((MARK_HEADER, mark_token(settings.link_key, cause_id)))
    url = unsubscribe_url(settings, user_id, category)
    if url is None:
        return headers
    # RFC 8058 section 3.1: the post header's value. No mailto: beside it, which nobody would read.
    one_click = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return [*headers, ("List-Unsubscribe", f"<{url}>"), one_click]


def _id_header(facts: Facts) -> str:
    return "X-Streambank-Alert-Id" if isinstance(facts, AlertFacts) else "X-Streambank-Notice-Id"


def _id_name(facts: Facts) -> str:
    return "alert" if isinstance(facts, AlertFacts) else "notice"
