"""The Berka bank files (PKDD'99 Discovery Challenge): ``trans``, ``account`` and ``disp``, as the bank exported them.

Amounts are Czech crowns; ``PRIJEM`` comes in, ``VYDAJ`` and ``VYBER`` go out. Opening balances are 0: the first row of
an account has its amount as its balance. The order of the rows inside a day is recovered, see
:mod:`streambank.bank.imports.berka_chain`.

Where the bank's balance misses the chain by its rounding (ten hellers), an entry of kind ``ADJUSTMENT`` comes
*before* the row: then the sum of the entries after every row is the bank's own balance.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import msgspec
from iso4217 import Currency

from streambank.bank.events import MoneyError, to_minor
from streambank.bank.imports.berka_chain import DAY_ROWS_MAX, ROUNDING_MINOR, ChainRow, day_order
from streambank.bank.imports.csv_dialect import Dialect, Record, records
from streambank.bank.imports.date_order import in_time_order
from streambank.bank.imports.dates import EARLIEST
from streambank.bank.imports.entries import (
    ADJUSTMENT,
    OPENING,
    ImportedAccount,
    ImportedEntry,
    ImportedUser,
    Reject,
    Report,
    Setting,
)
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile

CZK = Currency("CZK")
HEADER = ("trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank", "account")
TRANS_NAMES = ("trans.asc", "trans.asc.gz", "trans_prefix.asc.gz", "trans_prefix.asc")
PROGRESS_ROWS = 2_000

_DIALECT = Dialect(";", '"')
_SIGNS = {"PRIJEM": 1, "VYDAJ": -1, "VYBER": -1}
_KINDS = {
    "VKLAD": "CASH_DEPOSIT",
    "VYBER": "CASH_WITHDRAWAL",
    "VYBER KARTOU": "CARD_WITHDRAWAL",
    "PREVOD Z UCTU": "TRANSFER_IN",
    "PREVOD NA UCET": "TRANSFER_OUT",
}
_SYMBOL_KINDS = {"UROK": "INTEREST", "SANKC. UROK": "PENALTY_INTEREST", "SLUZBY": "FEE"}
_CATEGORIES = {
    "POJISTNE": "insurance",
    "SLUZBY": "bank fees",
    "UROK": "interest",
    "SANKC. UROK": "bank fees",
    "SIPO": "household",
    "DUCHOD": "pension",
    "UVER": "loan",
}


def berka_trans(path: Path) -> Path | None:
    """The transactions file, if ``path`` is one or is a folder with one; else None."""
    if path.is_dir():
        return next((path / name for name in TRANS_NAMES if (path / name).is_file()), None)
    try:
        with InputFile(path) as file:
            first = next(iter(file.lines("latin-1")), None)
    except ImportFileError:
        return None
    return path if first is not None and _cells(first.text) == list(HEADER) else None


def _cells(text: str) -> list[str]:
    return next(csv.reader([text], delimiter=";"), [])


@dataclass(slots=True)
class _AccountState:
    """How far an account's chain is: the bank's balance after its last row, None before the first."""

    balance_minor: int | None = None
    started: bool = False


@dataclass(slots=True)
class _Breaks:
    """Where the bank's balance does not follow, although no row of an unfinished day is missing."""

    count: int = 0
    first: str = ""
    long_days: int = 0
    first_long_day: str = ""


class _Row(msgspec.Struct, frozen=True, gc=False):
    """A row of the file, understood but without its place in the day."""

    trans_id: str
    fields: tuple[str, ...]
    entry: ImportedEntry
    balance_minor: int
    rank: tuple[int, int, int]

    @property
    def chain(self) -> ChainRow:
        """The row as the chain sees it."""
        return ChainRow(self.entry.signed_minor, self.balance_minor, self.rank)


class _Survey(NamedTuple):
    """What was read ahead, so that the days can be streamed: whether they are in order, the first and the last."""

    ordered: bool
    first_day: date | None
    last_day: date | None


