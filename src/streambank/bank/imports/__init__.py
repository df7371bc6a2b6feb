"""Bringing in what banks export: CSV files with any layout, OFX, CAMT.053, MT940, QIF, and the Berka bank files."""

from streambank.bank.imports.berka import BerkaSource, berka_trans
from streambank.bank.imports.columns import Role
from streambank.bank.imports.csv_detect import CsvOverrides, Detection, detect
from streambank.bank.imports.csv_import import CsvSource, open_csv
from streambank.bank.imports.entries import (
    ImportedAccount,
    ImportedEntry,
    ImportedUser,
    Reject,
    Setting,
    Source,
)
from streambank.bank.imports.errors import ImportFencedError, ImportFileError
from streambank.bank.imports.importer import Importer, ImportProgress, ImportResult
from streambank.bank.imports.preview import Preview, PreviewRow, Total, preview
from streambank.bank.imports.sniff import FORMAT_NAMES, StatementFormat, open_statement, sniff, unfit
from streambank.bank.imports.statement import BookedOnly, StatementSource
from streambank.bank.imports.thresholds import thresholds_for

__all__ = [
    "FORMAT_NAMES",
    "BerkaSource",
    "BookedOnly",
    "CsvOverrides",
    "CsvSource",
    "Detection",
    "ImportFencedError",
    "ImportFileError",
    "ImportProgress",
    "ImportResult",
    "ImportedAccount",
    "ImportedEntry",
    "ImportedUser",
    "Importer",
    "Preview",
    "PreviewRow",
    "Reject",
    "Role",
    "Setting",
    "Source",
    "StatementFormat",
    "StatementSource",
    "Total",
    "berka_trans",
    "detect",
    "open_csv",
    "open_statement",
    "preview",
    "sniff",
    "thresholds_for",
    "unfit",
]
