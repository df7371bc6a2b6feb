"""Days and periods in a user's own time zone.

 week  Mon ------------- Sun            (ISO 8601)
month  1 ------------- 28..31
 year  January 1 ------------- December 31
"""

from calendar import monthrange
from datetime import UTC, date, timedelta, tzinfo
from zoneinfo import ZoneInfo

from streambank.bank.events import Period
from streambank.clock import to_datetime

_MONDAY = date(1, 1, 1)


def zone_of(name: str) -> tzinfo:
    """The time zone of the IANA database with that name; UTC where this machine's does not know it."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return UTC


def day_of(moment_ms: int, timezone: str) -> date:
    """The day on which a moment lies for somebody there."""
    return to_datetime(moment_ms).astimezone(zone_of(timezone)).date()


def period_of(period: Period, day: date) -> tuple[date, date]:
    """The first and the last day of the period that a day lies in."""
    match period:
        case Period.WEEK:
            first = day - timedelta(days=day.weekday())
            return first, first + timedelta(days=6)
        case Period.MONTH:
            return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])
        case Period.YEAR:
            return day.replace(month=1, day=1), day.replace(month=12, day=31)


def number_of(period: Period, day: date) -> int:
    """Periods of a kind, numbered in their order: those that follow each other differ by 1."""
    match period:
        case Period.WEEK:
            return (day - _MONDAY).days // 7
        case Period.MONTH:
            return day.year * 12 + day.month - 1
        case Period.YEAR:
            return day.year
