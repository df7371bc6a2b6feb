"""MT940 statements (SWIFT), as banks hand them to their customers.

The lines ``:61:`` and ``:86:`` are read by mt-940, which is pure, typed, well kept and knows the banks' dialects. It is
given one transaction at a time, since it ends at the first one that it does not understand and knows no line; to which
account, currency and statement that belongs is found here. ``RC`` takes money back and ``RD`` gives it back.

The reference after ``//`` is the bank's id where there is one; NONREF and short numbers are none.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from iso4217 import Currency
from mt940.models import Transactions
from mt940.options import Options

from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.dates import Moment
from streambank.bank.imports.encodings import find_encoding
from streambank.bank.imports.entries import ImportedUser, Reject, Setting
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile, Line
from streambank.bank.imports.statement import (
    Balance,
    Booking,
    FoundAccount,
    Item,
    StatementSource,
    StatementStart,
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
    valid_iban,
)

COLUMNS = ("61", "86")
FIELD_CHARS_MAX = 10_000
"""A field has 6 lines of 65 characters; some banks write more, none so much."""

# It logs every line that it cannot read, with names and account numbers; here such a line becomes a reject.
logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)

_FIELD = re.compile(r"(?:\{[1-5]:.*?)?:(?P<tag>\d{2}[A-Z]?|NS):(?P<text>.*)", re.ASCII)
_END = re.compile(r"-\}?.{0,4}|\{[1-5]:.*")
_BALANCE = re.compile(r"([CD])(\d{2})(\d{2})(\d{2})([A-Z]{3})(\d{1,15}(?:,\d{0,15})?)\s*", re.ASCII)
_PIVOT = 2070
_SLASHED = re.compile(r"/(?P<name>NAME|IBAN|REMI|EREF|CNTP|BENM|ORDP|CSID|MARF|PURP|ISDT|TRTP|BIC|ADDR|CREF|RTRN)/")


@dataclass(slots=True)
class _Field:
    """A field with the line that it begins on."""

    line: int
    tag: str
    texts: list[str] = field(default_factory=list)
    chars: int = 0

    @property
    def text(self) -> str:
        """Its lines."""
        return "\n".join(self.texts)


@dataclass(slots=True)
class _Statement:
    """The statement that is being read."""

    number: str | None = None
    currency: Currency | None = None
    problem: ValueProblem | None = None
    begun: bool = False
    closed: bool = False

    def account(self) -> FoundAccount:
        """The account. Raises ValueProblem if it is not known."""
        if self.problem is not None:
            raise self.problem
        if self.number is None:
            raise ValueProblem("25", "the account is missing before this transaction")
        if self.currency is None:
            raise ValueProblem("60F", "the opening balance with the currency is missing before this transaction")
        number = self.number
        # Some banks write the currency behind the number, for accounts of several.
        if number.endswith(self.currency.value) and not valid_iban(number):
            number = number.removesuffix(self.currency.value)
        key = account_number("25", number.rpartition("/")[2] if valid_iban(_last(number)) else number)
        return FoundAccount(key, self.currency, _last(number))


def _last(number: str) -> str:
    return "".join(char for char in number.rpartition("/")[2].upper() if char.isascii() and char.isalnum())


def open_mt940(path: Path, owner: ImportedUser, overrides: CsvOverrides | None = None) -> StatementSource:
    """Open an MT940 file.

    Raises:
        ImportFileError: it cannot be read, is none, or names no account.
    """
    given = overrides or CsvOverrides()
    encoding = find_encoding(path, given.encoding)

    def read(file: InputFile) -> Iterator[Item]:
        return _items(file, encoding.name)

    return StatementSource(
        path,
        owner,
        read,
        what="MT940",
        columns=COLUMNS,
        overrides=given,
        settings=(Setting("encoding", encoding.name, encoding.sure, encoding.why),),
    )


def _items(file: InputFile, encoding: str) -> Iterator[Item]:
    label = file.path.name
    statement = _Statement()
    waiting: _Field | None = None
    count = 0
    for one in _fields(file.lines(encoding)):
        if one.tag == "NS":
            continue
        if waiting is not None:
            yield _transaction(waiting, one if one.tag == "86" else None, statement, label)
            waiting = None
            if one.tag == "86":
                continue
        if one.tag == "61":
            count += 1
            waiting = one
        elif one.tag in {"20", ""}:
            statement = _Statement()
            if one.tag:
                yield StatementStart(one.line)
        elif one.tag[:2] == "25":
            statement = _Statement()
            statement.number = one.text.strip()
            count += 1
        elif one.tag in {"60F", "60M", "62F", "62M"}:
            yield from _balance(one, statement)
    if waiting is not None:
        yield _transaction(waiting, None, statement, label)
    if not count:
        raise ImportFileError(f"{file.path} has no account (:25:) and no transaction (:61:) of an MT940 statement")


def _fields(lines: Iterator[Line]) -> Iterator[_Field]:
    """The fields. One without a tag stands for the end of a message."""
    current: _Field | None = None
    for line in lines:
        text = line.text.rstrip("\r").removeprefix("\ufeff")
        match = _FIELD.match(text)
        if match is not None:
            if current is not None:
                yield current
            current = _Field(line.number, match["tag"], [match["text"]], len(match["text"]))
        elif _END.fullmatch(text.strip()):
            if current is not None:
                yield current
            current = None
            yield _Field(line.number, "")
        elif current is not None and current.chars <= FIELD_CHARS_MAX:
            current.texts.append(text)
            current.chars += len(text) + 1
    if current is not None:
        yield current


def _balance(one: _Field, statement: _Statement) -> Iterator[Item]:
    opening = one.tag[:2] == "60"
    match = _BALANCE.fullmatch(one.text)
    try:
        if not opening:
            statement.closed = True
        elif statement.begun:
            raise ValueProblem("25", "the account is missing before another opening balance")
        else:
            statement.begun = True
        if match is None:
            raise ValueProblem(one.tag, f"{shown(one.text)} is not a balance")
        mark, year, month, day, code, amount = match.groups()
        currency = currency_of(one.tag, code)
        if opening:
            statement.currency = currency
        account = statement.account()
        if currency is not account.currency:
            return
        minor = minor_of(one.tag, Decimal(amount.replace(",", ".")), currency)
        on = date(_year(2000 + int(year)), int(month), int(day))
    except ValueProblem as problem:
        # The closing balance is a help only; without the opening one the currency is not known.
        if opening and statement.problem is None:
            statement.problem = problem
        return
    except ValueError:
        return
    yield Balance(account, opening, -minor if mark == "D" else minor, on)


def _year(year: int) -> int:
    return year - 100 if year >= _PIVOT else year


def _transaction(line: _Field, details: _Field | None, statement: _Statement, label: str) -> Item:
    try:
        if statement.closed:
            raise ValueProblem("61", "stands after the closing balance, so its account is not known")
        return _booking(_parsed(line, details), statement.account(), line.line)
    except ValueProblem as problem:
        return Reject(label, line.line, str(problem), (line.text, details.text if details is not None else ""))


def _parsed(line: _Field, details: _Field | None) -> dict[str, Any]:
    """What mt-940 reads of one transaction."""
    for one in (line, details):
        if one is not None and one.chars > FIELD_CHARS_MAX:
            raise ValueProblem(one.tag, f"has more than {FIELD_CHARS_MAX:,} characters")
    # Without its own preparation, which makes the 29th of a 30th of February.
    collection = Transactions({"pre_statement": []}, options=Options.all())
    text = f":61:{line.text}\n"
    try:
        (found,) = collection.parse(text)
        mandatory = dict(found.data)
        if details is not None and details.text.strip():
            collection.parse(f":86:{details.text}\n")
        data = dict(collection.transactions[0].data)
    except (RuntimeError, ValueError, ArithmeticError, LookupError):
        raise ValueProblem("61", f"{shown(line.text)} is not a transaction with date, amount and type") from None
    if not mandatory.get("id"):
        raise ValueProblem("61", f"{shown(line.text)} has no transaction type after the amount")
    data["customer_reference"] = mandatory.get("customer_reference") or data.get("customer_reference")
    return data


def _booking(data: dict[str, Any], account: FoundAccount, line: int) -> Booking:
    value: date = data["date"]
    entry: date = data.get("entry_date") or value
    try:
        amount = Decimal(data["amount"].amount)
        day, value_day = (date(_year(one.year), one.month, one.day) for one in (entry, value))
    except (InvalidOperation, ValueError):
        raise ValueProblem("61", "has no such amount or date") from None
    signed = moved("61 amount", minor_of("61 amount", amount, account.currency))
    moment = checked_moment("61 date", Moment(day, None))
    told = _details(data)
    customer = checked_text("61", data.get("customer_reference"))
    return Booking(
        account=account,
        line=line,
        day=day,
        moment_ms=moment.millis(),
        signed_minor=signed,
        bank_id=trusted_reference(data.get("bank_reference")),
        told=tuple(text or "" for text in (*told.values(), customer)),
        value_date=value_day,
        kind=checked_text("61", data.get("id")),
        counterparty=told["name"],
        counterparty_account=told["account"],
        end_to_end_id=told["end_to_end"],
        remittance=told["remittance"],
    )


def _details(data: dict[str, Any]) -> dict[str, str | None]:
    """Name, account, text and reference of ``:86:``, in the German, the Dutch or no structure."""
    found = {
        "name": data.get("applicant_name"),
        "account": data.get("applicant_iban") or data.get("gvc_applicant_iban"),
        "remittance": data.get("purpose"),
        "end_to_end": data.get("end_to_end_reference"),
    }
    free: str | None = data.get("transaction_details")
    if free is not None:
        pieces = _SLASHED.split(free.replace("\n", ""))
        slashed = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        found["remittance"] = slashed.get("REMI") or (None if slashed else free)
        found |= {"name": slashed.get("NAME"), "account": slashed.get("IBAN"), "end_to_end": slashed.get("EREF")}
    elif not found["remittance"]:
        found["remittance"] = data.get("posting_text")
    if not found["remittance"]:
        found["remittance"] = data.get("extra_details")
    checked = {name: checked_text("86", text) for name, text in found.items()}
    if (checked["end_to_end"] or "").upper().replace(" ", "") in {"NOTPROVIDED", "NONREF"}:
        checked["end_to_end"] = None
    return checked
