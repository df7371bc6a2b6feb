"""OFX and QFX statements, of banks and credit cards: 1.x (SGML) and 2.x (XML).

The reader is our own: ofxtools is under the GPL, and one wrong amount or an empty value ends it; ofxparse has no wheel.
Both hold the whole file and know no line.

A FITID is unique within an account only, and some banks count from 1 in every file: short ones are no ids, the others
are ids together with day and amount.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from iso4217 import Currency

from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.dates import Moment
from streambank.bank.imports.encodings import find_encoding
from streambank.bank.imports.entries import ImportedUser, Reject, Setting
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile
from streambank.bank.imports.ofx_tokens import Tag, tags
from streambank.bank.imports.statement import (
    Balance,
    Booking,
    FoundAccount,
    Item,
    StatementSource,
    StatementStart,
    text_of,
)
from streambank.bank.imports.statement_values import (
    account_number,
    checked_moment,
    checked_text,
    currency_of,
    minor_of,
    moved,
    shown,
    trusted_reference,
    written_amount,
)

COLUMNS = ("DTPOSTED", "TRNAMT", "NAME", "MEMO", "FITID")
FITID_CHARS_MIN = 5

_DATE = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?(?:\.\d{1,6})?)?\s*(?:\[\s*([+-]?\d{1,2}(?:\.\d{1,2})?)\s*(?::[^\]]*)?\])?",
    re.ASCII,
)
_STATEMENTS = frozenset({"STMTRS", "CCSTMTRS"})
_RESPONSES = frozenset({"STMTTRNRS", "CCSTMTTRNRS", "TRNUID"})
_LISTS = frozenset({"BANKTRANLIST", "BANKTRANLISTP"})
_FROM = frozenset({"BANKACCTFROM", "CCACCTFROM"})
_FROM_FIELDS = frozenset({"BANKID", "BRANCHID", "ACCTID", "ACCTTYPE", "ACCTKEY"})
_TRANSACTIONS = frozenset({"STMTTRN", "STMTTRNP"})
_ENDS = frozenset({f"/{name}" for name in (*_TRANSACTIONS, *_LISTS, *_STATEMENTS)}) | _STATEMENTS | _FROM | _LISTS
_ONCE = frozenset({"TRNAMT", "DTPOSTED", "FITID"})
_KEPT = _ONCE | {
    *("TRNTYPE", "DTTRAN", "DTUSER", "CHECKNUM", "REFNUM", "NAME", "EXTDNAME", "MEMO", "CURSYM", "CURRENCY"),
    *("ACCTID", "SIC", "PAYEEID"),
}


@dataclass(slots=True)
class _Transaction:
    """A transaction's fields while it is read."""

    line: int
    number: int
    pending: bool
    fields: dict[str, str] = field(default_factory=dict)
    twice: str | None = None


@dataclass(slots=True)
class _Statement:
    """The statement that is being read: an account, or what is wrong with it."""

    currency: str | None = None
    account: dict[str, str] = field(default_factory=dict)
    in_from: bool = False
    lists: set[str] = field(default_factory=set)
    ledger: dict[str, str] | None = None
    list_end: str | None = None

    def found(self, usual: str | None) -> FoundAccount:
        """The account. Raises ValueProblem if the statement does not name it."""
        currency = currency_of("CURDEF", self.currency or usual)
        parts = [checked_text(name, self.account.get(name)) or "" for name in ("BANKID", "BRANCHID", "ACCTTYPE")]
        number = account_number("ACCTID", self.account.get("ACCTID", ""))
        # Credit unions give a member's accounts one number, and the type tells them apart.
        key = number if not any(parts) else "\x1f".join(("ofx", *(part.upper() for part in parts), number))
        return FoundAccount(key, currency, number)


def open_ofx(path: Path, owner: ImportedUser, overrides: CsvOverrides | None = None) -> StatementSource:
    """Open an OFX or QFX file.

    Raises:
        ImportFileError: it cannot be read, is none, or has no statement of a bank account or card.
    """
    given = overrides or CsvOverrides()
    encoding = find_encoding(path, given.encoding)
    usual = given.currency

    def read(file: InputFile) -> Iterator[Item]:
        return _Reader(file, usual).items(encoding.name)

    return StatementSource(
        path,
        owner,
        read,
        what="OFX",
        columns=COLUMNS,
        overrides=given,
        settings=(Setting("encoding", encoding.name, encoding.sure, encoding.why),),
    )


