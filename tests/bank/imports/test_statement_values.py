from decimal import Decimal

import pytest

from streambank.bank.imports.errors import ValueProblem
from streambank.bank.imports.statement_values import (
    account_number,
    checked_text,
    trusted_reference,
    valid_iban,
    written_amount,
    xml_amount,
    xml_moment,
)


@pytest.mark.parametrize(
    ("iban", "right"),
    [
        ("DE89370400440532013000", True),
        ("NL91ABNA0417164300", True),
        ("NO9386011117947", True),
        ("DE89370400440532013001", False),
        ("DE98370400440532013000", False),
        ("12345678", False),
    ],
)
def test_check_digits(iban: str, right: bool) -> None:
    assert valid_iban(iban) is right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("37040044/0532013000", "370400440532013000"),
        ("000-111-2345", "0001112345"),
    ],
)
def test_account_numbers(text: str, expected: str) -> None:
    assert account_number("25", text) == expected


@pytest.mark.parametrize("text", ["", "  ", "Everyday", "№№", "DE89370400440532013001"])
def test_what_is_no_account_number(text: str) -> None:
    with pytest.raises(ValueProblem, match=r"^25: "):
        account_number("25", text)


@pytest.mark.parametrize(
    ("text", "trusted"),
    [
        ("2024011500000020", True),
        ("ABC-12345", True),
        ("NONREF", False),
        ("Not Provided", False),
        ("0000000000000", False),
        ("AAAAAAAAAA", False),
        ("0000000000000012", False),
        ("17", False),
        ("", False),
        (None, False),
        ("12345678\udc80", False),
        ("1234567890" * 300, False),
    ],
)
def test_which_references_are_ids(text: str | None, trusted: bool) -> None:
    assert trusted_reference(text) == (text if trusted else None)


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ("-12,50", None, "-12.50"),
        ("+1,500.00", None, "1500.00"),
        ("1.234,56", None, "1234.56"),
        ("1,234", None, "1.234"),
        ("1,234", ".", "1234"),
        (".5", None, "0.5"),
        ("1234567", None, "1234567"),
    ],
)
def test_written_amounts(text: str, mark: str | None, expected: str) -> None:
    assert written_amount("T", text, mark) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "1e5", "NaN", "Infinity", "0x10", "1..2", "٣", "-1", "1 000", "9" * 31, None])
def test_what_is_no_xml_amount(text: str | None) -> None:
    with pytest.raises(ValueProblem, match=r"^Amt: "):
        xml_amount("Amt", text)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2024-01-15", 1_705_276_800_000),
        ("2024-01-15Z", 1_705_276_800_000),
        ("2024-01-15+01:00", 1_705_276_800_000),
        ("2024-01-15T09:30:00+01:00", 1_705_307_400_000),
        ("2024-01-15T09:30:00.123Z", 1_705_311_000_000),
        ("2024-01-15T09:30:00", 1_705_311_000_000),
    ],
)
def test_xml_moments(text: str, at_ms: int) -> None:
    moment = xml_moment("Dt", text)
    assert (str(moment.day), moment.millis()) == ("2024-01-15", at_ms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0000-01-01",
        "0024-01-15",
        "2024-02-30",
        "2024-1-5",
        "1969-12-31",
        "1970-01-01T00:00:00+01:00",
        "9999-12-31T23:00:00-05:00",
    ],
)
def test_what_is_no_xml_moment(text: str) -> None:
    with pytest.raises(ValueProblem, match=r"^Dt: "):
        xml_moment("Dt", text)


def test_texts_are_collapsed_and_bounded() -> None:
    assert checked_text("P", " a \n b ") == "a b"
    assert checked_text("P", " ") is None
    for bad in ("x" * 2_001, "a\udc80", "a\ufffd", "a\x00b"):
        with pytest.raises(ValueProblem, match=r"^P: "):
            checked_text("P", bad)
