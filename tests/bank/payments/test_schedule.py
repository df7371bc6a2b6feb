from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from streambank.bank.payments.schedule import Schedule, begins_ms
from streambank.clock import to_datetime


def days(schedule: Schedule, many: int = 6) -> list[str]:
    found = [schedule.occurrence(number) for number in range(many)]
    return [on.isoformat() for on in found if on is not None]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Schedule("once", date(2026, 2, 28)), ["2026-02-28"]),
        (Schedule("week", date(2026, 12, 22), count=3), ["2026-12-22", "2026-12-29", "2027-01-05"]),
        (Schedule("week", date(2026, 12, 22), until=date(2026, 12, 29)), ["2026-12-22", "2026-12-29"]),
        # The 31st, in months without one; and in a leap year.
        (
            Schedule("month", date(2026, 12, 31)),
            ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"],
        ),
        (Schedule("month", date(2028, 1, 30), count=3), ["2028-01-30", "2028-02-29", "2028-03-30"]),
        # A day of the month that is over when the order begins.
        (Schedule("month", date(2026, 1, 15), 1, count=3), ["2026-02-01", "2026-03-01", "2026-04-01"]),
        (Schedule("month", date(2026, 1, 15), 20, count=3), ["2026-01-20", "2026-02-20", "2026-03-20"]),
        (Schedule("month", date(2026, 2, 28), 31, count=3), ["2026-02-28", "2026-03-31", "2026-04-30"]),
        (Schedule("month", date(2026, 12, 15), 1, count=1), ["2027-01-01"]),
        (Schedule("month", date(2199, 11, 30)), ["2199-11-30", "2199-12-30"]),
        (Schedule("week", date(2199, 12, 20)), ["2199-12-20", "2199-12-27"]),
    ],
)
def test_days(schedule: Schedule, expected: list[str]) -> None:
    assert days(schedule) == expected


def test_there_is_nothing_before_the_first() -> None:
    assert Schedule("week", date(2026, 1, 1)).occurrence(-1) is None


@pytest.mark.parametrize(
    ("on", "zone", "expected"),
    [
        (date(2026, 1, 1), "UTC", "2026-01-01T00:00"),
        (date(2026, 1, 1), "Europe/Prague", "2025-12-31T23:00"),
        (date(2026, 7, 1), "Europe/Prague", "2026-06-30T22:00"),
        # Clocks go forward and back in the night to these days, after midnight.
        (date(2026, 3, 29), "Europe/Prague", "2026-03-28T23:00"),
        (date(2026, 10, 25), "Europe/Prague", "2026-10-24T22:00"),
        (date(2026, 10, 26), "Europe/Prague", "2026-10-25T23:00"),
        # At midnight itself: there is no 00:00 in Cairo on 24 April 2026, and the day begins at 01:00.
        (date(2026, 4, 24), "Africa/Cairo", "2026-04-23T22:00"),
        # There are two in Beirut's autumn: the clocks go back at midnight, to 23:00 of the day before.
        (date(2026, 10, 25), "Asia/Beirut", "2026-10-24T22:00"),
        (date(2026, 1, 1), "Pacific/Kiritimati", "2025-12-31T10:00"),
    ],
)
def test_a_day_begins_where_the_user_is(on: date, zone: str, expected: str) -> None:
    began = to_datetime(begins_ms(on, ZoneInfo(zone)))
    assert began == datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert began.astimezone(ZoneInfo(zone)).date() == on
