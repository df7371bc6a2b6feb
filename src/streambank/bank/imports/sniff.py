"""Which format a file is, by its content, and opening any of them the same way."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Literal, TypeAlias

from streambank.bank.imports.camt import open_camt
from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.csv_import import open_csv
from streambank.bank.imports.entries import ImportedUser, Source
from streambank.bank.imports.errors import ImportFileError
from streambank.bank.imports.files import CHUNK_BYTES, InputFile
from streambank.bank.imports.mt940 import open_mt940
from streambank.bank.imports.ofx import open_ofx
from streambank.bank.imports.qif import open_qif
from streambank.bank.imports.statement import FILE_BYTES_MAX, bounded

StatementFormat: TypeAlias = Literal["csv", "ofx", "camt", "mt940", "qif"]

HEAD_BYTES = 64 << 10

FORMAT_NAMES: dict[StatementFormat, str] = {
    "csv": "CSV",
    "ofx": "OFX",
    "camt": "CAMT.053",
    "mt940": "MT940",
    "qif": "QIF",
}

_FITTING: dict[StatementFormat, frozenset[str]] = {
    "ofx": frozenset({"account", "currency", "encoding", "opening_balance"}),
    "camt": frozenset({"account", "opening_balance"}),
    "mt940": frozenset({"account", "encoding", "opening_balance"}),
    "qif": frozenset(
        {"account", "currency", "number", "date_style", "decimal_mark", "sign", "encoding", "opening_balance"}
    ),
}
_EXTENSIONS: dict[str, StatementFormat] = {
    ".ofx": "ofx",
    ".qfx": "ofx",
    ".sta": "mt940",
    ".mt940": "mt940",
    ".940": "mt940",
    ".swi": "mt940",
    ".qif": "qif",
}
_MT940 = re.compile(r"^(?:\{[1-4]:[^\r\n]*)?:20:.*?^:25[A-Z]?:", re.MULTILINE | re.DOTALL)
_MT940_PART = re.compile(r"^:(?:60[FM]|61):", re.MULTILINE)
_QIF = re.compile(r"!(?:type|account|option|clear)\b", re.IGNORECASE)
_OFX = re.compile(r"OFXHEADER\s*[:=]|<OFX\s*>", re.IGNORECASE)


def sniff(path: Path) -> StatementFormat:
    """The format of the file. What is none of the others is taken for CSV, unless its name says otherwise.

    Raises:
        ImportFileError: it cannot be read, is empty, or is XML of something else.
    """
    with InputFile(path) as file:
        data = b""
        while len(data) < HEAD_BYTES and (chunk := file.read(HEAD_BYTES - len(data))):
            data += chunk
    head = _decoded(data).lstrip("\ufeff\x00 \t\r\n")
    if _OFX.search(head[:4096]):
        return "ofx"
    if head.startswith("<"):
        return "camt"
    if _QIF.match(head):
        return "qif"
    if _MT940.search(head) and _MT940_PART.search(head):
        return "mt940"
    return _by_name(path)


def _by_name(path: Path) -> StatementFormat:
    suffixes = [suffix for suffix in path.suffixes if suffix.casefold() != ".gz"]
    return _EXTENSIONS.get(suffixes[-1].casefold(), "csv") if suffixes else "csv"


def _decoded(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")
    if head.startswith(b"<\x00"):
        return head.decode("utf-16-le", errors="replace")
    if head.startswith(b"\x00<"):
        return head.decode("utf-16-be", errors="replace")
    return head.decode("utf-8-sig", errors="replace")


def unfit(format_: StatementFormat, overrides: CsvOverrides) -> list[str]:
    """The names of the overrides that were given and mean nothing for files of the format."""
    if format_ == "csv":
        return []
    usual = CsvOverrides()
    given = [one.name for one in fields(CsvOverrides) if getattr(overrides, one.name) != getattr(usual, one.name)]
    # A person's time zone comes with the overrides; the other formats' times have theirs.
    return [name for name in given if name not in _FITTING[format_] and name != "timezone"]


def open_statement(
    path: Path,
    owner: ImportedUser,
    overrides: CsvOverrides | None = None,
    format_: StatementFormat | Literal["auto"] = "auto",
) -> Source:
    """Open a bank's file of any format: CSV, OFX or QFX, CAMT.053, MT940 or QIF.

    The overrides are those of CSV files; each of the other formats takes the few that mean something for it.

    Raises:
        ImportFileError: it cannot be read, something is undecided, or an override does not fit the format; the text
            names the override in parentheses.
    """
    given = overrides or CsvOverrides()
    found = sniff(path) if format_ == "auto" else format_
    if wrong := unfit(found, given):
        names = ", ".join(f"({name})" for name in wrong)
        raise ImportFileError(f"{path} is {FORMAT_NAMES[found]}: {names} is for CSV files; leave it out")
    if found == "csv":
        return open_csv(path, owner, given)
    _check_size(path)
    openers = {"ofx": open_ofx, "camt": open_camt, "mt940": open_mt940, "qif": open_qif}
    return openers[found](path, owner, given)


def _check_size(path: Path) -> None:
    """Refuse a file that is too large, before anything else reads it. Raises ImportFileError."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ImportFileError(f"{path} has more than {FILE_BYTES_MAX >> 20} MiB; split it")
    with bounded(path) as file:
        while file.read(CHUNK_BYTES):
            pass
