from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.events import Currency, MoneyError, parse_currency, to_decimal, to_minor
from streambank.bank.events.money import INT64_MAX, INT64_MIN


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.5", "EUR", 1250), ("-0.01", "CZK", -1), ("1200", "JPY", 1200), ("1.234", "KWD", 1234), ("0", "USD", 0)],
)
def test_minor_units_follow_the_currency(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), parse_currency(currency)) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("0.001", "EUR"), ("0.5", "JPY"), ("92233720368547758.08", "EUR"), ("NaN", "EUR"), ("Infinity", "EUR")],
)
def test_what_the_currency_or_64_bits_cannot_hold_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(MoneyError):
        to_minor(Decimal(amount), parse_currency(currency))


@given(st.integers(INT64_MIN, INT64_MAX), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
def test_minor_units_to_decimal_and_back(minor: int, code: str) -> None:
    currency: Currency = parse_currency(code)
    assert to_minor(to_decimal(minor, currency), currency) == minor
