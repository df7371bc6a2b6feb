from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.imports.statements import (
    SAMPLES,
    entries_or_none,
    imported,
    mutated,
    opened,
    reasons,
    rows,
    sample,
    wrong_accounts,
)
from tests.bank.imports.support import read

from streambank.bank.imports import ImportFileError

GIVEN = {"account": "Main", "currency": "EUR"}


def record(day: str = "2024-01-15", amount: str = "-3.50", more: str = "PCafé\nMcoffee\n") -> str:
    return f"D{day}\nT{amount}\n{more}^\n"


def file(*records: str, kind: str = "Bank") -> str:
    return f"!Type:{kind}\n{''.join(records)}"


def test_accounts_splits_and_the_opening_balance() -> None:
    source = sample("quicken.qif", currency="USD")
    assert rows(source) == [
        ("Everyday", "2024-01-01", 200_00, "Opening Balance", None),
        ("Everyday", "2024-01-15", -1200_00, "Landlord", "Rent January"),
        ("Card", "2024-01-20", -40_00, "Book shop", None),
        ("Everyday", "2024-01-28", -3_50, "Café", None),
    ]
    found, tally = read(source)
    assert [(one.kind, one.only_if_new) for one in found[:2]] == [("OPENING", True), (None, False)]
    assert (found[1].category, tally.left_out) == ("Housing:Rent", 1)


@pytest.mark.parametrize(
    ("days", "given", "expected"),
    [
        (("1/15'24", "2/ 1'24"), {}, "2024-01-15"),
        (("1/15' 4", "2/ 1' 4"), {}, "2004-01-15"),
        (("01/15/24", "02/01/24"), {}, "2024-01-15"),
        (("15/01/2024", "01/02/2024"), {}, "2024-01-15"),
        (("15.1.2024", "1.2.2024"), {}, "2024-01-15"),
        (("5.1.2024", "1.2.2024"), {}, "2024-01-05"),
        (("2024-01-05", "2024-02-01"), {}, "2024-01-05"),
        (("1/5/2024", "2/1/2024"), {"date_style": "mdy"}, "2024-01-05"),
        (("5-1-98", "1-2-98"), {"date_style": "dmy"}, "1998-01-05"),
    ],
)
def test_dates(tmp_path: Path, days: tuple[str, str], given: dict[str, str], expected: str) -> None:
    source = opened(tmp_path, file(*map(record, days)), **GIVEN, **given)
    assert rows(source)[0][1] == expected


@pytest.mark.parametrize(
    ("amounts", "given", "expected"),
    [
        (("-1,234.56", "1"), {}, -1234_56),
        (("-1.234,56", "1"), {}, -1234_56),
        (("-12,50", "1"), {}, -12_50),
        (("1,500", "1.00"), {}, 1500_00),
        (("1,500", "1"), {"decimal_mark": "."}, 1500_00),
        (("+12.50", "1"), {"sign": "negated"}, -12_50),
        (("12.", "1.5"), {}, 12_00),
    ],
)
def test_amounts(tmp_path: Path, amounts: tuple[str, str], given: dict[str, str], expected: int) -> None:
    source = opened(tmp_path, file(*(record(amount=amount) for amount in amounts)), **GIVEN, **given)
    assert rows(source)[0][2] == expected


@pytest.mark.parametrize(
    ("content", "given", "reason"),
    [
        (file(record()), {"account": "Main"}, r"does not say its currency: give it \(currency\)"),
        (file(record()), {"account": "Main", "currency": "XXQ"}, "unknown currency 'XXQ'"),
        (file(record()), {"currency": "EUR"}, r"does not name the account: give it a name \(account\)"),
        (file(record("1/2/2024")), GIVEN, r"say which \(date_style\)"),
        (file(record(amount="1,500")), GIVEN, r"say which \(decimal_mark\)"),
        (file(record(), kind="Invst"), GIVEN, "no transactions of a bank, cash or card account"),
        (file(record()), {**GIVEN, "encoding": "klingon"}, r"unknown encoding 'klingon'.*\(encoding\)"),
        (file(record()), {**GIVEN, "encoding": "base64"}, r"unknown encoding 'base64'"),
        (file(record()), {**GIVEN, "opening_balance": Decimal("NaN")}, "opening balance is an amount"),
        (file(record()), {**GIVEN, "opening_balance": Decimal("1.005")}, "has more decimals than EUR"),
        (file(record("soon")), GIVEN, "line 2: D: 'soon' is not a date; nothing in the file"),
    ],
)
def test_what_is_left_open_is_asked_for(tmp_path: Path, content: str, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ImportFileError, match=reason):
        opened(tmp_path, content, **given)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record("2024-02-30"), "D: '2024-02-30' is not a date in year-month-day order"),
        (record("0000-01-15"), "D: '0000-01-15' is not a date"),
        (record("1/15/0024"), "D: '1/15/0024' is not a date"),
        (record(""), "D: is empty"),
        (record(amount="0.00"), "T: is zero, so nothing was booked"),
        (record(amount=""), "T: is missing"),
        (record(amount="much"), "T: 'much' is not an amount"),
        (record(amount="-3.505"), "T: -3.505 has more decimals than EUR (2)"),
        (record(amount="92233720368547758.08"), "T: 9223372036854775808 minor units are beyond 64 bits"),
        (record(more=f"P{'x' * 2_001}\n"), "P: has 2,001 characters, more than 2,000"),
        (record().replace("^\n", "") + record(), "D: is given twice: two transactions seem to have run into one"),
        (record(more="Sx\n" * 2_000), "record: has more than 2,000 lines"),
    ],
)
def test_a_wrong_record_is_rejected_and_the_rest_read(tmp_path: Path, bad: str, reason: str) -> None:
    source = opened(tmp_path, file(record(), bad, record()), **GIVEN, decimal_mark=".", date_style="ymd")
    assert [(at, text[: len(reason)]) for at, text in reasons(source)] == [(7, reason)]
    assert len(rows(source)) == 2


