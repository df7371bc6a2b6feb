from datetime import date
from pathlib import Path

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
from streambank.bank.imports.errors import ValueProblem
from streambank.bank.imports.ofx import parse_ofx_date

HEAD = "OFXHEADER:100\nDATA:OFXSGML\nCHARSET:{charset}\n\n<OFX><BANKMSGSRSV1><STMTTRNRS>\n"
STATEMENT = (
    "<STMTRS><CURDEF>{currency}<BANKACCTFROM><BANKID>1<ACCTID>{number}<ACCTTYPE>CHECKING</BANKACCTFROM>\n"
    "<BANKTRANLIST><DTSTART>20240101<DTEND>20240131\n{transactions}</BANKTRANLIST>\n{ledger}</STMTRS>\n"
)


def transaction(day: str = "20240115", amount: str = "-3.50", fitid: str = "20240115-001", name: str = "Café") -> str:
    return f"<STMTTRN><TRNTYPE>POS<DTPOSTED>{day}<TRNAMT>{amount}<FITID>{fitid}<NAME>{name}</STMTTRN>\n"


def file(*transactions: str, currency: str = "EUR", number: str = "12345678", ledger: str = "") -> str:
    filled = STATEMENT.format(currency=currency, number=number, transactions="".join(transactions), ledger=ledger)
    return HEAD.format(charset="1252") + filled


def test_sgml_without_end_tags_two_accounts_one_fitid() -> None:
    assert rows(sample("sgml.ofx")) == [
        ("2345", "2024-01-02", 500_00, "OPENING", None),
        ("2345", "2024-01-02", 1500_00, "ACME Payroll & Sons", "Salary January"),
        ("2345", "2024-01-15", -12_50, "Coffee <3 beans", "Coffee <3 beans"),
        ("9999", "2024-01-20", 100_00, "From checking", None),
        ("2345", "2024-01-20", -100_00, "To savings", None),
    ]
    assert imported(sample("sgml.ofx"))[0] == [5]


def test_xml_with_a_card_in_yen_and_a_pending_entry() -> None:
    source = sample("xml.ofx")
    assert rows(source) == [
        ("1111", "2024-01-05", -1200, "喫茶店", "tea & <cake>"),
        ("1111", "2024-01-30", -800, "Book shop", None),
    ]
    assert [entry.pending for entry in read(source)[0]] == [False, True]
    assert [entry.counterparty_account for entry in read(sample("sgml.ofx"))[0]].count("000-111-9999") == 1


def test_the_number_of_the_own_account_is_kept_nowhere() -> None:
    source = sample("sgml.ofx")
    found, _ = read(source)
    held = [repr(account) for account in source.accounts.values()] + [repr(entry) for entry in found]
    assert not [text for text in held if "0001112345" in text or "000-111-2345" in text]


@pytest.mark.parametrize(("charset", "encoding"), [("1252", "cp1252"), ("1252", "utf-8"), ("NONE", "utf-8")])
def test_the_header_is_believed_unless_the_bytes_are_utf_8(tmp_path: Path, charset: str, encoding: str) -> None:
    content = file(transaction()).replace("1252", charset).encode(encoding)
    assert rows(opened(tmp_path, content, "bank.ofx"))[0][3] == "Café"


@pytest.mark.parametrize("separator", ["\n", "\r\n", ""])
def test_line_ends_mean_nothing(tmp_path: Path, separator: str) -> None:
    content = file(transaction(), transaction(fitid="20240115-002")).replace("\n", separator)
    assert [row[2] for row in rows(opened(tmp_path, content.encode(), "bank.ofx"))] == [-350, -350]


@pytest.mark.parametrize(
    ("text", "day", "at_ms"),
    [
        ("20240115", "2024-01-15", 1_705_276_800_000),
        ("20240115233000[-5:EST]", "2024-01-15", 1_705_379_400_000),
        ("20240115233000.123[-3.5:NST]", "2024-01-15", 1_705_374_000_000),
        ("202401152330[0:GMT]", "2024-01-15", 1_705_361_400_000),
        ("20240115120000[9:]", "2024-01-15", 1_705_287_600_000),
        ("20240229[+1]", "2024-02-29", 1_709_164_800_000),
    ],
)
def test_dates(text: str, day: str, at_ms: int) -> None:
    moment = parse_ofx_date("DTPOSTED", text)
    assert (moment.day, moment.millis()) == (date.fromisoformat(day), at_ms)


