from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from streambank.bank.events import Period
from streambank.bank.personalization.periods import day_of, number_of, period_of, zone_of
from streambank.clock import to_millis

D = date.fromisoformat

PERIODS = [
    (Period.WEEK, "2026-11-30", "2026-11-30", "2026-12-06"),
    (Period.WEEK, "2026-12-06", "2026-11-30", "2026-12-06"),
    (Period.WEEK, "2027-01-01", "2026-12-28", "2027-01-03"),
    (Period.MONTH, "2028-02-29", "2028-02-01", "2028-02-29"),
    (Period.MONTH, "2026-12-31", "2026-12-01", "2026-12-31"),
    (Period.YEAR, "2026-07-01", "2026-01-01", "2026-12-31"),
]


@pytest.mark.parametrize(("period", "day", "first", "last"), PERIODS)
def test_the_period_of_a_day(period: Period, day: str, first: str, last: str) -> None:
    assert period_of(period, D(day)) == (D(first), D(last))


@pytest.mark.parametrize("period", Period)
def test_numbers_of_periods_follow_each_other(period: Period) -> None:
    first, last = period_of(period, D("2026-12-30"))
    after = period_of(period, date.fromordinal(last.toordinal() + 1))
    assert number_of(period, first) == number_of(period, last)
    assert number_of(period, after[0]) == number_of(period, last) + 1
    assert number_of(period, after[1]) == number_of(period, after[0])


@pytest.mark.parametrize(
    ("moment", "timezone", "day"),
    [
        ("2026-11-30T23:30:00Z", "UTC", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "Europe/Prague", "2026-12-01"),
        ("2026-12-01T02:30:00Z", "America/New_York", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "Nowhere/AtAll", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "../../etc/passwd", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "Europe", "2026-11-30"),
        ("2026-11-30T23:30:00Z", "", "2026-11-30"),
    ],
)
def test_a_day_is_one_of_the_users_time_zone(moment: str, timezone: str, day: str) -> None:
    assert day_of(to_millis(datetime.fromisoformat(moment)), timezone) == D(day)


def test_time_zones() -> None:
    assert zone_of("Europe/Prague") == ZoneInfo("Europe/Prague")
    assert zone_of("Europe") is UTC
