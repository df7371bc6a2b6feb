"""Days and periods, as tables."""

from datetime import UTC, date, datetime

import pytest

from streambank.bank.events import Period
from streambank.bank.topologies.periods import local_day, next_month, next_start, start_of
from streambank.bank.zones import zone_of


@pytest.mark.parametrize(
    ("occurred_at", "booking_date", "zone", "day"),
    [
        # What happened at 20:00 on the 31st in New York is of January there, though not at the bank.
        ("2026-02-01T01:00", "2026-02-01", "America/New_York", "2026-01-31"),
        ("2026-02-01T01:00", "2026-02-01", "UTC", "2026-02-01"),
        ("2026-01-31T23:30", "2026-01-31", "Europe/Prague", "2026-02-01"),
        ("2026-01-31T23:30", "2026-01-30", "Europe/Prague", "2026-02-01"),
        # Only the day is known: it is the bank's, wherever the user is.
        ("2026-02-01T00:00", "2026-02-01", "America/New_York", "2026-02-01"),
        ("2026-02-01T00:00", "2026-02-01", "Pacific/Auckland", "2026-02-01"),
        # Midnight in Greenwich, but booked on another day: a moment like any other.
        ("2026-02-01T00:00", "2026-02-02", "America/New_York", "2026-01-31"),
        # The night in which clocks go forward, and the one in which they go back.
        ("2026-03-28T23:30", "2026-03-28", "Europe/Prague", "2026-03-29"),
        ("2026-10-25T22:30", "2026-10-25", "Europe/Prague", "2026-10-25"),
        ("2026-10-25T23:30", "2026-10-25", "Europe/Prague", "2026-10-26"),
    ],
)
def test_local_days(occurred_at: str, booking_date: str, zone: str, day: str) -> None:
    moment = datetime.fromisoformat(occurred_at).replace(tzinfo=UTC)
    assert local_day(moment, date.fromisoformat(booking_date), zone_of(zone)) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("period", "day", "start", "following"),
    [
        (Period.WEEK, "2026-03-01", "2026-02-23", "2026-03-02"),
        (Period.WEEK, "2026-03-02", "2026-03-02", "2026-03-09"),
        (Period.WEEK, "2027-01-01", "2026-12-28", "2027-01-04"),
        (Period.MONTH, "2028-02-29", "2028-02-01", "2028-03-01"),
        (Period.MONTH, "2026-12-31", "2026-12-01", "2027-01-01"),
        (Period.MONTH, "2026-01-31", "2026-01-01", "2026-02-01"),
        (Period.YEAR, "2028-02-29", "2028-01-01", "2029-01-01"),
        (Period.YEAR, "2026-12-31", "2026-01-01", "2027-01-01"),
    ],
)
def test_periods(period: Period, day: str, start: str, following: str) -> None:
    first = start_of(period, date.fromisoformat(day))
    assert (first.isoformat(), next_start(period, first).isoformat()) == (start, following)
    assert start_of(period, first) == first


@pytest.mark.parametrize(("day", "following"), [("2026-01-31", "2026-02-01"), ("2026-12-01", "2027-01-01")])
def test_next_months(day: str, following: str) -> None:
    assert next_month(date.fromisoformat(day)).isoformat() == following


@pytest.mark.parametrize("name", ["Europe", "no/such", "", "../../etc/passwd"])
def test_an_unknown_zone_is_utc(name: str) -> None:
    assert zone_of(name).key == "UTC"