@pytest.mark.parametrize(
    "text",
    ["", "00000101", "20240230", "20241301", "2024-01-15", "20240115250000", "19691231", "soon", "20240115120000[99]"],
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueProblem, match=r"^DTPOSTED: "):
        parse_ofx_date("DTPOSTED", text)


@pytest.mark.parametrize(
    ("bad", "currency", "reason"),
    [
        (transaction(amount="0.00"), "EUR", "TRNAMT: is zero, so nothing was booked"),
        (transaction(amount=""), "EUR", "TRNAMT: is missing"),
        (transaction(amount="much"), "EUR", "TRNAMT: 'much' is not an amount"),
        (transaction(amount="USD 5"), "EUR", "TRNAMT: 'USD 5' has 'USD' where only a number may be"),
        (transaction(amount="-1.005"), "EUR", "TRNAMT: -1.005 has more decimals than EUR (2)"),
        (transaction(amount="-1.50"), "JPY", "TRNAMT: -1.50 has more decimals than JPY (0)"),
        (transaction(amount="92233720368547758.08"), "EUR", "TRNAMT: 9223372036854775808 minor units are beyond 64"),
        (transaction(day="00000115"), "EUR", "DTPOSTED: '00000115' is not a date"),
        (transaction(day="20240230"), "EUR", "DTPOSTED: '20240230' is not a date"),
        (transaction(day=""), "EUR", "DTPOSTED: is missing"),
        (transaction(name="x" * 2_001), "EUR", "NAME: has 2,001 characters, more than 2,000"),
        (transaction(name="a&#0;b"), "EUR", "NAME: has bytes that are not in the file's encoding"),
        (
            transaction().replace("<FITID>", "<CURRENCY><CURRATE>1<CURSYM>USD</CURRENCY><FITID>"),
            "EUR",
            "CURSYM: is USD, and the account is in EUR",
        ),
        (
            transaction().replace("</STMTTRN>", "") + transaction().replace("<STMTTRN>", ""),
            "EUR",
            "FITID: is given twice",
        ),
    ],
)
def test_a_wrong_transaction_is_rejected_and_the_rest_read(
    tmp_path: Path, bad: str, currency: str, reason: str
) -> None:
    good = transaction(amount="-7", fitid="20240115-900")
    source = opened(tmp_path, file(good, bad, good, currency=currency), "bank.ofx")
    ((line, found),) = reasons(source)
    assert (line, found.startswith(reason)) == (9, True), found
    assert len(rows(source)) == 2


def test_an_unknown_currency_rejects_the_statement_and_not_the_file(tmp_path: Path) -> None:
    good = STATEMENT.format(currency="EUR", number="99998888", transactions=transaction(), ledger="")
    source = opened(tmp_path, file(transaction(), currency="XXQ") + good, "bank.ofx")
    assert [row[0] for row in rows(source)] == ["8888"]
    assert reasons(source)[0][1].startswith("CURDEF: unknown currency 'XXQ'")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            file(transaction()).replace("<OFX>", '<!DOCTYPE OFX [<!ENTITY x SYSTEM "file:///etc/passwd">]><OFX>'),
            "attack",
        ),
        (file(transaction()).replace("<OFX>", '<!ENTITY x "yyyy"><OFX>'), "attack"),
        ("OFXHEADER:100\n\n<OFX><INVSTMTMSGSRSV1></INVSTMTMSGSRSV1></OFX>", "no statement of a bank account"),
        (file(transaction(), currency="XXQ"), "nothing in the file can be imported"),
        (file(transaction(), number=""), "ACCTID: is missing"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ImportFileError, match=reason):
        opened(tmp_path, content, "bank.ofx")


def test_a_file_that_is_cut_off_loses_only_its_last_transaction(tmp_path: Path) -> None:
    content = file(transaction(), transaction(fitid="20240115-002")).split("<NAME>Café</STMTTRN>\n</BANKTRANLIST>")[0]
    source = opened(tmp_path, content, "bank.ofx")
    assert (len(rows(source)), reasons(source)[0][1]) == (1, "STMTTRN: is cut off: the file ends within it")


