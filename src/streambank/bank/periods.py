"""The periods of budgets, each from its first day to its last.

 week  Mon ------------- Sun            (ISO 8601)
month  1 ------------- 28..31
 year  January 1 ------------- December 31
"""

from datetime import date, timedelta

from streambank.bank.days import month_of
from streambank.bank.events import Period

DAY = timedelta(days=1)
_MONDAY = date(1, 1, 1)


def start_of(period: Period, day: date) -> date:
    """The first day of the period that a day lies in."""
    match period:
        case Period.WEEK:
            return day - timedelta(days=day.weekday())
        case Period.MONTH:
            return month_of(day)
        case Period.YEAR:
            return day.replace(month=1, day=1)


def next_start(period: Period, start: date) -> date:
    """The first day of the period after the one that begins at ``start``."""
    match period:
        case Period.WEEK:
            return start + 7 * DAY
        case Period.MONTH:
            return next_month(start)
        case Period.YEAR:
            return start.replace(year=start.year + 1)


def period_of(period: Period, day: date) -> tuple[date, date]:
    """The first and the last day of the period that a day lies in."""
    first = start_of(period, day)
    return first, next_start(period, first) - DAY


def next_month(day: date) -> date:
    """The first day of the month after the day's."""
    return month_of(month_of(day) + 31 * DAY)


def number_of(period: Period, day: date) -> int:
    """Periods of a kind, numbered in their order: those that follow each other differ by 1."""
    match period:
        case Period.WEEK:
            return (day - _MONDAY).days // 7
        case Period.MONTH:
            return day.year * 12 + day.month - 1
        case Period.YEAR:
            return day.year
