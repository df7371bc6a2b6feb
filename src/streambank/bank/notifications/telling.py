"""A notice in words: in its reader's language, with their formats, of facts that are opened for them. Pure.

The texts are data (:mod:`.texts`). What comes from elsewhere is put into them as one line of visible text, and never
read as anything else.
"""

import re
from dataclasses import dataclass, field

import structlog
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from streambank.bank.events import AlertRaised, Currency, Scope, to_decimal
from streambank.bank.notifications.errors import KeyMissingError
from streambank.bank.notifications.facts import (
    AlertFacts,
    Facts,
    GoalFacts,
    PaymentFacts,
    SecurityFacts,
    WebhookFacts,
)
from streambank.bank.notifications.message import locale_of, moment, safe_text
from streambank.bank.notifications.texts import Texts, language_of, texts_in
from streambank.bank.notifications.unsealing import Open
from streambank.clock import to_datetime

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Table:
    """Facts beside their labels, under a caption."""

    caption: str
    rows: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice in words. ``title`` says it all in a line; ``tables`` and ``closing`` are for those who read on."""

    language: str
    title: str
    text: str
    tables: list[Table] = field(default_factory=list)
    closing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom it is put into words: their locale and time zone, and what opens the facts."""

    locale: str
    timezone: str
    open: Open

    @property
    def texts(self) -> Texts:
        """The texts in their language, or else in English."""
        return texts_in(self.language)

    @property
    def language(self) -> str:
        """Of the texts, which may not be in theirs."""
        return language_of(locale_of(self.locale).language)

    @property
    def formats(self) -> Locale:
        """How they write numbers and dates; that is theirs, whatever language the texts are in."""
        return locale_of(self.locale)


def tell(facts: Facts, occurred_at: int, reader: Reader) -> Telling:
    """The notice in words. ``occurred_at`` is in ms since the epoch.

    Raises:
        KeyMissingError: something is sealed, and there is no key for it.
    """
    match facts:
        case AlertFacts():
            return _alert(facts, reader)
        case GoalFacts():
            return _goal(facts, reader)
        case PaymentFacts():
            return _payment(facts, occurred_at, reader)
        case SecurityFacts():
            return _security(facts, occurred_at, reader)
        case WebhookFacts():
            return _filled(facts, reader, {"host": safe_text(facts.host, hide_numbers=False)})


def tell_somehow(facts: Facts, occurred_at: int, reader: Reader) -> Telling:
    """The notice among others: whatever is odd about it, it must not take them with it. Raises KeyMissingError as
    :func:`tell` does."""
    try:
        return tell(facts, occurred_at, reader)
    except KeyMissingError:
        raise
    except Exception as error:
        # The text of what was raised may hold what is personal.
        logger.error("a notice cannot be put into words", told=facts.told, error=type(error).__name__)
        return Telling(reader.language, reader.texts.categories.get(facts.category, facts.category), "")


def money(minor: int, currency: Currency, locale: Locale, *, sign: bool = False) -> str:
    """An amount in the locale's digits and grouping, with as many decimals as ISO 4217 gives the currency."""
    digits = currency.exponent or 0
    whole = locale.decimal_formats[None].pattern.partition(".")[0]
    pattern = f"{whole}.{'0' * digits}" if digits else whole
    amount = format_decimal(to_decimal(minor, currency), format=pattern, locale=locale)
    return f"{'+' if sign and minor > 0 else ''}{amount} {currency.value}"


def _alert(facts: AlertFacts, reader: Reader) -> Telling:
    alert, entry, formats, labels = facts.alert, facts.alert.entry, reader.formats, reader.texts.labels
    account = _account(alert, reader)
    is_total = alert.scope is Scope.TOTAL
    what = reader.texts.total.format(currency=alert.currency.value) if is_total else account
    now, before, level = (
        money(minor, alert.currency, formats)
        for minor in (alert.after_minor, alert.before_minor, alert.threshold.level_minor)
    )
    balance = Table(
        labels.balance,
        [(labels.balance_now, now), (labels.balance_before, before), (labels.threshold, level)],
    )
    amount = money(entry.signed_minor, alert.currency, formats, sign=True)
    happened = Table(
        labels.what_happened,
        _rows(
            (labels.money_in if entry.signed_minor >= 0 else labels.money_out, amount),
            (labels.counterparty, safe_text(reader.open("counterparty", entry.counterparty))),
            (labels.note, safe_text(reader.open("remittance", entry.remittance))),
            (labels.kind, safe_text(entry.kind or "")),
            (labels.booked_on, account),
            (labels.when, moment(entry.occurred_at, reader.timezone, formats)),
        ),
    )
    return _filled(facts, reader, {"what": what, "now": now, "threshold": level}, [balance, happened])


def _goal(facts: GoalFacts, reader: Reader) -> Telling:
    mark, formats, labels = facts.mark, reader.formats, reader.texts.labels
    target, amount = (money(minor, mark.currency, formats) for minor in (mark.target_minor, mark.amount_minor))
    name = safe_text(reader.open("name", mark.name)) or reader.texts.goal
    period = ""
    if mark.period_start is not None and mark.period_end is not None:
        period = f"{format_date(mark.period_start, locale=formats)} – {format_date(mark.period_end, locale=formats)}"
    rows = _rows((labels.amount_now, amount), (labels.target, target), (labels.period, period))
    values = {"name": name, "mark": str(mark.mark), "amount": amount, "target": target}
    return _filled(facts, reader, values, [Table(name, rows)])


def _payment(facts: PaymentFacts, occurred_at: int, reader: Reader) -> Telling:
    texts, labels = reader.texts, reader.texts.labels
    amount = money(facts.amount_minor, facts.currency, reader.formats)
    other = safe_text(reader.open("other_name", facts.other_name)) or texts.somebody
    code = safe_text(facts.reason or "")
    reason = texts.reasons.get(code, code) or texts.reasons["unknown"]
    rows = _rows(
        (labels.amount, amount),
        (labels.other, other),
        (labels.note, safe_text(reader.open("remittance", facts.remittance))),
        (labels.when, moment(to_datetime(occurred_at), reader.timezone, reader.formats)),
        (labels.reference, safe_text(facts.transfer_id or facts.request_id or "", hide_numbers=False)),
    )
    values = {"amount": amount, "other": other, "reason": reason}
    return _filled(facts, reader, values, [Table(labels.payment, rows)])


def _security(facts: SecurityFacts, occurred_at: int, reader: Reader) -> Telling:
    mail = reader.texts.mails[facts.kind]
    when = moment(to_datetime(occurred_at), reader.timezone, locale_of(reader.language))
    paragraphs = (*mail.paragraphs, *mail.closing)
    return Telling(reader.language, mail.subject, " ".join(paragraphs).format(when=when))


def _filled(facts: Facts, reader: Reader, values: dict[str, str], tables: list[Table] | None = None) -> Telling:
    said = reader.texts.told[facts.told]
    return Telling(
        language=reader.language,
        title=said.title.format(**values),
        text=said.text.format(**values),
        tables=tables or [],
        closing=tuple(paragraph.format(**values) for paragraph in said.closing),
    )


def _account(alert: AlertRaised, reader: Reader) -> str:
    name = safe_text(reader.open("account_name", alert.account_name)) or reader.texts.account
    last4 = re.sub(r"[^0-9A-Za-z]", "", alert.account_number_last4 or "")[-4:]
    return f"{name} ••{last4}" if last4 else name


def _rows(*rows: tuple[str, str]) -> list[tuple[str, str]]:
    return [(label, value) for label, value in rows if value]
