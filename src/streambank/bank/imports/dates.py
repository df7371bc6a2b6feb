"""Dates and times as people and banks write them."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal, TypeAlias

from babel.dates import get_month_names

from streambank.bank.imports.errors import ValueProblem

DateStyle: TypeAlias = Literal["ymd", "dmy", "mdy"]
STYLES: tuple[DateStyle, ...] = ("ymd", "dmy", "mdy")
STYLE_NAMES: dict[DateStyle, str] = {"ymd": "year-month-day", "dmy": "day-month-year", "mdy": "month-day-year"}

LANGUAGES = ("en", "cs", "de", "fr", "es", "pl", "it", "nl", "sk", "pt")
EARLIEST = date(1970, 1, 1)
"""The log counts time from here, so nothing before it can be a record."""

LATEST = date(9999, 12, 30)
"""A day later, some time zones are beyond what a date can say."""

_NUMERIC = re.compile(r"(\d{1,4})\s?([./\-])\s?(\d{1,2})\s?\2\s?(\d{1,4})(?!\d)")
_COMPACT = re.compile(r"(\d{8})(?!\d)")
_DAY_NAMED = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[.\-/\s]*([^\W\d_]{3,}\.?)[.\-/,\s]*(\d{4}|\d{2})(?!\d)")
_NAMED_DAY = re.compile(r"([^\W\d_]{3,}\.?)\s*(\d{1,2})(?:st|nd|rd|th)?\s*,?\s+(\d{4})(?!\d)")
_TIME = re.compile(
    r"[T,\s]*(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,]\d{1,9})?)?\s*([AaPp][Mm])?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_PIVOT = 70


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, with a time of day where the cell has one; a time without an offset is naive."""

    day: date
    at: datetime | None

    def millis(self, zone: tzinfo = UTC) -> int:
        """Milliseconds since the epoch; a bare date is midnight UTC, a naive time is one of ``zone``."""
        if self.at is None:
            return (self.day.toordinal() - _EPOCH) * 86_400_000
        at = self.at if self.at.tzinfo is not None else self.at.replace(tzinfo=zone)
        return round(at.timestamp() * 1000)


_EPOCH = EARLIEST.toordinal()


@lru_cache(maxsize=16_384)
def parse_date(text: str, style: DateStyle) -> Moment:
    """The date in a cell, read in the given order of day, month and year.

    A four-digit year in front is always year-month-day and a month's name always names the month (English, Czech,
    German, French, Spanish and others), whatever the style. Two-digit years 70 to 99 are 19xx, the others 20xx.

    Raises:
        ValueProblem: not a date in that order, or one before 1970.
    """
    stripped = text.strip()
    if not stripped:
        raise ValueProblem("date", "is empty")
    parts = _split(stripped, style)
    if parts is None:
        raise ValueProblem("date", f"{text!r} is not a date")
    year, month, day, rest = parts
    try:
        found = date(year, month, day)
    except ValueError:
        raise ValueProblem("date", f"{text!r} is not a date in {STYLE_NAMES[style]} order") from None
    if found < EARLIEST:
        raise ValueProblem("date", f"{text!r} is before 1970-01-01, the earliest day that can be stored")
    if found > LATEST:
        raise ValueProblem("date", f"{text!r} is after {LATEST}, the latest day that can be stored")
    return Moment(found, _time_of_day(text, found, rest))


def _split(text: str, style: DateStyle) -> tuple[int, int, int, str] | None:
    if match := _NUMERIC.match(text):
        first, second, third = match[1], match[3], match[4]
        order: DateStyle = "ymd" if len(first) >= 3 else style
        if order == "ymd":
            year, month, day = first, second, third
        elif order == "dmy":
            day, month, year = first, second, third
        else:
            month, day, year = first, second, third
        if len(year) not in (2, 4) or len(day) > 2 or len(month) > 2:
            return None
        return _year(year), int(month), int(day), text[match.end() :]
    if match := _COMPACT.match(text):
        digits = match[1]
        cuts = {"ymd": (0, 4, 6), "dmy": (4, 2, 0), "mdy": (4, 0, 2)}[style]
        year_at, month_at, day_at = cuts
        return (
            int(digits[year_at : year_at + 4]),
            int(digits[month_at : month_at + 2]),
            int(digits[day_at : day_at + 2]),
            text[match.end() :],
        )
    if (match := _DAY_NAMED.match(text)) and (month_number := month_named(match[2])):
        return _year(match[3]), month_number, int(match[1]), text[match.end() :]
    if (match := _NAMED_DAY.match(text)) and (month_number := month_named(match[1])):
        return _year(match[3]), month_number, int(match[2]), text[match.end() :]
    return None


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:
        return year
    return year + (1900 if year >= _PIVOT else 2000)


