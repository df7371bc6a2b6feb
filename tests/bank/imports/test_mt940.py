import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.imports.statements import (
    GERMAN,
    SAMPLES,
    SWISS,
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


def line(text: str = "2401150115D3,50NMSCNONREF", details: str = "Coffee") -> str:
    return f":61:{text}\n:86:{details}\n"


def message(*lines: str, number: str = GERMAN, opening: str = "C240101EUR0,", closing: str = "") -> str:
    end = f":62F:{closing}\n" if closing else ""
    return f":20:REF\n:25:{number}\n:28C:1/1\n:60F:{opening}\n{''.join(lines)}{end}-\n"


def test_german_and_dutch_details_and_all_marks() -> None:
    assert rows(sample("german.sta")) == [
        ("2957", "2023-12-31", -5_00, "OPENING", None),
        ("2957", "2023-12-31", -2_00, "NTRF", "Recalled credit"),
        ("3000", "2024-01-02", 100_00, "OPENING", None),
        ("3000", "2024-01-02", 1000_00, "ACME GmbH", "Gehalt Januar"),
        ("2957", "2024-01-03", 3_00, "Bob Bakker", "Returned debit"),
        ("2957", "2024-01-04", -4_00, "S103", None),
        ("3000", "2024-01-15", -12_50, "Cafe Nord", "Coffee"),
        ("3000", "2024-01-16", -12_50, "Cafe Nord", "Coffee"),
    ]
    found, tally = read(sample("german.sta"))
    assert (found[3].counterparty_account, found[3].end_to_end_id) == ("NL91ABNA0417164300", "SAL-2024-01")
    assert str(found[1].value_date) == "2024-01-02"
    assert tally.warnings == []


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("240115C1,NTRFNONREF", 1_00),
        ("240115D1,5NTRFNONREF", -1_50),
        ("240115RC1,55NTRFNONREF", -1_55),
        ("240115RD1,55NTRFNONREF", 1_55),
        ("240115CR1,55NTRFNONREF", 1_55),
        ("240115DR1,55NTRFNONREF", -1_55),
        ("2401150116D1000000,00S202NONREF//X\n/OCMT/EUR1,/", -1_000_000_00),
    ],
)
def test_marks_and_amounts(tmp_path: Path, text: str, minor: int) -> None:
    assert [row[2] for row in rows(opened(tmp_path, message(line(text))))] == [minor]


@pytest.mark.parametrize(
    ("number", "same_as"),
    [
        (GERMAN, GERMAN),
        (f"{GERMAN}EUR", GERMAN),
        (f"{GERMAN} EUR", GERMAN),
        ("DE89 3704 0044 0532 0130 00", GERMAN),
        (f"COBADEFFXXX/{GERMAN}", GERMAN),
        ("37040044/0532013000EUR", "37040044/0532013000"),
    ],
)
def test_an_account_is_the_same_however_it_is_written(tmp_path: Path, number: str, same_as: str) -> None:
    one, other = (opened(tmp_path, message(line(), number=text), "a.sta") for text in (number, same_as))
    assert set(one.accounts) == set(other.accounts)
    assert {account.number_last4 for account in one.accounts.values()} == {"3000"}
    assert same_as.replace("/", "") not in repr(one.accounts) + repr(read(one)[0])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    content = message(line(details="Café Ünlü")).replace("\n", end).encode(encoding)
    assert rows(opened(tmp_path, content))[0][4] == "Café Ünlü"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("240115D0,00NMSCNONREF", "61 amount: is zero, so nothing was booked"),
        ("240115D1,005NMSCNONREF", "61 amount: -1.005 has more decimals than EUR (2)"),
        ("240115D999999999999999NMSCNONREF//x", None),
        ("240115D12.50NMSCNONREF", "61: '240115D12.50NMSCNONREF' has no transaction type after the amount"),
        ("240115D1234567890123456,00NMSCNONREF", "61: '240115D1234567890123456,00NMSCNONREF' has no trans"),
        ("240115D1,2,3NMSCNONREF", "61: '240115D1,2,3NMSCNONREF' is not a transaction"),
        ("240115D,NMSCNONREF", "61: '240115D,NMSCNONREF' is not a transaction"),
        ("240230D1,00NMSCNONREF", "61: '240230D1,00NMSCNONREF' is not a transaction"),
        ("241301D1,00NMSCNONREF", "61: '241301D1,00NMSCNONREF' is not a transaction"),
        ("2401150230D1,00NMSCNONREF", "61: '2401150230D1,00NMSCNONREF' is not a transaction"),
        ("240115X1,00NMSCNONREF", "61: '240115X1,00NMSCNONREF' is not a transaction"),
        ("", "61: '' is not a transaction"),
        ("x" * 10_001, "61: has more than 10,000 characters"),
    ],
)
def test_a_wrong_transaction_is_rejected_and_the_rest_read(tmp_path: Path, bad: str, reason: str | None) -> None:
    source = opened(tmp_path, message(line(), line(bad), line()))
    found = reasons(source)
    assert len(rows(source)) == 3 - len(found)
    assert [(at, text[: len(reason or "")]) for at, text in found] == ([(7, reason)] if reason else [])


