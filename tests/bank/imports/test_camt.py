import gzip
from collections.abc import Callable
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

from streambank.bank.imports import ImportFileError, statement, xml_parts


def entry(
    day: str = "2024-01-15",
    amount: str = "3.50",
    mark: str = "DBIT",
    currency: str = "EUR",
    status: str = "BOOK",
    ref: str = "2024011500000020",
    more: str = "",
) -> str:
    reference = f"<AcctSvcrRef>{ref}</AcctSvcrRef>" if ref else ""
    return (
        f'<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{mark}</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt><Dt>{day}</Dt></BookgDt>{reference}{more}</Ntry>\n"
    )


def balance(code: str, amount: str, day: str = "2024-01-01") -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>\n"
    )


def stmt(*inner: str, number: str = GERMAN, currency: str = "<Ccy>EUR</Ccy>") -> str:
    return f"<Stmt><Acct><Id><IBAN>{number}</IBAN></Id>{currency}</Acct>\n{''.join(inner)}</Stmt>\n"


def file(*statements: str, version: str = "04") -> str:
    return (
        f'<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">'
        f"<BkToCstmrStmt>\n{''.join(statements)}</BkToCstmrStmt></Document>"
    )


def test_version_2_with_a_batch_a_pending_entry_and_balances() -> None:
    assert rows(sample("v02.xml")) == [
        ("3000", "2024-01-02", 100_00, "OPENING", None),
        ("3000", "2024-01-02", 1000_00, "ACME GmbH", "Gehalt Januar"),
        ("3000", "2024-01-15", -50_00, "Energy AG", None),
        ("3000", "2024-01-15", -20_00, "Water AG", None),
        ("3000", "2024-01-31", -9_99, None, "Card payment, not booked"),
    ]
    found, tally = read(sample("v02.xml"))
    assert [one.pending for one in found] == [False] * 4 + [True]
    assert [one.end_to_end_id for one in found] == [None, "SAL-2024-01", "R-1", None, None]
    assert [one.counterparty_account for one in found[1:3]] == ["NL91ABNA0417164300", "4711"]
    assert (found[1].kind, str(found[1].value_date), found[2].occurred_ms) == (
        "PMNT/RCDT/ESCT",
        "2024-01-03",
        1_705_307_400_000,
    )
    assert tally.warnings == []


def test_version_8_with_a_reversal_two_currencies_and_an_information() -> None:
    source = sample("v08.xml")
    assert rows(source) == [
        ("2957", "2024-01-10", -5_00, "OPENING", None),
        ("2957", "2024-01-10", 25_00, "Gym SA", "RF18539007547034"),
        ("2957", "2024-01-11", -7_50, None, None),
    ]
    assert [one.name for one in source.accounts.values()] == ["Account …2957 (CHF)", "Account …2957 (USD)"]
    _, tally = read(source)
    assert (tally.left_out, tally.warnings) == (1, ["v08.xml: entries with the status INFO move no money; 1 left out"])


def test_the_number_of_the_own_account_is_kept_nowhere() -> None:
    source = sample("v02.xml")
    assert GERMAN not in repr(source.accounts) + repr(read(source)[0])


def test_an_account_is_the_same_in_every_format(tmp_path: Path) -> None:
    camt, mt940 = sample("v02.xml"), sample("german.sta")
    assert set(sample("v08.xml").accounts) & set(mt940.accounts)
    assert not set(camt.accounts) & set(sample("v08.xml").accounts)
    grouped = opened(tmp_path, file(stmt(entry(), number="DE89 3704 0044 0532 0130 00")))
    assert set(grouped.accounts) == set(camt.accounts)


