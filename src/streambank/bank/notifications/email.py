"""Forms an alert's e-mail. Pure: the same alert and time give the same bytes."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from babel import Locale
from babel.numbers import format_decimal

from streambank.bank.addresses import parse_address
from streambank.bank.events import AlertNotification, AlertRaised, Currency, Direction, Scope, to_decimal
from streambank.bank.notifications.message import (
    TEXT_CHARS_MAX,
    FormedEmail,
    Letter,
    compose,
    locale_of,
    moment,
    safe_text,
)
from streambank.bank.notifications.settings import NotificationsSettings


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
    view = _view(notification, settings)
    letter = Letter(
        recipient=parse_address(notification.email),
        name=view.name,
        subject=view.subject,
        cause_id=notification.alert_id,
        headers=[*_unsubscribe_headers(notification, settings), ("X-Streambank-Alert-Id", view.alert_id)],
        template="alert",
        view=view,
    )
    return compose(letter, settings, date_ms)


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
    alert, locale = notification.alert, locale_of(notification.locale)
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
        entry_time=moment(entry.occurred_at, notification.timezone, locale),
        counterparty=safe_text(entry.counterparty or ""),
        remittance=safe_text(entry.remittance or ""),
        kind=safe_text(entry.kind or ""),
        is_total=is_total,
        currency=currency.value,
        sender_name=safe_text(settings.sender_name),
        settings_url=settings.settings_url,
        alert_id=safe_text(notification.alert_id, hide_numbers=False),
    )


def _account(alert: AlertRaised) -> str:
    name = safe_text(alert.account_name or "") or "Account"
    last4 = re.sub(r"[^0-9A-Za-z]", "", alert.account_number_last4 or "")[-4:]
    return f"{name} ••{last4}" if last4 else name


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
