"""Converting: by which rate, and how it is rounded."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bank.views.support import EUR, JPY, KWD, USD

from streambank.bank.events import Currency
from streambank.bank.views.conversion import Pair, Rates, Sum

DAY = date(2026, 3, 10)
CHF = Currency("CHF")


def rates(*told: tuple[str, str, str]) -> Rates:
    """From PAIR, DAY, RATE."""
    known: dict[Pair, list[tuple[date, Fraction]]] = {}
    for pair, day, rate in told:
        base, quote = pair.split("/")
        known.setdefault((Currency(base), Currency(quote)), []).append((date.fromisoformat(day), Fraction(rate)))
    return Rates({pair: sorted(points) for pair, points in known.items()})


@pytest.mark.parametrize(
    ("told", "base", "quote", "expected"),
    [
        ([], EUR, EUR, Fraction(1)),
        ([], EUR, USD, None),
        ([("EUR/USD", "2026-03-10", "1.25")], EUR, USD, Fraction(5, 4)),
        ([("EUR/USD", "2026-03-10", "1.25")], USD, EUR, Fraction(4, 5)),
        # Friday's rate holds at the weekend; tomorrow's is not known.
        ([("EUR/USD", "2026-03-06", "1.25"), ("EUR/USD", "2026-03-11", "2")], EUR, USD, Fraction(5, 4)),
        ([("EUR/USD", "2026-03-11", "2")], EUR, USD, None),
        # By way of the euro.
        ([("EUR/USD", "2026-03-10", "1.25"), ("EUR/JPY", "2026-03-10", "150")], USD, JPY, Fraction(120)),
        ([("EUR/USD", "2026-03-10", "1.25"), ("JPY/EUR", "2026-03-10", "0.01")], USD, JPY, Fraction(80)),
        ([("EUR/USD", "2026-03-10", "1.25")], USD, JPY, None),
        # Of two ways the one with the later rates, and of equals the direct one.
        (
            [("USD/JPY", "2026-03-01", "99"), ("EUR/USD", "2026-03-10", "1"), ("EUR/JPY", "2026-03-09", "150")],
            USD,
            JPY,
            Fraction(150),
        ),
        (
            [("USD/JPY", "2026-03-10", "99"), ("EUR/USD", "2026-03-10", "1"), ("EUR/JPY", "2026-03-10", "150")],
            USD,
            JPY,
            Fraction(99),
        ),
        # Both directions were told on one day: the one that is asked for is as it was told.
        ([("EUR/USD", "2026-03-10", "1.25"), ("USD/EUR", "2026-03-10", "0.7")], EUR, USD, Fraction(5, 4)),
        ([("EUR/USD", "2026-03-10", "1.25"), ("USD/EUR", "2026-03-10", "0.7")], USD, EUR, Fraction(7, 10)),
        ([("EUR/USD", "2026-03-01", "1.25"), ("USD/EUR", "2026-03-05", "0.5")], EUR, USD, Fraction(2)),
    ],
)
def test_which_rate(
    told: list[tuple[str, str, str]], base: Currency, quote: Currency, expected: Fraction | None
) -> None:
    assert rates(*told).rate(base, quote, DAY) == expected


@pytest.mark.parametrize(
    ("amounts", "to", "rate", "expected"),
    [
        # Cents to yen, which have no smaller unit, and to dinars, which have three digits.
        ([(100_00, EUR)], JPY, "150", 15_000),
        ([(15_000, JPY)], EUR, "1/150", 100_00),
        ([(1_00, EUR)], KWD, "0.333", 333),
        ([(333, KWD)], EUR, "1/3", 11),
        # Half way goes to the even one; and below zero too.
        ([(1, EUR)], USD, "0.5", 0),
        ([(3, EUR)], USD, "0.5", 2),
        ([(-3, EUR)], USD, "0.5", -2),
        # Each rounded by itself would be 0 + 0 + 0.
        ([(1, EUR)] * 3, USD, "0.4", 1),
        ([(9_223_372_036_854_775_807, EUR)], USD, "10", 92_233_720_368_547_758_070),
    ],
)
def test_rounding_comes_once_at_the_end(
    amounts: list[tuple[int, Currency]], to: Currency, rate: str, expected: int
) -> None:
    known = Rates({(amounts[0][1], to): [(DAY, Fraction(rate))]})
    sum_ = Sum(to, known)
    for minor, currency in amounts:
        sum_.add(minor, currency, DAY)
    assert sum_.result().amount_minor == expected


def test_what_is_missing_is_named_and_nothing_is_worth_nothing() -> None:
    sum_ = Sum(EUR, rates(("EUR/USD", "2026-03-10", "1.25")))
    for minor, currency in ((100, USD), (0, JPY)):
        sum_.add(minor, currency, DAY)
    assert sum_.result().amount_minor == 80
    for currency in (JPY, CHF, JPY):
        sum_.add(1, currency, DAY)
    assert (sum_.result().amount_minor, sum_.result().missing) == (None, (CHF, JPY))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10**9).map(lambda n: Fraction(n, 10**6))), max_size=8),
    st.integers(0, 40),
)
def test_there_and_back_is_where_one_was(told: list[tuple[int, Fraction]], after_days: int) -> None:
    by_day = sorted({DAY + timedelta(day): rate for day, rate in told}.items())
    known, day = Rates({(EUR, USD): by_day}), DAY + timedelta(after_days)
    there, back = known.rate(EUR, USD, day), known.rate(USD, EUR, day)
    before = [rate for of, rate in by_day if of <= day]
    assert there == (before[-1] if before else None)
    assert there is None or back is None or there * back == 1