class _Reader:
    """Goes through the tags once; transactions belong to the statement that is open, and to none else."""

    def __init__(self, file: InputFile, usual_currency: str | None) -> None:
        self._file = file
        self._label = file.path.name
        self._usual = usual_currency
        self._statement = _Statement()
        self._transaction: _Transaction | None = None
        self._count = 0
        self._statements = 0

    def items(self, encoding: str) -> Iterator[Item]:
        """The items of the file."""
        last = 0
        for tag in tags(self._file.lines(encoding), self._label):
            last = tag.line
            if (open_one := self._transaction) is not None:
                if tag.name not in _ENDS and tag.name not in _TRANSACTIONS and tag.name != "LEDGERBAL":
                    _keep(open_one, tag)
                    continue
                self._transaction = None
                yield self._finish(open_one)
            yield from self._outside(tag)
        if self._transaction is not None:
            yield Reject(self._label, last, "STMTTRN: is cut off: the file ends within it")
        if not self._statements:
            raise ImportFileError(
                f"{self._file.path} has no statement of a bank account or credit card; investment statements are not"
                " read"
            )

    def _outside(self, tag: Tag) -> Iterator[Item]:
        statement = self._statement
        in_from = statement.in_from
        if in_from:
            if tag.name in _FROM_FIELDS:
                statement.account[tag.name] = tag.text
                return
            if tag.name.removeprefix("/") not in _FROM_FIELDS:
                statement.in_from = False
        if tag.name in _TRANSACTIONS:
            self._count += 1
            self._transaction = _Transaction(tag.line, self._count, tag.name == "STMTTRNP")
        elif tag.name in _STATEMENTS:
            self._statements += 1
            self._statement = _Statement()
        elif tag.name in _RESPONSES or (tag.name.removeprefix("/") in _FROM and tag.name[0] == "/" and not in_from):
            # A response, or the end of an account, whose beginning is lost: what follows is not the last one's.
            self._statement = _Statement()
        elif tag.name.removeprefix("/") in _STATEMENTS:
            yield from self._balance()
            self._statement = _Statement()
        elif tag.name in _FROM:
            statement.account, statement.in_from = {}, True
        elif tag.name in _LISTS:
            if tag.name in statement.lists:
                statement.account = {}
            statement.lists.add(tag.name)
            yield StatementStart(tag.line)
        elif tag.name in {"/LEDGERBAL", "AVAILBAL"}:
            yield from self._balance()
        elif tag.name == "TRNAMT":
            yield Reject(self._label, tag.line, "STMTTRN: an amount stands outside of a transaction", (tag.text,))
        else:
            _note(statement, tag)

    def _balance(self) -> Iterator[Item]:
        statement = self._statement
        ledger, statement.ledger = statement.ledger, None
        if not ledger or not ledger.get("BALAMT"):
            return
        try:
            account = statement.found(self._usual)
            minor = minor_of("BALAMT", written_amount("BALAMT", ledger["BALAMT"]), account.currency)
            day = parse_ofx_date("DTASOF", ledger.get("DTASOF")).day
            end: date | None = parse_ofx_date("DTEND", statement.list_end).day if statement.list_end else None
        except ValueProblem:
            # A balance is a help only: without it a new account begins with 0.
            return
        yield Balance(account, opening=False, minor=minor, day=day, whole=end is None or day <= end)

    def _finish(self, one: _Transaction) -> Item:
        try:
            return _booking(one, self._statement.found(self._usual))
        except ValueProblem as problem:
            cells = tuple(one.fields.get(name, "") for name in COLUMNS)
            return Reject(self._label, one.line, f"{problem} (transaction {one.number})", cells)


def _note(statement: _Statement, tag: Tag) -> None:
    """Keep what the statement says of itself."""
    if tag.name == "LEDGERBAL":
        statement.ledger = {}
    elif tag.name in {"BALAMT", "DTASOF"} and statement.ledger is not None:
        statement.ledger.setdefault(tag.name, tag.text)
    elif tag.name == "CURDEF":
        statement.currency = tag.text
    elif tag.name == "DTEND":
        statement.list_end = tag.text


def _keep(one: _Transaction, tag: Tag) -> None:
    if tag.name not in _KEPT:
        return
    if tag.name in one.fields and tag.name in _ONCE:
        one.twice = tag.name
    one.fields.setdefault(tag.name, tag.text)


def _booking(one: _Transaction, account: FoundAccount) -> Booking:
    fields = one.fields
    if one.twice is not None:
        raise ValueProblem(one.twice, "is given twice: two transactions seem to have run into one another")
    _same_currency(fields, account.currency)
    date_field = "DTTRAN" if one.pending and "DTPOSTED" not in fields else "DTPOSTED"
    moment = parse_ofx_date(date_field, fields.get(date_field))
    signed = moved("TRNAMT", minor_of("TRNAMT", written_amount("TRNAMT", fields.get("TRNAMT")), account.currency))
    name, memo = text_of(fields, "NAME", "EXTDNAME"), text_of(fields, "MEMO")
    check = text_of(fields, "CHECKNUM")
    other = text_of(fields, "ACCTID")
    return Booking(
        account=account,
        line=one.line,
        day=moment.day,
        moment_ms=moment.millis(),
        signed_minor=signed,
        bank_id=trusted_reference(checked_text("FITID", fields.get("FITID")), FITID_CHARS_MIN),
        told=(name or "", memo or "", check or ""),
        pending=one.pending,
        kind=text_of(fields, "TRNTYPE"),
        counterparty=name or memo,
        counterparty_account=other,
        remittance=memo,
    )


def _same_currency(fields: dict[str, str], currency: Currency) -> None:
    if "CURRENCY" in fields and (code := fields.get("CURSYM")):
        other = currency_of("CURSYM", code)
        if other is not currency:
            raise ValueProblem("CURSYM", f"is {other.value}, and the account is in {currency.value}")


def parse_ofx_date(name: str, text: str | None) -> Moment:
    """``YYYYMMDD[HHMM[SS[.mmm]]][[offset:zone]]``; the day is the one that is written. Raises ValueProblem."""
    stripped = (text or "").strip()
    if not stripped:
        raise ValueProblem(name, "is missing")
    match = _DATE.fullmatch(stripped)
    if match is None:
        raise ValueProblem(name, f"{shown(stripped)} is not a date")
    year, month, day, hour, minute, second, offset = match.groups()
    try:
        found = date(int(year), int(month), int(day))
        if hour is None:
            return checked_moment(name, Moment(found, None))
        zone = timezone(timedelta(hours=float(offset or "0")))
        at = datetime(found.year, found.month, found.day, int(hour), int(minute), min(int(second or "0"), 59), 0, zone)
        return checked_moment(name, Moment(found, at))
    except (ValueError, OverflowError):
        raise ValueProblem(name, f"{shown(stripped)} is not a date") from None
