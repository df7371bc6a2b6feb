"""Exchange rates as numbers: billionths, so that what was told is kept to the digit and no float is in between."""

import re
from decimal import Decimal

from streambank.bank.events.money import INT64_MAX
from streambank.errors import StreambankError

RATE_DIGITS = 9

_RATE = re.compile(rf"[0-9]{{1,9}}(\.[0-9]{{1,{RATE_DIGITS}}})?")


class RateError(StreambankError):
    """Not an exchange rate."""


def parse_rate(text: str) -> int:
    """Billionths from a decimal number above zero, such as ``1.0842``. Raises RateError."""
    billionths = int(Decimal(text).scaleb(RATE_DIGITS)) if _RATE.fullmatch(text) else 0
    if not 0 < billionths <= INT64_MAX:
        raise RateError(f"{text!r} is not a rate; write it like 1.0842, with at most {RATE_DIGITS} decimals")
    return billionths


def rate_text(billionths: int) -> str:
    """The decimal number, without zeros at its end."""
    return f"{Decimal(billionths).scaleb(-RATE_DIGITS).normalize():f}"