def test_a_record_that_is_not_ended_is_rejected(tmp_path: Path) -> None:
    source = opened(tmp_path, file(record(), record()[:-2]), **GIVEN)
    assert reasons(source) == [(7, "record: is not ended by ^ at the file's end")]


def test_a_yen_has_no_decimals(tmp_path: Path) -> None:
    source = opened(tmp_path, file(record(), record(amount="-1200")), account="Main", currency="JPY")
    assert (rows(source)[0][2], reasons(source)[0][1]) == (-1200, "T: -3.50 has more decimals than JPY (0)")


def test_what_the_account_held_before_can_be_given(tmp_path: Path) -> None:
    source = opened(tmp_path, file(record()), **GIVEN, opening_balance=Decimal("10"), number="12345678")
    assert rows(source) == [
        ("5678", "2024-01-15", 10_00, "OPENING", None),
        ("5678", "2024-01-15", -3_50, "Café", "coffee"),
    ]


def test_accounts_whose_names_are_in_other_letters_are_told_apart(tmp_path: Path) -> None:
    part = "!Account\nN{name}\n^\n!Type:Bank\n" + record()
    source = opened(tmp_path, part.format(name="储蓄") + part.format(name="信用卡"), currency="EUR")
    assert [row[0] for row in rows(source)] == ["储蓄", "信用卡"]


@pytest.mark.parametrize(
    "before",
    [
        "!Option:AutoSwitch\n!Account\nNA\n^\nNB\n^\n!Clear:AutoSwitch\n",
        "!Account\nNA\n^\nNB\n^\n",
        "!Account\nNA\n^\n" + file(record(), kind="CCard"),
    ],
)
def test_an_account_that_is_not_named_is_none_of_those_before(tmp_path: Path, before: str) -> None:
    with pytest.raises(ImportFileError, match="does not name the account"):
        opened(tmp_path, before + file(record()), currency="EUR")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    content = file(record()).replace("\n", "\r\n").encode(encoding)
    assert rows(opened(tmp_path, content, **GIVEN)) == [("Main", "2024-01-15", -3_50, "Café", "coffee")]


def test_files_that_overlap_add_up_to_every_entry_once(tmp_path: Path) -> None:
    days = [f"2024-{month:02d}-{day:02d}" for month, last in ((1, 31), (2, 15)) for day in range(1, last + 1)]

    def part(days: list[str]) -> str:
        return file(*(record(day) * 2 + record(day, f"-{day[5:7]}{day[8:]}") for day in days))

    first = opened(tmp_path, part(days[:31]), "a.qif", **GIVEN)
    counts, amounts = imported(first, opened(tmp_path, part(days[14:]), "b.qif", **GIVEN), first)
    assert counts == [93, 45, 0]
    assert amounts.count(-3_50) == 92


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_damage_moves_no_entry_to_another_account(seed: int) -> None:
    content = mutated((SAMPLES / "quicken.qif").read_bytes(), seed, once=True)
    whose = {"Landlord": "Everyday", "Café": "Everyday", "Book shop": "Card"}
    assert wrong_accounts(content, "bank.qif", whose, sample("quicken.qif", currency="USD"), currency="USD") == []


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_read(seed: int) -> None:
    entries_or_none(mutated((SAMPLES / "quicken.qif").read_bytes(), seed), "bank.qif", **GIVEN)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(st.sampled_from("DTPMN^!-/'.,0123456789\n"), max_size=120), st.binary(max_size=60))
def test_random_bytes_are_refused_or_read(text: str, data: bytes) -> None:
    entries_or_none(b"!Type:Bank\n" + text.encode() + data, "bank.qif", **GIVEN, date_style="dmy", decimal_mark=".")
