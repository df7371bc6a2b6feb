"""What recurs. Each case is a timeline of payments, DAY:MINOR, and what is found in it."""

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streambank.bank.events import Cadence
from streambank.bank.recurrence import Occurrence, Status, clusters, find, status


def payments(*told: str) -> list[Occurrence]:
    found = []
    for number, one in enumerate(told):
        day, minor = one.split(":")
        found.append(Occurrence(date.fromisoformat(day), int(minor), f"entry-{number}"))
    return found


def every(days: int, count: int, minor: int = 500, first: date = date(2026, 1, 5)) -> list[str]:
    return [f"{first + timedelta(days * n)}:{minor}" for n in range(count)]


def told(*occurrences: str) -> list[tuple[str, int, int, str]]:
    """The cadence, how many, the next amount and the next day of each that is found."""
    return [
        (one.cadence.value, one.count, one.next_minor, str(one.next_on)) for one in find("g", payments(*occurrences))
    ]


@pytest.mark.parametrize(
    ("occurrences", "expected"),
    [
        ([], []),
        # Two make no rhythm.
        (["2026-01-01:999", "2026-02-01:999"], []),
        (["2026-01-01:999", "2026-02-01:999", "2026-03-01:999"], [("monthly", 3, 999, "2026-04-01")]),
        # The end of the month is wherever it is.
        (["2025-12-31:700", "2026-01-31:700", "2026-02-28:700"], [("monthly", 3, 700, "2026-03-31")]),
        # A weekend moves one payment, and none after it.
        (["2026-01-01:9", "2026-02-01:9", "2026-03-03:9"], [("monthly", 3, 9, "2026-04-01")]),
        # Beyond the tolerance of five days there is none.
        (["2026-01-01:9", "2026-02-01:9", "2026-03-07:9"], []),
        (every(7, 4), [("weekly", 4, 500, "2026-02-02")]),
        (["2026-01-05:5", "2026-01-13:5", "2026-01-19:5"], [("weekly", 3, 5, "2026-01-26")]),
        (every(14, 3), [("fortnightly", 3, 500, "2026-02-16")]),
        (every(28, 3), [("monthly", 3, 500, "2026-04-02")]),
        (["2025-07-03:50", "2025-10-01:50", "2026-01-02:50"], [("quarterly", 3, 50, "2026-04-02")]),
        (["2024-02-29:50", "2025-03-02:50", "2026-02-27:50"], [("yearly", 3, 50, "2027-02-27")]),
        # Every tenth day is no rhythm that people have.
        (every(10, 6), []),
        # One month may be missing; where every second one is, it is no monthly payment.
        (["2026-01-01:9", "2026-02-01:9", "2026-04-01:9"], []),
        (["2026-01-01:9", "2026-02-01:9", "2026-03-01:9", "2026-05-01:9"], [("monthly", 4, 9, "2026-06-01")]),
        (["2026-01-01:9", "2026-03-01:9", "2026-05-01:9"], []),
        # What came before the rhythm does not hide it, and what broke it does.
        (["2025-01-20:9", "2026-01-01:9", "2026-02-01:9", "2026-03-01:9"], [("monthly", 3, 9, "2026-04-01")]),
        (["2026-01-01:9", "2026-02-01:9", "2026-03-01:9", "2026-03-17:9"], []),
        # A charge that came twice on one day counts once.
        (["2026-01-01:9", "2026-02-01:9", "2026-02-01:9", "2026-03-01:9"], [("monthly", 3, 9, "2026-04-01")]),
        # Other amounts in between are something else.
        (
            ["2026-01-01:999", "2026-01-10:5000", "2026-02-01:999", "2026-02-02:7700", "2026-03-01:999"],
            [("monthly", 3, 999, "2026-04-01")],
        ),
        # Two subscriptions with one provider.
        (
            [f"2026-0{month}-{day}" for month in (1, 2, 3) for day in ("01:299", "15:1099")],
            [("monthly", 3, 299, "2026-04-01"), ("monthly", 3, 1099, "2026-04-15")],
        ),
        # Bills that vary: what is expected is the middle one of the last three.
        (
            ["2026-01-05:8000", "2026-02-05:9400", "2026-03-05:8800", "2026-04-05:9000"],
            [("monthly", 4, 9000, "2026-05-05")],
        ),
        # The price has changed.
        (
            ["2026-01-01:999", "2026-02-01:999", "2026-03-01:999", "2026-04-01:1299"],
            [("monthly", 4, 1299, "2026-05-01")],
        ),
        # Three times the price is another thing.
        (
            ["2026-01-01:999", "2026-02-01:999", "2026-03-01:999", "2026-04-01:2999"],
            [("monthly", 3, 999, "2026-04-01")],
        ),
    ],
)
def test_what_is_found(occurrences: list[str], expected: list[tuple[str, int, int, str]]) -> None:
    assert told(*occurrences) == expected