class BerkaSource:
    """The Berka files as a source. ``path`` is the transactions file or the folder that has it.

    Rows on or after ``before`` are left out. On the last day of the file a row that breaks an account's chain, and
    those after it, are rejected: that day may be cut off, and the rows come in their right order with the whole file.
    On any other day a break is reported and the row imported.
    """

    def __init__(self, path: Path, *, before: date | None = None) -> None:
        """Read accounts and owners.

        Raises:
            ImportFileError: there is no transactions file, or ``account.asc`` or ``disp.asc`` beside it are missing
                or damaged.
        """
        trans = berka_trans(path)
        if trans is None:
            raise ImportFileError(
                f"{path} is not the transactions of the Berka bank files: name trans.asc, or the folder that has it"
                f" (one of {', '.join(TRANS_NAMES)})"
            )
        self._trans = trans
        self._before = before
        self._accounts = _read_accounts(trans.parent)
        self._survey = _survey(trans)
        self._settings = (
            Setting("format", "Berka bank files", True, "the header is that of their transactions"),
            Setting("currency", "CZK", True, "the bank is Czech"),
            Setting("order", "by the running balance", True, "the files store no order inside a day"),
            *((Setting("before", before.isoformat(), True, "as you said"),) if before else ()),
        )

    @property
    def label(self) -> str:
        """The file's name."""
        return self._trans.name

    @property
    def settings(self) -> Sequence[Setting]:
        """What was found."""
        return self._settings

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return HEADER

    @property
    def accounts(self) -> Mapping[str, ImportedAccount]:
        """Every account of ``account.asc`` with its owner."""
        return self._accounts

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        """The rows and adjustments: by date, accounts interleaved, each account in its chain's order."""
        states: dict[str, _AccountState] = {}
        breaks = _Breaks()
        for rows in self._days(report):
            by_account: dict[str, list[_Row]] = {}
            for row in rows:
                by_account.setdefault(row.entry.account_id, []).append(row)
            for account_id, day in by_account.items():
                state = states.setdefault(account_id, _AccountState())
                yield from self._account_day(day, state, breaks, report)
        if breaks.count:
            report.warn(
                f"{self.label}: the balance does not follow from the rows before at {breaks.count:,} rows, first in"
                f" {breaks.first}; a row seems to be missing there"
            )
        if breaks.long_days:
            report.warn(
                f"{self.label}: {breaks.long_days:,} account-days have more than {DAY_ROWS_MAX} rows, first in"
                f" {breaks.first_long_day}; their order is likely but not proven"
            )

    def _days(self, report: Report) -> Iterator[list[_Row]]:
        day: list[_Row] = []
        for row in self._rows(report):
            if day and row.entry.booking_date != day[0].entry.booking_date:
                yield day
                day = []
            day.append(row)
        if day:
            yield day

    def _account_day(
        self, rows: list[_Row], state: _AccountState, breaks: _Breaks, report: Report
    ) -> Iterator[ImportedEntry]:
        first = rows[0].entry
        if not state.started:
            state.started = True
            opened, since = self._accounts[first.account_id].opened_on, self._survey.first_day
            state.balance_minor = None if opened is not None and since is not None and opened < since else 0
        order, proven = day_order([row.chain for row in rows], state.balance_minor)
        if not proven:
            breaks.long_days += 1
            breaks.first_long_day = breaks.first_long_day or f"line {first.line}"
        for place, position in enumerate(order):
            row = rows[position]
            before, after = state.balance_minor, row.balance_minor
            if before is None:
                before = after - row.entry.signed_minor
                if before:
                    yield _extra(row, OPENING, before)
            miss = after - before - row.entry.signed_minor
            if abs(miss) > ROUNDING_MINOR:
                if first.booking_date == self._survey.last_day:
                    self._reject_rest([rows[i] for i in order[place:]], miss, report)
                    return
                breaks.count += 1
                breaks.first = breaks.first or f"line {row.entry.line}: it misses by {Decimal(miss).scaleb(-2)} CZK"
            elif miss:
                yield _extra(row, ADJUSTMENT, miss)
            yield row.entry
            state.balance_minor = after

    def _reject_rest(self, rows: list[_Row], miss: int, report: Report) -> None:
        for row in rows:
            reason = (
                f"balance: misses by {Decimal(miss).scaleb(-2)} CZK on the last day, so a row before it is missing;"
                " import the whole file to have it"
            )
            report.reject(Reject(self.label, row.entry.line, reason, row.fields))

    def _rows(self, report: Report) -> Iterator[_Row]:
        rows = self._understood(report)
        return rows if self._survey.ordered else in_time_order(rows, _Row, lambda row: row.entry.occurred_ms)

    def _understood(self, report: Report) -> Iterator[_Row]:
        with InputFile(self._trans) as file:
            for count, record in enumerate(records(file.lines("latin-1"), _DIALECT)):
                if count == 0:
                    continue
                if count % PROGRESS_ROWS == 1:
                    report.position(file.fraction)
                reason = None
                if not record.ended:
                    # The bank ends every line, so one without an end is cut, also if it has all its fields.
                    reason = f"incomplete: {file.fault or 'the last line has no line end, so the file is cut off'}"
                else:
                    try:
                        row = self._understand(record)
                    except ValueProblem as problem:
                        reason = str(problem)
                if reason is not None:
                    report.reject(Reject(self.label, record.line, reason, tuple(record.fields)))
                elif self._before is not None and row.entry.booking_date >= self._before:
                    report.leave_out()
                else:
                    yield row
            if file.fault is not None:
                report.warn(
                    f"{self.label}: {file.fault}; what is there is imported, and importing the whole file later adds"
                    " only the rest"
                )
        report.position(1.0)

    def _understand(self, record: Record) -> _Row:
        if record.problem is not None:
            raise ValueProblem("row", record.problem)
        if len(record.fields) != len(HEADER):
            raise ValueProblem("row", f"has {len(record.fields)} fields, not {len(HEADER)}")
        trans_id, account, day_text, kind, operation, amount_text, balance_text, symbol, bank, other = record.fields
        symbol = symbol.strip()
        account_id = f"berka-{account}"
        if account_id not in self._accounts:
            raise ValueProblem("account_id", f"{account!r} is not in account.asc")
        if not (trans_id.isascii() and trans_id.isdecimal()):
            raise ValueProblem("trans_id", f"{trans_id!r} is not a number")
        if kind not in _SIGNS:
            raise ValueProblem("type", f"{kind!r} is none of {', '.join(_SIGNS)}")
        day = _day(day_text)
        signed = _SIGNS[kind] * _hellers("amount", amount_text)
        balance = _hellers("balance", balance_text)
        entry = ImportedEntry(
            account_id=account_id,
            line=record.line,
            occurred_ms=(day - EARLIEST).days * 86_400_000,
            booking_date=day,
            signed_minor=signed,
            identity=trans_id,
            unique=True,
            kind=_SYMBOL_KINDS.get(symbol) or _KINDS.get(operation),
            category=_CATEGORIES.get(symbol),
            counterparty=f"Bank {bank}" if bank else None,
            counterparty_account=f"{other}/{bank}" if bank and other else None,
            balance_after_minor=balance,
        )
        rank = _rank(kind, operation, symbol)
        return _Row(trans_id, tuple(record.fields), entry, balance, (rank, int(trans_id), record.line))


