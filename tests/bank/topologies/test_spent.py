"""Sums by day and by month, against a list of what was spent."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.events import MoneyError, Period
from streambank.bank.events.money import INT64_MAX
from streambank.bank.periods import DAY, next_start, start_of
from streambank.bank.topologies.spent import AHEAD_DAYS_MAX, Spent, add, between, first_day, first_of_months, is_kept

TODAY = date(2026, 3, 17)


def spent_on(*days: tuple[str, int], today: date = TODAY) -> Spent:
    spent = Spent()
    for day, minor in days:
        spent = add(spent, date.fromisoformat(day), minor, today)
    return spent


@pytest.mark.parametrize(
    ("first", "last", "total"),
    [
        ("2026-03-01", "2026-03-31", 12),
        ("2026-03-03", "2026-03-31", 8),
        ("2026-02-23", "2026-03-01", 3 + 4),
        ("2026-02-01", "2026-02-28", 3),
        ("2026-01-01", "2026-12-31", 12 + 3 + 2),
        ("2025-01-01", "2025-12-31", 1),
        # Of January and December the days are no longer known: they count where they are whole.
        ("2026-01-15", "2026-03-31", 12 + 3),
        ("2026-01-01", "2026-03-15", 2 + 3 + 4),
        ("2025-12-31", "2026-02-28", 2 + 3),
    ],
)
def test_what_was_spent(first: str, last: str, total: int) -> None:
    days = (("2025-12-31", 1), ("2026-01-31", 2), ("2026-02-28", 3), ("2026-03-01", 4), ("2026-03-31", 8))
    assert between(spent_on(*days), date.fromisoformat(first), date.fromisoformat(last)) == total


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        (date(2024, 12, 31), False),
        (date(2025, 1, 1), True),
        (TODAY + AHEAD_DAYS_MAX * DAY, True),
        (TODAY + (AHEAD_DAYS_MAX + 1) * DAY, False),
    ],
)
def test_what_is_kept(day: date, kept: bool) -> None:
    assert is_kept(day, TODAY) is kept


def test_what_is_old_is_left_out() -> None:
    spent = spent_on(*(((date(2024, 6, 1) + n * DAY).isoformat(), 1) for n in range(900)), today=date(2024, 12, 1))
    later = add(spent, TODAY, 1, TODAY)
    assert min(later.days) == first_day(TODAY).toordinal() == date(2026, 2, 1).toordinal()
    assert min(later.months) == 12 * 2025 + 1
    assert first_of_months(TODAY) == date(2025, 1, 1)


def test_a_sum_beyond_64_bits_is_refused() -> None:
    with pytest.raises(MoneyError):
        spent_on(("2026-03-01", INT64_MAX), ("2026-03-01", 1))


@given(
    today=st.dates(date(2024, 1, 1), date(2028, 12, 31)),
    entries=st.lists(st.tuples(st.integers(-800, 360), st.integers(-50, 50)), max_size=30),
    period=st.sampled_from(Period),
    back=st.integers(0, 1),
)
def test_a_period_and_the_one_before_are_exact(
    today: date, entries: list[tuple[int, int]], period: Period, back: int
) -> None:
    spent, listed = Spent(), []
    for ahead, minor in entries:
        day = today + timedelta(days=ahead)
        if is_kept(day, today):
            spent = add(spent, day, minor, today)
            listed.append((day, minor))
    start = start_of(period, today)
    if back:
        start = start_of(period, start - DAY)
    end = next_start(period, start) - DAY
    assert between(spent, start, end) == sum(minor for day, minor in listed if start <= day <= end)