def test_what_an_account_held_before_follows_from_the_balance_of_the_lists_end(tmp_path: Path) -> None:
    def first(ledger: str, *more: str) -> int:
        return rows(opened(tmp_path, file(transaction(), *more, ledger=ledger), "bank.ofx"))[0][2]

    assert first("<LEDGERBAL><BALAMT>10.00<DTASOF>20240131</LEDGERBAL>") == 13_50
    assert first("<LEDGERBAL><BALAMT>10.00<DTASOF>20240215</LEDGERBAL>") == -3_50
    assert first("<LEDGERBAL><BALAMT>10.00<DTASOF>20240131</LEDGERBAL>", transaction(amount="much")) == -3_50
    assert first("<LEDGERBAL><BALAMT>much<DTASOF>20240131</LEDGERBAL>") == -3_50


def january_and_half_february(tmp_path: Path, fitid: str) -> tuple[list[int], list[int]]:
    days = [f"2024{month:02d}{day:02d}" for month, last in ((1, 31), (2, 15)) for day in range(1, last + 1)]
    every = [
        transaction(day=day, amount=f"-{n + 1}.00", fitid=fitid.format(n=n, day=day)) for n, day in enumerate(days)
    ]
    counted = [transaction(day=day, amount=f"-{n + 1}.00", fitid=str(n)) for n, day in enumerate(days)]
    second = every[14:] if "{" in fitid else counted[14:]
    first = opened(tmp_path, file(*every[:31]), "a.ofx")
    return imported(first, opened(tmp_path, file(*second), "b.ofx"), first)


@pytest.mark.parametrize("fitid", ["{day}{n}", "{day}", "1", "{n}", "FIT-{n:06d}"])
def test_files_that_overlap_add_up_to_every_entry_once(tmp_path: Path, fitid: str) -> None:
    counts, amounts = january_and_half_february(tmp_path, fitid)
    assert counts == [31, 15, 0]
    assert amounts == sorted(-100 * n for n in range(1, 47))


def test_two_coffees_with_one_fitid_are_two_and_a_list_that_is_there_twice_is_one(tmp_path: Path) -> None:
    two = file(transaction(), transaction())
    again = two + STATEMENT.format(currency="EUR", number="12345678", transactions=transaction() * 2, ledger="")
    counts, _ = imported(opened(tmp_path, two, "a.ofx"), opened(tmp_path, again, "b.ofx"))
    assert counts == [2, 0]
    assert imported(opened(tmp_path, again, "b.ofx"))[0] == [2]


def test_a_fitid_is_one_of_its_account(tmp_path: Path) -> None:
    counts, _ = imported(
        opened(tmp_path, file(transaction(), number="11110000"), "a.ofx"),
        opened(tmp_path, file(transaction(), number="22220000"), "b.ofx"),
    )
    assert counts == [1, 1]


@pytest.mark.parametrize(
    "lost",
    [
        "</STMTRS>\n<STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>99998888<ACCTTYPE>CHECKING</BANKACCTFROM>\n",
        "<STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>99998888<ACCTTYPE>CHECKING",
        "<BANKACCTFROM><BANKID>1<ACCTID>99998888<ACCTTYPE>CHECKING</BANKACCTFROM>\n",
        "<ACCTID>99998888",
    ],
)
def test_transactions_whose_account_is_lost_are_rejected_and_not_the_last_ones(tmp_path: Path, lost: str) -> None:
    second = STATEMENT.format(currency="EUR", number="99998888", transactions=transaction(amount="-8"), ledger="")
    whole = file(transaction(amount="-7")) + second
    assert lost in whole
    source = opened(tmp_path, whole.replace(lost, ""), "bank.ofx")
    assert [row[2] for row in rows(source)] == [-7_00]
    assert [reason.startswith(("ACCTID: is missing", "CURDEF: is missing")) for _, reason in reasons(source)] == [True]


ACCOUNT_OF = {"Salary January": "2345", "To savings": "2345", "From checking": "9999", "Coffee <3 beans": "2345"}


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_damage_moves_no_entry_to_another_account(seed: int) -> None:
    content = mutated((SAMPLES / "sgml.ofx").read_bytes(), seed, once=True)
    assert wrong_accounts(content, "bank.ofx", ACCOUNT_OF, sample("sgml.ofx")) == []


@pytest.mark.parametrize("name", ["sgml.ofx", "xml.ofx"])
@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_read(name: str, seed: int) -> None:
    entries_or_none(mutated((SAMPLES / name).read_bytes(), seed), "bank.ofx")


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    entries_or_none(b"OFXHEADER:100\n<OFX><STMTRS>" + data, "bank.ofx")
