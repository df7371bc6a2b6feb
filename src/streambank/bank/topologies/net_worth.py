"""net worth: what each day added to a user's total, in each currency.

balance.changed --booked, with the user's day--> by user, currency and day --sum--> net.worth.day
"""

from streambank.bank.events import NET_WORTH_DAY, NetWorthDay
from streambank.bank.events.money import within_int64
from streambank.bank.topologies.entries import Dated
from streambank.ids import derived_id
from streambank.streams import KStream


def add(entries: KStream[str, Dated]) -> KStream[str, NetWorthDay]:
    """Add the view; its changes."""
    days = entries.map_values(moved).group_by(day_of).reduce(both, name="net-worth-day")
    days.to_stream().to(NET_WORTH_DAY)
    return days.to_stream()


def moved(dated: Dated) -> NetWorthDay:
    """What an entry adds to its day. Everything counts: what was found, or moved from elsewhere, is there too."""
    change = dated.change
    return NetWorthDay(
        user_id=change.user_id,
        occurred_at=change.occurred_at,
        recorded_at=change.recorded_at,
        event_id=change.entry_id,
        figure_id=f"{change.user_id}:{change.currency.value}:{dated.day}",
        currency=change.currency,
        day=dated.day,
        change_minor=change.signed_minor,
    )


def day_of(_account_id: str, day: NetWorthDay) -> str:
    """The figure that an entry belongs to."""
    return day.figure_id


def both(sum_: NetWorthDay, more: NetWorthDay) -> NetWorthDay:
    """A day with a further entry."""
    return NetWorthDay(
        user_id=more.user_id,
        occurred_at=more.occurred_at,
        recorded_at=more.recorded_at,
        event_id=derived_id(more.figure_id, more.event_id),
        figure_id=more.figure_id,
        currency=more.currency,
        day=more.day,
        change_minor=within_int64(sum_.change_minor + more.change_minor),
    )