def _rank(kind: str, operation: str, symbol: str) -> int:
    """How the bank books a day more often than not: interest first, then what comes in, fees last."""
    if symbol == "UROK":
        return 0
    if kind == "PRIJEM":
        return 1
    if operation == "PREVOD NA UCET":
        return 2
    return {"SANKC. UROK": 3, "SLUZBY": 5}.get(symbol, 4)


def _extra(row: _Row, kind: str, signed_minor: int) -> ImportedEntry:
    """An entry that the file has no row for, and that goes before ``row``."""
    return ImportedEntry(
        account_id=row.entry.account_id,
        line=row.entry.line,
        occurred_ms=row.entry.occurred_ms,
        booking_date=row.entry.booking_date,
        signed_minor=signed_minor,
        identity="opening" if kind == OPENING else f"adjustment\x1f{row.trans_id}",
        unique=True,
        only_if_new=kind == OPENING,
        kind=kind,
        remittance="Rounding in the bank's own figures" if kind == ADJUSTMENT else None,
    )


def _hellers(column: str, text: str) -> int:
    try:
        value = Decimal(text)
        if not value.is_finite():
            raise InvalidOperation
        return to_minor(value, CZK)
    except InvalidOperation:
        raise ValueProblem(column, f"{text!r} is not an amount" if text else "is empty") from None
    except MoneyError as error:
        raise ValueProblem(column, str(error)) from None


