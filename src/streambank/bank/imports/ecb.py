"""The euro's reference rates as the European Central Bank publishes them: ``eurofxref.csv`` and ``eurofxref-hist.csv``.

A line for each day, a column for each currency, each saying how much of it one euro is worth::

    Date,USD,JPY,
    2026-11-27,1.0842,161.23,
    2026-11-26,1.0801,N/A,
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import NamedTuple

from iso4217 import Currency

from streambank.bank.imports.errors import ImportFileError
from streambank.bank.rates import RateError, parse_rate

_NOT_KNOWN = ("", "N/A")


class EcbRate(NamedTuple):
    """How much of ``currency`` one euro was worth on the day; in billionths."""

    day: date
    currency: Currency
    rate_e9: int


def read_rates(lines: Iterable[str]) -> Iterator[EcbRate]:
    """The rates of a file. Currencies that ISO 4217 no longer has are left out: nobody has an account in one.

    Raises:
        ImportFileError: it is something else; the text names the line.
    """
    rows = csv.reader(lines, skipinitialspace=True)
    header = [cell.strip() for cell in next(rows, [])]
    if not header or header[0].lower() != "date":
        raise ImportFileError("line 1: not a file of the ECB's reference rates: its first column is not called Date")
    currencies = [_currency(code) for code in header[1:]]
    for number, row in enumerate(rows, start=2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        day = _day(cells[0], number)
        for currency, rate in zip(currencies, cells[1:], strict=False):
            if currency is None or rate in _NOT_KNOWN:
                continue
            try:
                yield EcbRate(day, currency, parse_rate(rate))
            except RateError as error:
                raise ImportFileError(f"line {number}, {currency.value}: {error}") from None


def _currency(code: str) -> Currency | None:
    try:
        return Currency(code)
    except ValueError:
        return None


def _day(text: str, number: int) -> date:
    for form in ("%Y-%m-%d", "%d %B %Y"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007
        except ValueError:
            continue
    raise ImportFileError(f"line {number}: {text!r} is not a day")
