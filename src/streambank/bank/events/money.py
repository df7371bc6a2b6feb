"""Money: integer minor units and an ISO 4217 code, never a float."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeAlias

import msgspec
from iso4217 import Currency

from streambank.errors import StreambankError

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Minor: TypeAlias = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
"""A signed amount in the currency's minor unit, within 64 bits."""

Amount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
"""An unsigned amount in the currency's minor unit, within 64 bits."""


class MoneyError(StreambankError):
    """Not an amount of money, or more than 64 bits hold."""


def parse_currency(code: str) -> Currency:
    """The currency of an ISO 4217 code in any case. Raises MoneyError if it is unknown or has no minor unit (gold)."""
    try:
        currency = Currency(code.strip().upper())
    except ValueError:
        raise MoneyError(f"unknown currency {code!r}: use an ISO 4217 code such as EUR, USD or CZK") from None
    if currency.exponent is None:
        raise MoneyError(f"currency {currency.value} has no minor unit, so it cannot hold a balance")
    return currency


def exponent(currency: Currency) -> int:
    """How many decimal digits the currency's minor unit has: 2 for EUR, 0 for JPY, 3 for KWD."""
    return currency.exponent or 0


def to_minor(amount: Decimal, currency: Currency) -> int:
    """A decimal amount in minor units.

    Raises:
        MoneyError: more decimals than the currency has, or beyond 64 bits.
    """
    try:
        scaled = amount.scaleb(exponent(currency))
        minor = int(scaled)
    except (InvalidOperation, OverflowError, ValueError):
        raise MoneyError(f"{amount} is not an amount of money") from None
    if scaled != minor:
        raise MoneyError(f"{amount} has more decimals than {currency.value} ({exponent(currency)})")
    return within_int64(minor)


def to_decimal(minor: int, currency: Currency) -> Decimal:
    """Minor units as a decimal amount with the currency's number of digits."""
    return Decimal(minor).scaleb(-exponent(currency))


def within_int64(minor: int) -> int:
    """``minor``, checked. Raises MoneyError beyond 64 bits."""
    if not INT64_MIN <= minor <= INT64_MAX:
        raise MoneyError(f"{minor} minor units are beyond 64 bits")
    return minor
