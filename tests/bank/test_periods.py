"""Periods, as tables."""

from datetime import date

import pytest

from streambank.bank.events import Period
from streambank.bank.periods import next_month, next_start, number_of, period_of, start_of
from streambank.bank.zones import zone_of


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


@pytest.mark.parametrize("period", Period)
def test_numbers_of_periods_follow_each_other(period: Period) -> None:
    first, last = period_of(period, date(2026, 12, 30))
    after = period_of(period, date.fromordinal(last.toordinal() + 1))
    assert number_of(period, first) == number_of(period, last)
    assert number_of(period, after[0]) == number_of(period, last) + 1
    assert number_of(period, after[1]) == number_of(period, after[0])