@pytest.mark.parametrize("version", ["02", "03", "04", "06", "08", "10", "13"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_versions_and_encodings(tmp_path: Path, version: str, encoding: str) -> None:
    content = file(stmt(entry(more="<AddtlNtryInf>Café</AddtlNtryInf>")), version=version)
    content = content.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    assert rows(opened(tmp_path, content.encode(encoding))) == [("3000", "2024-01-15", -3_50, None, "Café")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (entry(amount="0.00"), "Amt: is zero, so nothing was booked"),
        (entry(amount="-3.50"), "Amt: '-3.50' is not an amount"),
        (entry(amount="3,50"), "Amt: '3,50' is not an amount"),
        (entry(amount="1e3"), "Amt: '1e3' is not an amount"),
        (entry(amount=""), "Amt: is missing"),
        (entry(amount="3.505"), "Amt: 3.505 has more decimals than EUR (2)"),
        (entry(amount="92233720368547758.08"), "Amt: 9223372036854775808 minor units are beyond 64 bits"),
        (entry(currency="XXQ"), "Ccy: unknown currency 'XXQ'"),
        (entry(currency="JPY"), "Amt: is in JPY, and the account is in EUR"),
        (entry(day="0000-01-15"), "BookgDt: '0000-01-15' is not a date"),
        (entry(day="2024-02-30"), "BookgDt: '2024-02-30' is not a date"),
        (entry(day="1969-12-31"), "BookgDt: '1969-12-31' is before 1970"),
        (entry(day="15.01.2024"), "BookgDt: '15.01.2024' is not a date"),
        (entry(day=""), "BookgDt: is missing"),
        (entry(mark="D"), "CdtDbtInd: 'D' is neither CRDT nor DBIT"),
        (entry(status="DONE"), "Sts: 'DONE' is not one of BOOK, PDNG, FUTR and INFO"),
        (entry(more=f"<AddtlNtryInf>{'x' * 2_001}</AddtlNtryInf>"), "AddtlNtryInf: has 2,001 characters"),
    ],
)
def test_a_wrong_entry_is_rejected_and_the_rest_read(tmp_path: Path, bad: str, reason: str) -> None:
    source = opened(tmp_path, file(stmt(entry(amount="7"), bad, entry(amount="8"))))
    ((line, found),) = reasons(source)
    assert (line, found.startswith(reason), found.endswith("(entry 2)")) == (5, True, True), found
    assert sorted(row[2] for row in rows(source)) == [-8_00, -7_00]


def test_a_yen_has_no_decimals(tmp_path: Path) -> None:
    inner = (entry(currency="JPY", amount="1.5"), entry(currency="JPY", amount="1200.00"))
    source = opened(tmp_path, file(stmt(*inner, currency="")))
    assert reasons(source)[0][1].startswith("Amt: 1.5 has more decimals than JPY (0)")
    assert rows(source) == [("3000", "2024-01-15", -1200, None, None)]


@pytest.mark.parametrize(
    ("number", "reason"),
    [("DE89370400440532013001", "IBAN: is an IBAN whose check digits are wrong"), ("", "Acct/Id: is missing")],
)
def test_a_statement_of_no_sure_account_is_rejected_and_the_others_read(
    tmp_path: Path, number: str, reason: str
) -> None:
    source = opened(tmp_path, file(stmt(entry(), number=number), stmt(entry(amount="7"), number=SWISS)))
    assert [found.startswith(reason) for _, found in reasons(source)] == [True]
    assert rows(source) == [("2957", "2024-01-15", -7_00, None, None)]


DOCTYPES = {
    "external entity": '<!DOCTYPE D [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "external document type": '<!DOCTYPE D SYSTEM "http://127.0.0.1:1/x.dtd">',
    "growing entities": '<!DOCTYPE D [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;">]>',
    "parameter entity": '<!DOCTYPE D [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>',
}


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES.keys())
def test_a_document_type_is_refused(tmp_path: Path, doctype: str) -> None:
    content = file(stmt(entry(more="<AddtlNtryInf>&x;</AddtlNtryInf>"))).replace("<Document", f"{doctype}<Document")
    with pytest.raises(ImportFileError, match=r"bank\.txt, line 2: .*DOCTYPE.*attack"):
        opened(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<Document><BkToCstmrDbtCdtNtfctn/></Document>", "without a statement of an account"),
        ("<html><br></html>", "line 1: no well-formed XML"),
        ('<?xml version="1.0" encoding="klingon"?><Document/>', "no well-formed XML"),
        (file(stmt(entry()).replace("<Stmt>", "<Stmt>" + "<a>" * 70)), "more than 64 deep"),
        (file(stmt(entry(), number="")), "Acct/Id: is missing"),
        (file(stmt(entry(more="<AddtlNtryInf>&x;</AddtlNtryInf>"))), "no account and no entry|undefined entity"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(ImportFileError, match=reason):
        opened(tmp_path, content)


def test_a_file_that_is_cut_off_keeps_what_comes_before(tmp_path: Path) -> None:
    whole = file(stmt(entry(amount="7"), entry(amount="8"), entry(amount="9")))
    source = opened(tmp_path, whole[: whole.index('"EUR">9')])
    ((line, reason),) = reasons(source)
    assert (line, reason.startswith("file: no well-formed XML from here on")) == (6, True)
    assert [row[2] for row in rows(source)] == [-7_00, -8_00]
    cut = opened(tmp_path, gzip.compress(whole.encode())[:-9])
    assert "file: the file is cut off" in reasons(cut)[-1][1]


def test_what_is_too_large_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = file(stmt(entry(more=f'<X y="{"z" * 400_000}"/>')))
    many = file(stmt(entry(more="<X/>" * 2_000, amount="7"), entry(amount="8")))
    monkeypatch.setattr(xml_parts, "TAG_BYTES_MAX", 100_000)
    with pytest.raises(ImportFileError, match="a tag of more than"):
        opened(tmp_path, huge)
    monkeypatch.setattr(xml_parts, "PART_ELEMENTS_MAX", 1_000)
    source = opened(tmp_path, many)
    assert [row[2] for row in rows(source)] == [-8_00]
    assert reasons(source) == [(4, "Ntry: has more details than can be read at once (entry 1)")]
    monkeypatch.setattr(statement, "FILE_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(statement._BoundedFile, "_left", 1_000_000)
    with pytest.raises(ImportFileError, match="unpacked"):
        opened(tmp_path, gzip.compress(file(stmt("<!--" + "z" * 2_000_000 + "-->")).encode()))


@pytest.mark.parametrize(
    ("details", "amounts"),
    [
        ('<Amt Ccy="EUR">2.00</Amt>;<Amt Ccy="EUR">1.50</Amt>', [-2_00, -1_50]),
        ('<Amt Ccy="EUR">4.00</Amt>;<Amt Ccy="EUR">0.50</Amt><CdtDbtInd>CRDT</CdtDbtInd>', [-4_00, 50]),
        ('<Amt Ccy="EUR">2.00</Amt>;<Amt Ccy="EUR">1.00</Amt>', [-3_50]),
        ('<Amt Ccy="USD">2.00</Amt>;<Amt Ccy="EUR">1.50</Amt>', [-3_50]),
        ('<Amt Ccy="EUR">2.00</Amt>;', [-3_50]),
        ('<Amt Ccy="EUR">3.50</Amt>;<Amt Ccy="EUR">0.00</Amt>', [-3_50]),
        ('<Amt Ccy="EUR">1.75</Amt>;<Amt Ccy="EUR">1.75</Amt>', [-1_75, -1_75]),
    ],
)
def test_a_batch_is_split_where_its_parts_add_up(tmp_path: Path, details: str, amounts: list[int]) -> None:
    parts = "".join(f"<TxDtls>{detail}</TxDtls>" for detail in details.split(";"))
    source = opened(tmp_path, file(stmt(entry(more=f"<NtryDtls>{parts}</NtryDtls>"))))
    assert [row[2] for row in rows(source)] == amounts
    assert imported(source, source)[0] == [len(amounts), 0]


def test_balances_open_an_account_and_are_checked(tmp_path: Path) -> None:
    january = stmt(balance("OPBD", "10.00"), balance("CLBD", "6.50", "2024-01-31"), entry())
    february = stmt(balance("PRCD", "6.50", "2024-02-01"), balance("CLBD", "9.00", "2024-02-29"), entry("2024-02-03"))
    source = opened(tmp_path, file(february, january))
    assert [row[2] for row in rows(source)] == [10_00, -3_50, -3_50]
    assert "the closing balance is 900 (minor units); entries seem to be missing" in read(source)[1].warnings[0]
    counts, amounts = imported(opened(tmp_path, file(january), "a.xml"), opened(tmp_path, file(february), "b.xml"))
    assert (counts, amounts) == ([2, 1], [-3_50, -3_50, 10_00])
    only = opened(tmp_path, file(stmt(balance("OPBD", "10.00"), balance("CLBD", "10.00"))))
    assert rows(only) == [("3000", "2024-01-01", 10_00, "OPENING", None)]


REFERENCES: dict[str, Callable[[str, int, int], str]] = {
    "one for each entry": lambda day, of_day, _: f"{day}REF{of_day}",
    "none": lambda *_: "",
    "a placeholder": lambda *_: "NONREF",
    "a number within the file": lambda _, __, of_file: str(of_file),
    "such a one with zeros": lambda _, __, of_file: f"{of_file:016d}",
    "one for each day": lambda day, *_: f"BATCH{day}",
}


@pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES.keys())
def test_files_that_overlap_add_up_to_every_entry_once(
    tmp_path: Path, reference: Callable[[str, int, int], str]
) -> None:
    days = [f"2024-{month:02d}-{day:02d}" for month, last in ((1, 31), (2, 15)) for day in range(1, last + 1)]

    def part(days: list[str]) -> str:
        """Two equal coffees and a payment a day; NtryRef counts within the statement."""
        inner: list[str] = []
        for day in days:
            for of_day, amount in enumerate(("3.50", "3.50", f"{day[5:7]}{day[8:]}.00")):
                number = f"<NtryRef>{len(inner) + 1}</NtryRef>"
                inner.append(entry(day, amount, ref=reference(day, of_day, len(inner) + 1), more=number))
        return file(stmt(*inner))

    first = opened(tmp_path, part(days[:31]), "a.xml")
    counts, amounts = imported(first, opened(tmp_path, part(days[14:]), "b.xml"), first)
    assert counts == [93, 45, 0]
    assert amounts.count(-3_50) == 92


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_damage_moves_no_entry_to_another_account(seed: int) -> None:
    two = file(
        stmt(entry(more="<AddtlNtryInf>German</AddtlNtryInf>")),
        stmt(entry(more="<AddtlNtryInf>Swiss</AddtlNtryInf>"), number=SWISS),
    )
    whose = {"German": "3000", "Swiss": "2957"}
    content = mutated(two.encode(), seed, once=True)
    with_both = entries_or_none(two.encode(), "bank.xml")
    assert with_both is not None
    assert wrong_accounts(content, "bank.xml", whose, with_both[0]) == []


@pytest.mark.parametrize("name", ["v02.xml", "v08.xml"])
@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_read(name: str, seed: int) -> None:
    entries_or_none(mutated((SAMPLES / name).read_bytes(), seed), "bank.xml")


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_read(data: bytes) -> None:
    entries_or_none(b"<Document><BkToCstmrStmt><Stmt>" + data, "bank.xml")