def test_the_library_logs_nothing_of_what_it_cannot_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert reasons(opened(tmp_path, message(line(), line("secret"))))
    assert (caplog.records, capfd.readouterr().err) == ([], "")


def test_a_yen_has_no_decimals(tmp_path: Path) -> None:
    lines = line("240115D1,5NMSCNONREF"), line("240115D1200,NMSCNONREF")
    source = opened(tmp_path, message(*lines, opening="C240101JPY0,"))
    assert [row[2] for row in rows(source)] == [-1200]
    assert reasons(source)[0][1].startswith("61 amount: -1.5 has more decimals than JPY (0)")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (message(line(), number="DE89370400440532013001"), "25: is an IBAN whose check digits are wrong"),
        (message(line(), opening="C240101XXQ0,"), "60F: unknown currency 'XXQ'"),
        (message(line(), opening="240101EUR0,"), "60F: '240101EUR0,' is not a balance"),
        (message(line()).replace(":25:", ":26:"), "25: the account is missing"),
        (message(line()).replace(":60F:", ":60X:"), "60F: the opening balance with the currency is missing"),
        (message(closing="C240131EUR0,").replace("-\n", "") + line(), "61: stands after the closing balance"),
    ],
)
def test_transactions_of_no_sure_account_are_rejected_and_the_others_read(
    tmp_path: Path, broken: str, reason: str
) -> None:
    source = opened(tmp_path, message(line(), number=SWISS) + broken + message(line(), number=SWISS))
    assert [text.startswith(reason) for _, text in reasons(source)] == [True], reasons(source)
    assert [row[0] for row in rows(source)] == ["2957", "2957"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (":20:REF\n:28C:1\n", "has no account"),
        (message(line(), opening="C240101XXQ0,"), "unknown currency 'XXQ'"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ImportFileError, match=reason):
        opened(tmp_path, content, "bank.sta")


def test_pages_of_a_statement_and_balances(tmp_path: Path) -> None:
    first = message(line(), opening="C240101EUR10,").replace("-\n", ":62M:C240115EUR6,5\n-\n")
    second = message(line(), opening="C240115EUR6,5", closing="C240131EUR3,").replace("60F", "60M")
    source = opened(tmp_path, first + second)
    assert [row[2] for row in rows(source)] == [10_00, -3_50, -3_50]
    assert read(source)[1].warnings == []
    wrong = opened(tmp_path, first + second.replace("EUR3,", "EUR4,"))
    assert "entries seem to be missing" in read(wrong)[1].warnings[0]


@pytest.mark.parametrize(
    "reference", ["NONREF//{day}{n:04d}AB", "NONREF//NONREF", "NONREF", "NONREF//{n}", "X//0000{n}"]
)
def test_files_that_overlap_add_up_to_every_entry_once(tmp_path: Path, reference: str) -> None:
    days = [f"24{month:02d}{day:02d}" for month, last in ((1, 31), (2, 15)) for day in range(1, last + 1)]

    def part(first: int, last: int) -> str:
        """Two equal coffees and a payment a day. The short references count within the file."""
        lines: list[str] = []
        for day in days[first:last]:
            for amount in ("3,50", "3,50", f"{day[2:]},"):
                n = len(lines) if "{day}" not in reference else amount == "3,50" and len(lines) % 3
                lines.append(line(f"{day}D{amount}NMSC{reference.format(day=day, n=n)}"))
        return message(*lines)

    source = opened(tmp_path, part(0, 31), "a.sta")
    counts, amounts = imported(source, opened(tmp_path, part(14, 46), "b.sta"), source)
    assert counts == [93, 45, 0]
    assert amounts.count(-3_50) == 92


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_damage_moves_no_entry_to_another_account(seed: int) -> None:
    german = message(line(details="German"), closing="D240131EUR3,5")
    two = (german + message(line(details="Swiss"), number=SWISS)).encode()
    original = entries_or_none(two, "bank.sta")
    assert original is not None
    content = mutated(two, seed, once=True)
    assert wrong_accounts(content, "bank.sta", {"German": "3000", "Swiss": "2957"}, original[0]) == []


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_read(seed: int) -> None:
    entries_or_none(mutated((SAMPLES / "german.sta").read_bytes(), seed), "bank.sta")


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(st.sampled_from(":0126DCRNEURF,/?+-{}\n"), max_size=120), st.binary(max_size=60))
def test_random_bytes_are_refused_or_read(text: str, data: bytes) -> None:
    entries_or_none(b":20:A\n:25:12345678\n:60F:C240101EUR0,\n:61:" + text.encode() + b"\n:86:" + data, "bank.sta")
