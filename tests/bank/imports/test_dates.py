from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.imports.dates import STYLES, DateStyle, parse_date, readings
from streambank.bank.imports.errors import ValueProblem

DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2069, 12, 31))


@pytest.mark.parametrize(
    ("text", "style", "day"),
    [
        ("2024-01-31", "dmy", date(2024, 1, 31)),
        ("31.1.2024", "dmy", date(2024, 1, 31)),
        ("31. 1. 2024", "dmy", date(2024, 1, 31)),
        ("1/2/24", "dmy", date(2024, 2, 1)),
        ("1/2/24", "mdy", date(2024, 1, 2)),
        ("24-02-01", "ymd", date(2024, 2, 1)),
        ("20240131", "ymd", date(2024, 1, 31)),
        ("31012024", "dmy", date(2024, 1, 31)),
        ("1-Jan-99", "mdy", date(1999, 1, 1)),
        ("Jan 5, 2024", "dmy", date(2024, 1, 5)),
        ("5. ledna 2024", "dmy", date(2024, 1, 5)),
        ("15 août 2023", "ymd", date(2023, 8, 15)),
        ("3 März 2020", "ymd", date(2020, 3, 3)),
        ("1st September 2023", "ymd", date(2023, 9, 1)),
    ],
)
def test_dates_as_banks_write_them(text: str, style: DateStyle, day: date) -> None:
    assert parse_date(text, style).day == day


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T12:33:05Z", datetime(2024, 1, 31, 12, 33, 5, tzinfo=UTC)),
        ("2024-01-31 12:33:05.123+02:00", datetime(2024, 1, 31, 10, 33, 5, tzinfo=UTC)),
        ("2024-01-31 12:33:05-0130", datetime(2024, 1, 31, 14, 3, 5, tzinfo=UTC)),
        ("2024-01-31 12:33", datetime(2024, 1, 31, 11, 33, tzinfo=UTC)),
        ("31/01/2024 1:05 PM", datetime(2024, 1, 31, 12, 5, tzinfo=UTC)),
        ("31/01/2024 12:05 am", datetime(2024, 1, 30, 23, 5, tzinfo=UTC)),
    ],
)
def test_a_bare_date_is_midnight_utc_and_a_naive_time_is_the_zones(text: str, moment: datetime) -> None:
    assert parse_date(text, "dmy").millis(ZoneInfo("Europe/Prague")) == moment.timestamp() * 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("hello", "is not a date"),
        ("31/02/2024", "day-month-year order"),
        ("1/2/2003/4", "no time of day"),
        ("1969-12-31", "before 1970-01-01"),
        ("0000-01-15", "not a date"),
        ("0026-01-15", "before 1970-01-01"),
        ("9999-12-31T23:00-05:00", "after 9999-12-30"),
        ("2024-01-31 25:00", "no such time"),
        ("12.50", "is not a date"),
    ],
)
def test_what_is_no_date_says_why(text: str, says: str) -> None:
    with pytest.raises(ValueProblem, match=says):
        parse_date(text, "dmy")


@given(DAYS, st.sampled_from(["/", ".", "-"]), st.sampled_from(STYLES), st.booleans())
def test_a_date_written_in_any_style_reads_back(day: date, mark: str, style: DateStyle, short: bool) -> None:
    # Of the two-digit years, 70 to 99 are of the last century and the others of this one.
    year = f"{day.year % 100:02d}" if short else f"{day.year}"
    parts = {"y": year, "m": f"{day.month:02d}", "d": f"{day.day:02d}"}
    assert parse_date(mark.join(parts[part] for part in style), style).day == day


@given(st.text(max_size=20))
def test_any_text_is_a_date_or_not(text: str) -> None:
    assert all(moment.day >= date(1970, 1, 1) for moment in readings(text).values())
