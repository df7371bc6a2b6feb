"""Whose day it is: days and months are those of a user's own time zone."""

from calendar import monthrange
from datetime import UTC, date, datetime, time

from streambank.bank.zones import zone_of


def local_day(moment: datetime, zone_name: str) -> date:
    """The day that it is then where the user lives."""
    return moment.astimezone(zone_of(zone_name)).date()


def entry_day(occurred_at: datetime, booking_date: date, zone_name: str) -> date:
    """The day that an entry belongs to, as its owner reads the calendar.

    Where only the day is known, the ledger says that the entry happened as its booking date began, in UTC. Such an
    entry stays on that date: west of Greenwich it would come a day early otherwise.
    """
    if occurred_at == datetime.combine(booking_date, time(), UTC):
        return booking_date
    return local_day(occurred_at, zone_name)


def month_of(day: date) -> date:
    """The first day of the day's month."""
    return day.replace(day=1)


def add_months(day: date, months: int, *, day_of_month: int | None = None) -> date:
    """As many months later (or earlier), on that day of the month, or the last one that the month has.

    Raises:
        OverflowError: beyond the years that a date can have.
    """
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError(f"{months} months from {day} are beyond the calendar")
    return date(year, month0 + 1, min(day_of_month or day.day, monthrange(year, month0 + 1)[1]))


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])
