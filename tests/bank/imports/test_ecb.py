"""The ECB's files of reference rates, of today and of all days, and what is none."""

from datetime import date

import pytest

from streambank.bank.events import Currency
from streambank.bank.imports import ImportFileError
from streambank.bank.imports.ecb import EcbRate, read_rates

USD, JPY = Currency("USD"), Currency("JPY")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Date, USD, JPY, \n27 November 2026, 1.0842, 161.23, \n",
            [("2026-11-27", USD, "1.0842"), ("2026-11-27", JPY, "161.23")],
        ),
        (
            "Date,USD,JPY,\n2026-11-27,1.0842,N/A,\n2026-11-26,,161,\n",
            [("2026-11-27", USD, "1.0842"), ("2026-11-26", JPY, "161")],
        ),
        # Cyprus has had the euro since 2008.
        ("Date,CYP,USD\n1999-01-04,0.58231,1.1789\n\n", [("1999-01-04", USD, "1.1789")]),
        ("Date,USD\n", []),
    ],
)
def test_the_rates_of_a_file(text: str, expected: list[tuple[str, Currency, str]]) -> None:
    found = list(read_rates(text.splitlines(keepends=True)))
    assert found == [EcbRate(date.fromisoformat(day), currency, rate) for day, currency, rate in expected]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: not a file"),
        ("Datum,USD\n2026-11-27,1\n", "line 1: not a file"),
        ("Date,USD\n27/11/2026,1\n", "line 2: '27/11/2026' is not a day"),
        ("Date,USD\n2026-11-27,1\n2026-11-26,-1\n", "line 3: '-1' is not a rate of USD"),
        ("Date,USD\n2026-11-27,0.00\n", "line 2: '0.00' is not a rate"),
        ("Date,USD\n2026-11-27,1e9\n", "line 2: '1e9' is not a rate"),
    ],
)
def test_what_is_none(text: str, says: str) -> None:
    with pytest.raises(ImportFileError, match=says):
        list(read_rates(text.splitlines(keepends=True)))
