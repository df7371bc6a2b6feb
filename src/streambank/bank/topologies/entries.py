"""What is made of entries, as pure functions: whose day one belongs to, and what it counts for."""

from collections.abc import Iterator
from datetime import date

import msgspec
from iso4217 import Currency

from streambank.bank.days import entry_day
from streambank.bank.events import BalanceChanged, EntryCategorised, EntryStatus, UserProfile
from streambank.bank.events.money import Minor
from streambank.bank.events.types import Event
from streambank.bank.spending import ALL, MOVED_ABOUT, spent_in_all, spent_in_category


class Dated(msgspec.Struct, frozen=True, gc=False):
    """An entry, and the day it belongs to where its owner lives."""

    change: BalanceChanged
    day: date


class DatedChange(msgspec.Struct, frozen=True, gc=False):
    """Another choice of categories, and the day that its entry belongs to."""

    change: EntryCategorised
    day: date


class Part(Event, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What something adds to a figure. ``event_id`` names what it was."""

    event_id: str
    currency: Currency
    day: date
    in_minor: Minor = 0
    out_minor: Minor = 0
    category: str | None = None


def is_booked(_account_id: str, change: BalanceChanged) -> bool:
    """Whether the entry counts: what is pending is neither spent nor saved, and may never come."""
    return change.status is EntryStatus.BOOKED


def owner_of(_account_id: str, change: BalanceChanged | EntryCategorised) -> str:
    """Whose entry it is."""
    return change.user_id


def with_day(change: BalanceChanged, profile: UserProfile | None) -> Dated:
    """The entry with its day in the zone that the user has now; UTC for one without a profile."""
    return Dated(change, entry_day(change.occurred_at, change.booking_date, _zone(profile)))


def with_day_of_change(change: EntryCategorised, profile: UserProfile | None) -> DatedChange:
    """The same for another choice of categories."""
    return DatedChange(change, entry_day(change.occurred_at, change.booking_date, _zone(profile)))


def flow(dated: Dated) -> Iterator[Part]:
    """What an entry counts for as income or expense; nothing for one that only moves money.

    A reversal takes back on the side of what it reverses: a debit that is taken back is no income.
    """
    change = dated.change
    if change.kind in MOVED_ABOUT:
        return
    is_income = (change.signed_minor > 0) != (change.reverses_entry_id is not None)
    yield _part(
        change,
        change.entry_id,
        dated.day,
        in_minor=change.signed_minor if is_income else 0,
        out_minor=0 if is_income else -change.signed_minor,
    )


def spent(dated: Dated) -> Iterator[Part]:
    """What an entry costs in its category, and in all."""
    change = dated.change
    for category in (change.category, ALL):
        cost_minor = _cost(change, category, change.signed_minor)
        if cost_minor:
            yield _part(change, change.entry_id, dated.day, out_minor=cost_minor, category=category)


def respent(dated: DatedChange) -> Iterator[Part]:
    """What another choice of categories takes from the former ones, and adds to the new ones; all stays."""
    change = dated.change
    costs: dict[str | None, int] = {}
    for sign, parts in ((-1, change.before), (1, change.after)):
        for part in parts:
            cost_minor = sign * _cost(change, part.category, part.signed_minor)
            costs[part.category] = costs.get(part.category, 0) + cost_minor
    for category, cost_minor in costs.items():
        if cost_minor:
            yield _part(change, change.event_id, dated.day, out_minor=cost_minor, category=category)


def _cost(event: BalanceChanged | EntryCategorised, category: str | None, signed_minor: int) -> int:
    """What is in no category is like spending as a whole: what comes in may be a salary."""
    if category not in (None, ALL):
        return spent_in_category(signed_minor, event.kind)
    return spent_in_all(signed_minor, event.kind, is_reversal=event.reverses_entry_id is not None)


def _part(
    event: BalanceChanged | EntryCategorised,
    event_id: str,
    day: date,
    *,
    in_minor: int = 0,
    out_minor: int = 0,
    category: str | None = None,
) -> Part:
    return Part(
        user_id=event.user_id,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        event_id=event_id,
        currency=event.currency,
        day=day,
        in_minor=in_minor,
        out_minor=out_minor,
        category=category,
    )


def _zone(profile: UserProfile | None) -> str:
    return profile.timezone if profile is not None else "UTC"