def _day(text: str) -> date:
    try:
        if len(text) != 6 or not text.isdecimal():
            raise ValueError
        day = date(1900 + int(text[:2]), int(text[2:4]), int(text[4:]))
    except ValueError:
        raise ValueProblem("date", f"{text!r} is not a date as YYMMDD") from None
    if day < EARLIEST:
        raise ValueProblem("date", f"{text!r} is before 1970-01-01, the earliest day that can be stored")
    return day


def _survey(path: Path) -> _Survey:
    ordered, first, last = True, "", ""
    with InputFile(path) as file:
        for line in file.lines("latin-1"):
            cells = line.text.split(";", 3)
            if len(cells) < 4 or len(cells[2]) != 6 or not cells[2].isdecimal():
                continue
            ordered = ordered and cells[2] >= last
            first = min(first, cells[2]) if first else cells[2]
            last = max(last, cells[2])
    try:
        return _Survey(ordered, _day(first), _day(last))
    except ValueProblem:
        return _Survey(False, None, None)


def _read_accounts(folder: Path) -> dict[str, ImportedAccount]:
    owners = {row[2]: row[1] for row in _table(folder / "disp.asc", 4) if row[3] == "OWNER"}
    accounts: dict[str, ImportedAccount] = {}
    path = folder / "account.asc"
    for row in _table(path, 4):
        number = row[0]
        if number not in owners:
            raise ImportFileError(f"{folder / 'disp.asc'}: account {number} has no OWNER; fetch the whole file again")
        try:
            opened = _day(row[3])
        except ValueProblem as problem:
            raise ImportFileError(f"{path}: account {number}: {problem}; fetch the file again") from None
        client = owners[number]
        accounts[f"berka-{number}"] = ImportedAccount(
            account_id=f"berka-{number}",
            owner=ImportedUser(
                user_id=f"client-{client}",
                email=f"client-{client}@bank.example",
                name=f"Client {client}",
                locale="cs",
                timezone="Europe/Prague",
            ),
            name=f"Account {number}",
            currency=CZK,
            number_last4=number.zfill(4)[-4:],
            opened_on=opened,
        )
    return accounts


def _table(path: Path, width: int) -> Iterator[list[str]]:
    """The rows of one of the small tables, all of which are needed: damage to one of them ends the import."""
    with InputFile(path) as file:
        for record in records((line for line in file.lines("latin-1") if line.number > 1), _DIALECT):
            if record.problem is not None or len(record.fields) != width:
                raise ImportFileError(
                    f"{path}, line {record.line}: {record.problem or f'does not have {width} fields'};"
                    " fetch the file again"
                )
            yield record.fields
        if file.fault is not None:
            raise ImportFileError(f"{path}: {file.fault}; fetch the file again")