@pytest.mark.parametrize(
    ("amounts", "previous", "changed", "varies"),
    [
        ([999, 999, 999], None, None, False),
        ([999, 999, 999, 1299], 999, "2026-04-01", False),
        # The new price holds on; the one change is still told.
        ([999, 999, 999, 1299, 1299, 1299, 1299], 999, "2026-04-01", False),
        ([999, 999, 999, 799], 999, "2026-04-01", False),
        ([80, 94, 88, 90], None, None, True),
    ],
)
def test_a_change_of_price(amounts: list[int], previous: int | None, changed: str | None, varies: bool) -> None:
    [found] = find("g", payments(*(f"2026-0{month}-01:{minor}" for month, minor in enumerate(amounts, start=1))))
    assert (found.previous_minor, found.varies, found.count) == (previous, varies, len(amounts))
    assert (None if found.changed_on is None else str(found.changed_on)) == changed


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2026-03-15", "active"),
        ("2026-04-01", "active"),
        ("2026-04-06", "active"),
        ("2026-04-07", "missed"),
        ("2026-05-06", "missed"),
        ("2026-05-07", "ended"),
    ],
)
def test_what_does_not_come(today: str, expected: Status) -> None:
    [found] = find("g", payments("2026-01-01:9", "2026-02-01:9", "2026-03-01:9"))
    assert (found.cadence, str(found.next_on)) == (Cadence.MONTHLY, "2026-04-01")
    assert status(found, date.fromisoformat(today)) == expected


def test_the_end_of_the_calendar_is_not_the_end_of_the_program() -> None:
    found = find("g", payments("9999-10-31:9", "9999-11-30:9", "9999-12-31:9"))
    assert [status(one, date.max) for one in found] == ["active"]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [([100, 120, 144], [3]), ([100, 126], [1, 1]), ([100, 125], [2]), ([1, 1, 2], [2, 1]), ([], [])],
)
def test_amounts_that_lie_close_together_are_one_cluster(amounts: list[int], expected: list[int]) -> None:
    told = [Occurrence(date(2026, 1, 1) + timedelta(n), minor, str(n)) for n, minor in enumerate(amounts)]
    assert [len(cluster) for cluster in clusters(told)] == expected


_OCCURRENCES = st.lists(
    st.tuples(st.dates(date(2025, 1, 1), date(2026, 12, 31)), st.sampled_from([299, 999, 1_099, 1_299, 5_000])),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(_OCCURRENCES, st.randoms(use_true_random=False))
def test_the_order_makes_no_difference(told: list[tuple[date, int]], random: Random) -> None:
    occurrences = [Occurrence(day, minor, f"e{n}") for n, (day, minor) in enumerate(told)]
    shuffled = random.sample(occurrences, len(occurrences))
    found = find("g", occurrences)
    assert find("g", shuffled) == found
    assert len({one.recurring_id for one in found}) == len(found)
    assert all(one.count >= 3 and one.next_on > one.last_on for one in found)
