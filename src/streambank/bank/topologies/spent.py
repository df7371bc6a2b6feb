"""What was spent in one category, day by day of late and month by month before: enough for any plan that begins now.

                    day sums      |------ the month before ------|----- this month -----|-- up to a year ahead --|
    month sums  |-------- the year before --------|------- this year ------- ...

A plan may be made at any time, and has to count what was spent in its period before. Older days are forgotten, so that
the state of a user is bounded.
"""

from datetime import date

import msgspec

from streambank.bank.events.money import within_int64
from streambank.bank.periods import DAY, next_month

AHEAD_DAYS_MAX = 366
"""Entries dated further ahead are slips, and count nowhere."""


class Spent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Sums in minor units: by day (its proleptic ordinal), and by month (``12 * year + month``)."""

    days: dict[int, int] = {}
    months: dict[int, int] = {}


def is_kept(day: date, today: date) -> bool:
    """Whether what is spent on the day is of interest."""
    return _first_month(today) <= _month(day) and (day - today).days <= AHEAD_DAYS_MAX


def first_day(today: date) -> date:
    """From this day on every day's sum is there."""
    return (today.replace(day=1) - DAY).replace(day=1)


def first_of_months(today: date) -> date:
    """From this day on every month's sum is there."""
    return date(today.year - 1, 1, 1)


def add(spent: Spent, day: date, minor: int, today: date) -> Spent:
    """The sums with ``minor`` more on the day, which is kept; what is too old by now is left out.

    Raises:
        MoneyError: a sum beyond 64 bits.
    """
    first, first_month = first_day(today).toordinal(), _first_month(today)
    days = {at: sum_ for at, sum_ in spent.days.items() if at >= first}
    months = {at: sum_ for at, sum_ in spent.months.items() if at >= first_month}
    month = _month(day)
    months[month] = within_int64(months.get(month, 0) + minor)
    if (at := day.toordinal()) >= first:
        days[at] = within_int64(days.get(at, 0) + minor)
    return Spent(days, months)


def between(spent: Spent, first: date, last: date) -> int:
    """What was spent from ``first`` to ``last``, both included, as far as it is kept."""
    whole = range(_month(first if first.day == 1 else next_month(first)), _month(last + DAY))
    total = sum(minor for month, minor in spent.months.items() if month in whole)
    for at, minor in spent.days.items():
        day = date.fromordinal(at)
        if first <= day <= last and _month(day) not in whole:
            total += minor
    return total


def _month(day: date) -> int:
    return 12 * day.year + day.month


def _first_month(today: date) -> int:
    return 12 * (today.year - 1) + 1
