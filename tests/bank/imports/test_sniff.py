import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.bank.imports.statements import SAMPLES, entries_or_none, opened, rows
from tests.bank.imports.support import OWNER, csv_file, read

from streambank.bank.imports import BookedOnly, CsvOverrides, CsvSource, ImportFileError, open_statement, preview, sniff

CSV = "Date,Payee,Amount\n2024-01-15,Café,-3.50\n"
FORMATS = {
    "german.sta": "mt940",
    "quicken.qif": "qif",
    "sgml.ofx": "ofx",
    "xml.ofx": "ofx",
    "v02.xml": "camt",
    "v08.xml": "camt",
}


@pytest.mark.parametrize(("name", "expected"), FORMATS.items())
@pytest.mark.parametrize("as_name", ["file.txt", "file.csv", "file.ofx.gz"])
def test_a_file_is_known_by_its_content(tmp_path: Path, name: str, expected: str, as_name: str) -> None:
    content = (SAMPLES / name).read_bytes()
    path = csv_file(tmp_path, gzip.compress(content) if as_name.endswith("gz") else content, as_name)
    assert sniff(path) == expected
    assert sniff(csv_file(tmp_path, b"\xef\xbb\xbf\r\n" + content, "marked.txt")) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_nothing_else_is_csv_unless_its_name_says_otherwise(tmp_path: Path, encoding: str) -> None:
    assert sniff(csv_file(tmp_path, CSV, encoding=encoding)) == "csv"
    assert sniff(csv_file(tmp_path, CSV, "bank.csv.gz")) == "csv"
    assert sniff(csv_file(tmp_path, ":20:only a reference", "bank.STA")) == "mt940"
    assert sniff(csv_file(tmp_path, "!type of account,Amount\n", "odd.csv")) == "qif"
    assert sniff(csv_file(tmp_path, "Date,Text\n2024-01-15,:20: and :25:\n")) == "csv"


def test_csv_is_opened_as_csv_with_all_of_its_overrides(tmp_path: Path) -> None:
    source = opened(tmp_path, CSV, account="Main", currency="EUR", delimiter=",")
    assert isinstance(source, CsvSource)
    assert rows(source) == [("Main", "2024-01-15", -3_50, "Café", None)]


def test_a_format_can_be_given(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="no statement of a bank account"):
        open_statement(csv_file(tmp_path, CSV), OWNER, format_="ofx")


@pytest.mark.parametrize(
    ("name", "given", "named"),
    [
        ("sgml.ofx", {"delimiter": ";"}, "(delimiter)"),
        ("v02.xml", {"currency": "EUR", "encoding": "utf-8"}, "(encoding), (currency)"),
        ("german.sta", {"sign": "negated"}, "(sign)"),
        ("quicken.qif", {"header_line": 0}, "(header_line)"),
    ],
)
def test_overrides_that_mean_nothing_are_refused(name: str, given: dict[str, object], named: str) -> None:
    with pytest.raises(ImportFileError) as raised:
        open_statement(SAMPLES / name, OWNER, CsvOverrides(**given))  # type: ignore[arg-type]
    assert f"{named} is for CSV files; leave it out" in str(raised.value)


def test_an_account_is_named_as_the_caller_says() -> None:
    one = open_statement(SAMPLES / "v02.xml", OWNER, CsvOverrides(account="Giro", timezone="Europe/Berlin"))
    two = open_statement(SAMPLES / "sgml.ofx", OWNER, CsvOverrides(account="Mine"))
    assert [a.name for a in one.accounts.values()] == ["Giro"]
    assert [a.name for a in two.accounts.values()] == ["Mine …2345", "Mine …9999"]


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02\x03" * 100, b"PK\x03\x04rest", b"%PDF-1.7", gzip.compress(b"", mtime=0)]
)
@pytest.mark.parametrize("name", ["bank.ofx", "bank.sta", "bank.qif", "bank.csv"])
def test_what_is_no_statement_is_refused(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(ImportFileError, match=name.replace(".", r"\.")):
        opened(tmp_path, content, name)


def test_pending_entries_are_left_out_where_they_have_no_place() -> None:
    source = BookedOnly(open_statement(SAMPLES / "v02.xml", OWNER))
    found, tally = read(source)
    assert ([entry.pending for entry in found], tally.left_out) == ([False] * 4, 1)
    assert tally.warnings == ["v02.xml: entries that the bank has not booked yet: 1; left out until it has"]
    assert (preview(source).new, source.header[0], len(source.settings)) == (4, "BookgDt", 2)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(["bank.ofx", "bank.sta", "bank.qif", "bank.xml"]), st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(name: str, data: bytes) -> None:
    entries_or_none(data, name)
