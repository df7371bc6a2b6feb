"""spending: what each day costs in each category and in all, by user and currency.

balance.changed   --booked, income or expense--------------\\
                                                            by user, currency, day and category --sum--> spending.day
entry.categorised --what leaves and enters each category---/
"""

from streambank.bank.events import SPENDING_DAY, SpendingDay
from streambank.bank.events.money import within_int64
from streambank.bank.spending import ALL
from streambank.bank.topologies.entries import Dated, DatedChange, Part, respent, spent
from streambank.ids import derived_id
from streambank.streams import KStream


def add(entries: KStream[str, Dated], changes: KStream[str, DatedChange]) -> KStream[str, SpendingDay]:
    """Add the view; its changes of categories."""
    parts = entries.flat_map_values(spent).merge(changes.flat_map_values(respent))
    days = parts.group_by(day_of).aggregate(nothing_spent, after, name="spending-day")
    days.to_stream().to(SPENDING_DAY)
    return days.to_stream().filter(is_of_category)


def day_of(_account_id: str, part: Part) -> str:
    """The figure that a part of an entry belongs to."""
    return f"{part.user_id}:{part.currency.value}:{part.day}:{part.category or ''}"


def is_of_category(_figure_id: str, day: SpendingDay) -> bool:
    """Whether it is of one category, or of what has none; not of all."""
    return day.category != ALL


def nothing_spent() -> None:
    """What a day has before its first entry."""


def after(figure_id: str, part: Part, day: SpendingDay | None) -> SpendingDay:
    """The day with a further part."""
    return SpendingDay(
        user_id=part.user_id,
        occurred_at=part.occurred_at,
        recorded_at=part.recorded_at,
        event_id=derived_id(figure_id, part.event_id),
        figure_id=figure_id,
        currency=part.currency,
        day=part.day,
        category=part.category,
        spent_minor=within_int64((day.spent_minor if day is not None else 0) + part.out_minor),
    )
