"""Tables of files as banks export them, and what has to be found in them."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from tests.bank.imports.support import csv_file, read, source

from streambank.bank.imports import CsvOverrides, ImportFileError, Role, detect

GERMAN = (
    '"Kontonummer:";"DE12"\n\n"Buchungstag";"Wertstellung";"Begünstigter/Zahlungspflichtiger";"Verwendungszweck";'
    '"Betrag (EUR)";"Saldo"\n"31.01.24";"31.01.24";"Bäcker";"Brot";"-1.234,56";"100,00"\n'
    '"30.01.24";"31.01.24";"Chef";"Gehalt";"2.000,00";"1.334,56"\n'
)
CZECH = (
    "Datum zaúčtování;Částka;Měna;Název protiúčtu;Číslo účtu;Zpráva pro příjemce\n"
    "5.1.2024;-1 250,00;CZK;Řezník Žižka;123456789/0800;řízky\n6.1.2024;25\u00a0000,00;CZK;Úřad;123456789/0800;plat\n"
)
FRENCH = (
    "Date d'opération;Libellé;Débit euros;Crédit euros\n01/02/2024;Café;-3,50;\n03/02/2024;Salaire;;1\u202f500,00\n"
    "04/02/2024;Loyer;-700,00;\n"
)
SPANISH = "Fecha operación;Concepto;Importe;Saldo\n02/01/2024;Café;-3,50;96,50\n03/01/2024;Nómina;1.500,00;1.596,50\n"
AMERICAN = 'Date,Description,Amount,Balance\n01/02/2024,Coffee,-3.50,96.50\n01/15/2024,"Pay, Inc",1000.00,1096.50\n'
BRITISH = "Date,Type,Paid out,Paid in,Description\n13 Jan 2024,DD,£12.50,,Gas\n14 Jan 2024,BGC,,£1000.00,Salary\n"
CAMT = (
    "Booking Date\tAmount\tCredit Debit Indicator\tCurrency\tIBAN\n2024-01-01\t5.00\tDBIT\tEUR\tDE001122\n"
    "2024-01-02\t7.00\tCRDT\tUSD\tDE001122\n"
)
SOLL_HABEN = "Datum;Betrag;Soll/Haben;Verwendungszweck\n01.02.2024;5,00;S;Brot\n02.02.2024;7,00;H;Lohn\n"
PLAIN = "2024-01-01;Coffee;-3,50;EUR\n2024-01-02;Long walk tea;-2,50;EUR\n"


@pytest.mark.parametrize(
    ("content", "encoding", "expected", "signed"),
    [
        (GERMAN, "cp1252", ("cp1252", ";", "dmy", ",", "signed", "newest-first"), [-66544, 200000, -123456]),
        (CZECH, "cp1250", ("cp1250", ";", "dmy", ",", "signed", "oldest-first"), [-125000, 2500000]),
        (CZECH, "utf-8", ("utf-8", ";", "dmy", ",", "signed", "oldest-first"), [-125000, 2500000]),
        (FRENCH, "utf-8-sig", ("utf-8-sig", ";", "dmy", ",", "two-columns", "oldest-first"), [-350, 150000, -70000]),
        (SPANISH, "cp1252", ("cp1252", ";", "dmy", ",", "signed", "oldest-first"), [10000, -350, 150000]),
        (AMERICAN, "ascii", ("utf-8", ",", "mdy", ".", "signed", "oldest-first"), [10000, -350, 100000]),
        (AMERICAN, "utf-16", ("utf-16", ",", "mdy", ".", "signed", "oldest-first"), [10000, -350, 100000]),
        (AMERICAN, "utf-16-le", ("utf-16-le", ",", "mdy", ".", "signed", "oldest-first"), [10000, -350, 100000]),
        (BRITISH, "latin-1", ("cp1252", ",", "ymd", ".", "two-columns", "oldest-first"), [-1250, 100000]),
        (CAMT, "utf-8", ("utf-8", "\t", "ymd", ".", "indicator", "oldest-first"), [-500, 700]),
        (SOLL_HABEN, "utf-8", ("utf-8", ";", "dmy", ",", "indicator", "oldest-first"), [-500, 700]),
        (PLAIN, "utf-8", ("utf-8", ";", "ymd", ",", "signed", "oldest-first"), [-350, -250]),
    ],
)
def test_a_file_is_understood(
    tmp_path: Path, content: str, encoding: str, expected: tuple[str, ...], signed: list[int]
) -> None:
    given: dict[str, Any] = {"currency": None} if "CZK" in content or "£" in content or "IBAN" in content else {}
    opened = source(csv_file(tmp_path, content, encoding=encoding), **given)
    found = opened.detection
    assert (
        found.encoding,
        found.dialect.delimiter,
        found.date_style,
        found.decimal_mark,
        found.sign,
        found.row_order,
    ) == expected
    entries, tally = read(opened)
    assert ([entry.signed_minor for entry in entries], tally.rejected) == (signed, 0)
    assert [entry.occurred_ms for entry in entries] == sorted(entry.occurred_ms for entry in entries)


def test_the_german_file_in_detail(tmp_path: Path) -> None:
    opened = source(csv_file(tmp_path, GERMAN, encoding="cp1252"))
    entries, _ = read(opened)
    assert [(e.line, e.kind, e.counterparty, e.remittance, e.balance_after_minor) for e in entries] == [
        (0, "OPENING", None, None, -66544),
        (5, None, "Chef", "Gehalt", 133456),
        (4, None, "Bäcker", "Brot", 10000),
    ]
    shown = {setting.name: setting for setting in opened.settings}
    assert (shown["encoding"].sure, shown["dates"].sure, shown["decimal mark"].why) == (
        False,
        True,
        "as in '-1.234,56'",
    )


def test_currency_and_account_make_the_account_and_full_numbers_are_not_kept(tmp_path: Path) -> None:
    camt = source(csv_file(tmp_path, CAMT), account=None, currency=None)
    assert [(a.name, a.number_last4) for a in camt.accounts.values()] == [
        ("Account …1122 (EUR)", "1122"),
        ("Account …1122 (USD)", "1122"),
    ]
    czech = source(csv_file(tmp_path, CZECH), account=None, currency=None)
    (account,) = czech.accounts.values()
    assert (account.number_last4, "123456789" in repr(account)) == ("6789", False)


@pytest.mark.parametrize(
    ("content", "overrides", "problem"),
    [
        ("Date,Text,Amount\n01/02/2024,a,-3.50\n", {}, "date_style"),
        ("Date,Text,Amount\n2024-01-02,a,1.500\n", {}, "decimal_mark"),
        ("Date,Text,Amount\n2024-01-02,a,-1.50\n", {"currency": None}, "currency"),
        ("Date,Text,Amount\n2024-01-02,a,$-1.50\n", {"currency": None}, "currency"),
        ("Date,Text,Amount\n2024-01-02,a,-1.50\n", {"account": None}, "account"),
        ("Date,Foo,Bar\n2024-01-02,a,-1.50\n", {}, "columns: amount"),
    ],
)
def test_what_is_undecided_is_asked_for_and_not_guessed(
    tmp_path: Path, content: str, overrides: dict[str, Any], problem: str
) -> None:
    path = csv_file(tmp_path, content)
    found = detect(path, CsvOverrides(**{"account": "Main", "currency": "EUR", **overrides}))
    assert [text for text in found.problems if problem in text]
    with pytest.raises(ImportFileError, match=problem):
        source(path, **overrides)


@pytest.mark.parametrize(
    ("content", "overrides", "signed"),
    [
        ("Date,Text,Amount\n01/02/2024,a,-3.50\n", {"date_style": "mdy"}, [-350]),
        ("Date,Text,Amount\n2024-01-02,a,1.500\n", {"decimal_mark": ","}, [150000]),
        ("Date,Text,Amount\n2024-01-02,a,1.500\n", {"decimal_mark": ".", "currency": "KWD"}, [1500]),
        ("Date,Foo,Bar\n2024-01-02,a,-1.50\n", {"columns": {Role.AMOUNT: "bar"}}, [-150]),
        ("Date,Foo,Bar\n2024-01-02,a,-1.50\n", {"columns": {Role.AMOUNT: 3, Role.REMITTANCE: "2"}}, [-150]),
        ("Date,Text,Amount\n2024-01-02,a,3.50\n2024-01-03,pay,-9.00\n", {"sign": "negated"}, [-350, 900]),
        (
            "Date,Amount,Sense\n2024-01-02,3.50,X\n2024-01-03,9.00,Y\n",
            {
                "columns": {Role.INDICATOR: "Sense"},
                "debit_words": frozenset("X"),
                "credit_words": frozenset("Y"),
            },
            [-350, 900],
        ),
        ("Date|Amount\n2024-01-02|3.50\n", {"delimiter": "|"}, [350]),
        ("2024-01-02,x,3.50\n", {"header_line": 0}, [350]),
        ("Date,Amount\n2024-01-02,3.50\n2024-01-02,4.50\n", {"row_order": "newest-first"}, [450, 350]),
    ],
)
def test_everything_can_be_overridden(
    tmp_path: Path, content: str, overrides: dict[str, Any], signed: list[int]
) -> None:
    entries, tally = read(source(csv_file(tmp_path, content), **overrides))
    assert ([entry.signed_minor for entry in entries], tally.rejects) == (signed, [])


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"columns": {Role.AMOUNT: "Betrag"}}, "no column 'Betrag' for amount; its columns are Date, Amount"),
        ({"columns": {Role.AMOUNT: 7}}, "no column 7 for amount; it has 2 columns"),
        ({"currency": "XXQ"}, "unknown currency 'XXQ'"),
        ({"encoding": "klingon"}, "unknown encoding 'klingon'"),
        ({"timezone": "Mars/Olympus"}, "unknown time zone 'Mars/Olympus'"),
        ({"delimiter": ";;"}, "use one character"),
        ({"header_line": 99}, "line 99 is not one of the first rows"),
    ],
)
def test_an_override_that_does_not_fit_says_so(tmp_path: Path, overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        source(csv_file(tmp_path, "Date,Amount\n2024-01-02,3.50\n"), **overrides)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "only blank lines"),
        (b"Date,Amount\n", "no rows after the header"),
        (b"PK\x03\x04" + bytes(100), "an Excel or other zip file"),
        (b"%PDF-1.7 text", "a PDF"),
        (bytes(range(256)) * 40, "a binary file"),
        (gzip.compress(b"Date,Amount\n2024-01-01,3.50\n", mtime=0)[:10], "cut off"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, says: str) -> None:
    path = csv_file(tmp_path, content)
    with pytest.raises(ImportFileError, match=says) as error:
        detect(path)
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="no such file"):
        detect(tmp_path / "nothing.csv")
    with pytest.raises(ImportFileError, match="is a folder"):
        detect(tmp_path)


def test_an_accent_far_down_still_decides_the_encoding(tmp_path: Path) -> None:
    rows = (
        "Date,Description,Amount\n"
        + f"2024-01-13,{'coffee ' * 60},-1.00\n" * 4_000
        + "2024-01-14,caf\u00e9 \u00e0,-1.00\n"
    )
    found = detect(csv_file(tmp_path, rows, encoding="latin-1"), CsvOverrides(account="a", currency="EUR"))
    assert (found.encoding, found.rows) == ("cp1252", 4_001)
