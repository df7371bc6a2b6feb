"""Days and periods in a user's own time zone."""

from datetime import date, datetime, time, timedelta, tzinfo

from streambank.bank.events import Period

DAY = timedelta(days=1)
_MIDNIGHT = time()


def local_day(occurred_at: datetime, booking_date: date, zone: tzinfo) -> date:
    """The day on which an entry counts: where the user was when it happened, the calendar showed this.

    Where only a day is known, ``occurred_at`` is its midnight UTC, and the day is the bank's own.
    """
    if occurred_at.time() == _MIDNIGHT and occurred_at.date() == booking_date:
        return booking_date
    return occurred_at.astimezone(zone).date()


def start_of(period: Period, day: date) -> date:
    """The first day of the period that the day is in. A week begins on Monday (ISO 8601)."""
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    if period is Period.MONTH:
        return day.replace(day=1)
    return day.replace(month=1, day=1)


def next_start(period: Period, start: date) -> date:
    """The first day of the period after the one that begins at ``start``."""
    if period is Period.WEEK:
        return start + 7 * DAY
    if period is Period.MONTH:
        return next_month(start)
    return start.replace(year=start.year + 1)


def next_month(day: date) -> date:
    """The first day of the month after the day's."""
    return (day.replace(day=1) + 31 * DAY).replace(day=1)