def _time_of_day(text: str, day: date, rest: str) -> datetime | None:
    if not rest.strip():
        return None
    match = _TIME.fullmatch(rest.rstrip())
    if match is None:
        raise ValueProblem("date", f"{text!r} has something after the date that is no time of day")
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4]:
        if not 1 <= hour <= 12:
            raise ValueProblem("date", f"{text!r} has no such hour")
        hour = hour % 12 + (12 if match[4].lower() == "pm" else 0)
    try:
        at = datetime.combine(day, time(hour, minute, min(second, 59)))
        if match[5]:
            return at.replace(tzinfo=_offset(match[5]))
    except ValueError:
        raise ValueProblem("date", f"{text!r} has no such time of day") from None
    return at


def _offset(text: str) -> tzinfo:
    if text in ("Z", "UTC", "GMT"):
        return UTC
    digits = text[1:].replace(":", "")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-delta if text[0] == "-" else delta)


def month_named(name: str) -> int | None:
    """The month, 1 to 12, of a name or its abbreviation in any of :data:`LANGUAGES`."""
    return _month_names().get(plain_letters(name))


@lru_cache(maxsize=1)
def _month_names() -> dict[str, int]:
    names: dict[str, int] = {}
    for language in LANGUAGES:
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for number, name in get_month_names(width, context, locale=language).items():
                    plain = plain_letters(name)
                    names.setdefault(plain, int(number))
                    if len(plain) > 3 and language == "en":
                        names.setdefault(plain[:3], int(number))
    return names


def plain_letters(text: str) -> str:
    """Lower-case letters without accents and dots: how names are compared."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if char.isalpha())


def readings(text: str) -> dict[DateStyle, Moment]:
    """Every style in which the cell is a date, and the date in it."""
    found: dict[DateStyle, Moment] = {}
    for style in STYLES:
        try:
            found[style] = parse_date(text, style)
        except ValueProblem:
            continue
    return found


def looks_like_date(text: str) -> bool:
    """Whether the cell is a date in some style."""
    return bool(readings(text))


class StyleEvidence:
    """Collects, over a whole column, in which order its dates have day, month and year, and how its rows are sorted."""

    def __init__(self) -> None:
        self.seen = 0
        self.valid: Counter[DateStyle] = Counter()
        self.only: dict[DateStyle, str] = {}
        self.dotted = 0
        self.rising: Counter[DateStyle] = Counter()
        self.falling: Counter[DateStyle] = Counter()
        self.unsorted: set[DateStyle] = set()
        self._cache: dict[str, dict[DateStyle, int]] = {}
        self._last: dict[str, dict[DateStyle, int]] = {}
        self._overall: dict[DateStyle, int] = {}

    def add(self, text: str, account: str = "") -> None:
        """Look at the date cell of one row of an account; what is no date is passed over."""
        found = self._cache.get(text)
        if found is None:
            found = {style: moment.millis() for style, moment in readings(text).items()}
            if len(self._cache) < 50_000:
                self._cache[text] = found
            if len(found) == 1:
                self.only.setdefault(next(iter(found)), text.strip())
        if not found:
            return
        self.seen += 1
        self.dotted += "." in text
        last = self._last.get(account)
        for style, moment in found.items():
            self.valid[style] += 1
            if moment < self._overall.get(style, moment):
                self.unsorted.add(style)
            if last is not None and (before := last.get(style)) is not None and before != moment:
                (self.rising if moment > before else self.falling)[style] += 1
        self._overall = found
        self._last[account] = found
