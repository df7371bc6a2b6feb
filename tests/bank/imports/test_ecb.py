"""The ECB's files of reference rates, of today and of all days, and what is none."""

import pytest

from streambank.bank.imports import ImportFileError
from streambank.bank.imports.ecb import read_rates
from streambank.bank.rates import RateError, parse_rate, rate_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Date, USD, JPY, \n27 November 2026, 1.0842, 161.23, \n", ["2026-11-27 USD 1.0842", "2026-11-27 JPY 161.23"]),
        ("Date,USD,JPY,\n2026-11-27,1.08,N/A,\n2026-11-26,,161,\n", ["2026-11-27 USD 1.08", "2026-11-26 JPY 161"]),
        # Cyprus has had the euro since 2008.
        ("Date,CYP,USD\n1999-01-04,0.58231,1.1789\n\n", ["1999-01-04 USD 1.1789"]),
        ("Date,USD\n", []),
    ],
)
def test_the_rates_of_a_file(text: str, expected: list[str]) -> None:
    found = read_rates(text.splitlines(keepends=True))
    assert [f"{one.day} {one.currency.value} {rate_text(one.rate_e9)}" for one in found] == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: not a file"),
        ("Datum,USD\n2026-11-27,1\n", "line 1: not a file"),
        ("Date,USD\n27/11/2026,1\n", "line 2: '27/11/2026' is not a day"),
        ("Date,USD\n2026-11-27,1\n2026-11-26,-1\n", "line 3, USD: '-1' is not a rate"),
        ("Date,USD\n2026-11-27,0.00\n", "line 2, USD: '0.00' is not a rate"),
        ("Date,USD\n2026-11-27,1e9\n", "line 2, USD: '1e9' is not a rate"),
    ],
)
def test_what_is_none(text: str, says: str) -> None:
    with pytest.raises(ImportFileError, match=says):
        list(read_rates(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("text", "billionths", "shown"),
    [("1.0842", 1_084_200_000, "1.0842"), ("0.000000001", 1, "0.000000001"), ("161.20", 161_200_000_000, "161.2")],
)
def test_a_rate_is_kept_to_the_digit(text: str, billionths: int, shown: str) -> None:
    assert (parse_rate(text), rate_text(billionths)) == (billionths, shown)


@pytest.mark.parametrize("text", ["", "0", "-1", "1,08", "1.0000000001", "10000000000", "NaN", "٣"])
def test_no_rate(text: str) -> None:
    with pytest.raises(RateError):
        parse_rate(text)
