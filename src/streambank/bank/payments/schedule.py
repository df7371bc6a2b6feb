"""When a standing order is due: days in the payer's time zone, counted from its first one.

once:     starts_on
weekly:   starts_on, and every seventh day
monthly:  the day of the month, from the month of starts_on; in a month without that day, on its last one

             31 Jan     28 Feb     31 Mar     30 Apr          (day 31; 29 Feb in a leap year)
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from streambank.clock import to_millis

Every: TypeAlias = Literal["once", "week", "month"]

LAST_YEAR = 2199


@dataclass(frozen=True, slots=True)
class Schedule:
    """``day``: the day of the month, for ``month`` only. It ends after ``until``, or with ``count`` occurrences."""

    every: Every
    starts_on: date
    day: int | None = None
    until: date | None = None
    count: int | None = None

    def occurrence(self, number: int) -> date | None:
        """The day of the occurrence of that number, from 0; None: the order has ended before."""
        if number < 0 or (self.count is not None and number >= self.count):
            return None
        if self.every == "once":
            on = self.starts_on if number == 0 else None
        elif self.every == "week":
            on = _in_range(self.starts_on.toordinal() + 7 * number)
        else:
            on = self._in_month(number)
        return None if on is None or (self.until is not None and on > self.until) else on

    def _in_month(self, number: int) -> date | None:
        day = self.day or self.starts_on.day
        first = _day_of_month(self.starts_on.year, self.starts_on.month, day)
        # A day that is over in the first month is the next month's.
        skipped = 1 if first < self.starts_on else 0
        months = self.starts_on.year * 12 + self.starts_on.month - 1 + number + skipped
        year, month = divmod(months, 12)
        return None if year > LAST_YEAR else _day_of_month(year, month + 1, day)


def begins_ms(on: date, timezone: ZoneInfo) -> int:
    """When that day begins there, in ms since the epoch.

    Where clocks are put forward at midnight, that is the moment at which they are: there is no earlier one of the day.
    """
    return to_millis(datetime.combine(on, time(), timezone))


def _day_of_month(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _in_range(ordinal: int) -> date | None:
    return date.fromordinal(ordinal) if ordinal <= _LAST_ORDINAL else None


_LAST_ORDINAL = date(LAST_YEAR, 12, 31).toordinal()
