"""What is told of an entry: one shape for the API, for lines of a batch, and for files."""

from datetime import date, datetime
from hashlib import blake2b
from typing import Annotated, TypeAlias

import msgspec
from iso4217 import Currency

from streambank.bank.events import CreditDebit, EntryStatus, MoneyError, Origin, parse_currency
from streambank.bank.events.money import INT64_MAX
from streambank.service.http.problems import Problem, unprocessable

FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Booking dates beyond these are slips of a parser or of a finger."""

TAGS_MAX = 20
TAG_CHARACTERS_MAX = 64
COUNTERPARTY_CHARACTERS_MAX = 140
REMITTANCE_CHARACTERS_MAX = 1_000
NOTES_CHARACTERS_MAX = 2_000
"""ISO 20022 has 140 characters for a name and for each line of remittance; notes are for people to read."""

Counterparty: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=COUNTERPARTY_CHARACTERS_MAX)]
Remittance: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=REMITTANCE_CHARACTERS_MAX)]
Notes: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTES_CHARACTERS_MAX)]
Tag: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=TAG_CHARACTERS_MAX)]
Code: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=35)]
ExternalId: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


# An attribute of an enumeration takes several times as long to look up as a name of this module.
_CREDIT, _PENDING = CreditDebit.CREDIT, EntryStatus.PENDING

_NO_MINOR_UNIT = frozenset(currency.value for currency in Currency if currency.exponent is None)


class Money(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An amount above zero in minor units, and its currency."""

    amount_minor: Annotated[int, msgspec.Meta(gt=0, le=INT64_MAX)]
    currency: Currency


class NewEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """An entry that is to be recorded.

    An entry of an import may leave ``account_id`` out. ``external_id`` is what it is called where it comes from, unique
    within its account. Without ``occurred_at`` it happened now if its booking date is today, else when that day began,
    UTC. ``expires_at`` is for pending entries.
    """

    account_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    credit_debit: CreditDebit
    amount: Money
    booking_date: date
    status: EntryStatus = EntryStatus.BOOKED
    origin: Origin = Origin.LIVE
    external_id: ExternalId | None = None
    value_date: date | None = None
    occurred_at: Moment | None = None
    expires_at: Moment | None = None
    kind: Code | None = None
    counterparty: Counterparty | None = None
    counterparty_account: Counterparty | None = None
    end_to_end_id: Code | None = None
    remittance: Remittance | None = None
    notes: Notes | None = None
    category_id: Annotated[str, msgspec.Meta(max_length=36)] | None = None
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=TAGS_MAX)] = ()

    @property
    def signed_minor(self) -> int:
        """The amount as it changes the balance: negative for a debit."""
        minor = self.amount.amount_minor
        return minor if self.credit_debit is _CREDIT else -minor


_encode = msgspec.json.Encoder(order="deterministic").encode


def content_hash(entry: NewEntry) -> bytes:
    """Equal for entries of which the same is told."""
    return blake2b(_encode(entry), digest_size=16).digest()


def check_entry(entry: NewEntry) -> None:
    """Raise a problem that names the field, for what the types let through."""
    if not FIRST_YEAR <= entry.booking_date.year <= LAST_YEAR:
        raise unprocessable("/booking_date", f"the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
    if entry.value_date is not None and not FIRST_YEAR <= entry.value_date.year <= LAST_YEAR:
        raise unprocessable("/value_date", f"the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
    if entry.occurred_at is not None and not FIRST_YEAR <= entry.occurred_at.year <= LAST_YEAR:
        raise unprocessable("/occurred_at", f"the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
    if entry.expires_at is not None:
        if entry.status is not _PENDING:
            raise unprocessable("/expires_at", "only a pending entry expires")
        if not FIRST_YEAR <= entry.expires_at.year <= LAST_YEAR:
            raise unprocessable("/expires_at", f"the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
    if entry.amount.currency.value in _NO_MINOR_UNIT:
        raise unprocessable("/amount/currency", f"{entry.amount.currency.value} has no minor unit")
    # All at once, since nearly none has one.
    if "\0" in (
        f"{entry.external_id}{entry.kind}{entry.counterparty}{entry.counterparty_account}{entry.end_to_end_id}"
        f"{entry.remittance}{entry.notes}"
    ):
        raise _has_nul(entry)
    if entry.tags:
        _check_tags(entry)


def _has_nul(entry: NewEntry) -> Problem:
    # PostgreSQL stores none.
    name = next(name for name in _TEXTS if "\0" in (getattr(entry, name) or ""))
    return unprocessable(f"/{name}", "a NUL character is not text")


def _check_tags(entry: NewEntry) -> None:
    for i, tag in enumerate(entry.tags):
        if "\0" in tag or tag != tag.strip():
            raise unprocessable(f"/tags/{i}", "a tag has no NUL and no spaces around it")
    if len(set(entry.tags)) != len(entry.tags):
        raise unprocessable("/tags", "a tag is there twice")


_TEXTS = (
    "external_id",
    "kind",
    "counterparty",
    "counterparty_account",
    "end_to_end_id",
    "remittance",
    "notes",
)


def currency_of(code: str, pointer: str = "/currency") -> Currency:
    """The currency of an ISO 4217 code. Raises a problem about the field ``pointer``."""
    try:
        return parse_currency(code)
    except MoneyError as error:
        raise unprocessable(pointer, str(error)) from None


def out_of_range(pointer: str = "/amount/amount_minor") -> Problem:
    """The problem of a balance that 64 bits would not hold."""
    return unprocessable(pointer, "the balance would go beyond 64 bits", "amount-out-of-range")
