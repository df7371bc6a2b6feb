"""Whose day it is."""

from datetime import UTC, date, datetime

import pytest

from streambank.bank.days import add_months, entry_day, local_day, month_end, month_of


@pytest.mark.parametrize(
    ("moment", "booked", "zone", "expected"),
    [
        # Only the day is known: it stays, east and west.
        ("2026-03-01T00:00", "2026-03-01", "America/New_York", "2026-03-01"),
        ("2026-03-01T00:00", "2026-03-01", "Pacific/Auckland", "2026-03-01"),
        # The moment is known: it is the day where the user lives, whatever the bank's.
        ("2026-03-01T02:00", "2026-03-01", "America/New_York", "2026-02-28"),
        ("2026-03-01T20:00", "2026-03-01", "Pacific/Auckland", "2026-03-02"),
        ("2026-03-01T00:00", "2026-03-03", "America/New_York", "2026-02-28"),
        # Both sides of a change of the clocks.
        ("2026-03-28T23:30", "2026-03-29", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T22:30", "2026-03-29", "Europe/Berlin", "2026-03-30"),
        ("2026-01-31T23:30", "2026-01-30", "Europe/Prague", "2026-02-01"),
        ("2026-10-25T22:30", "2026-10-25", "Europe/Prague", "2026-10-25"),
        ("2026-10-25T23:30", "2026-10-25", "Europe/Prague", "2026-10-26"),
        ("2026-03-01T20:00", "2026-03-01", "Nowhere/At_All", "2026-03-01"),
        ("2026-03-01T20:00", "2026-03-01", "../../etc/passwd", "2026-03-01"),
        ("2026-03-01T20:00", "2026-03-01", "", "2026-03-01"),
    ],
)
def test_the_day_of_an_entry(moment: str, booked: str, zone: str, expected: str) -> None:
    occurred_at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert str(entry_day(occurred_at, date.fromisoformat(booked), zone)) == expected


def test_midnight_is_of_the_new_day() -> None:
    assert local_day(datetime(2026, 3, 1, 23, tzinfo=UTC), "Europe/Berlin") == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("day", "months", "day_of_month", "expected"),
    [
        ("2026-01-31", 1, None, "2026-02-28"),
        ("2028-01-31", 1, None, "2028-02-29"),
        ("2026-02-28", 1, 31, "2026-03-31"),
        ("2026-01-15", -1, None, "2025-12-15"),
        ("2026-11-30", 3, None, "2027-02-28"),
        ("2026-05-05", 0, None, "2026-05-05"),
    ],
)
def test_months_later(day: str, months: int, day_of_month: int | None, expected: str) -> None:
    assert str(add_months(date.fromisoformat(day), months, day_of_month=day_of_month)) == expected


@pytest.mark.parametrize(("day", "months"), [(date.max, 1), (date.min, -1)])
def test_the_calendar_has_an_end(day: date, months: int) -> None:
    with pytest.raises(OverflowError):
        add_months(day, months)


def test_a_month_from_its_first_day_to_its_last() -> None:
    assert (month_of(date(2028, 2, 10)), month_end(date(2028, 2, 10))) == (date(2028, 2, 1), date(2028, 2, 29))
