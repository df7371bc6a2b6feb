"""CAMT.053 statements (ISO 20022, camt.053.001.02 to .13): one entry of the account at a time, of files of any length.

The sign is that of ``CdtDbtInd``, which the standard has turned around already in a reversal. ``AcctSvcrRef`` is the
bank's id of an entry. ``NtryRef`` is none: it is a number within the statement at many banks, and the account that a
batch went to at Swiss ones. A batch whose details add up to it is one entry for each of them; else it is one in all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iso4217 import Currency

from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.dates import Moment
from streambank.bank.imports.entries import ImportedUser, Reject
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile
from streambank.bank.imports.statement import (
    Balance,
    Booking,
    FoundAccount,
    Item,
    LeftOut,
    StatementSource,
    StatementStart,
)
from streambank.bank.imports.statement_values import (
    account_number,
    checked_text,
    currency_of,
    minor_of,
    moved,
    shown,
    trusted_reference,
    xml_amount,
    xml_moment,
)
from streambank.bank.imports.xml_parts import Broken, Part, parts_within

COLUMNS = ("BookgDt", "Amt", "CdtDbtInd", "AcctSvcrRef", "AddtlNtryInf")
STATEMENT = "Stmt"

_SIGNS = {"CRDT": 1, "DBIT": -1}
_OPENING, _CLOSING = frozenset({"OPBD", "PRCD"}), frozenset({"CLBD"})
_BOOKED, _PENDING, _INFORMATION = "BOOK", frozenset({"PDNG", "FUTR"}), "INFO"
_NOT_PROVIDED = re.compile(r"NOT\s?PROVIDED|NONREF", re.IGNORECASE)


@dataclass(slots=True)
class _Statement:
    """The statement that is being read. ``problem`` is why its account is not known."""

    line: int
    number: str | None = None
    currency: Currency | None = None
    problem: ValueProblem | None = None

    def account(self, currency: Currency) -> FoundAccount:
        """The account of an amount. Raises ValueProblem."""
        if self.problem is not None:
            raise self.problem
        if self.number is None:
            raise ValueProblem("Acct", "is missing before this entry, so the account is not known")
        if self.currency is not None and self.currency is not currency:
            raise ValueProblem("Amt", f"is in {currency.value}, and the account is in {self.currency.value}")
        return FoundAccount(self.number, currency, self.number)


def open_camt(path: Path, owner: ImportedUser, overrides: CsvOverrides | None = None) -> StatementSource:
    """Open a CAMT.053 file.

    Raises:
        ImportFileError: it cannot be read, is no XML or another message, has a DOCTYPE, or has no account.
    """
    return StatementSource(path, owner, _items, what="CAMT.053", columns=COLUMNS, overrides=overrides)


def _items(file: InputFile) -> Iterator[Item]:
    label, count = file.path.name, 0
    statement: _Statement | None = None
    try:
        for part in parts_within(file, STATEMENT):
            if part.name == STATEMENT:
                statement = _Statement(part.line)
                yield StatementStart(part.line)
            elif statement is None:
                continue
            elif part.name == "Acct":
                _account(part, statement)
            elif part.name == "Bal":
                yield from _balance(part, statement)
            elif part.name == "Ntry":
                count += 1
                yield from _entry(part, statement, label, count)
    except Broken as broken:
        if statement is None:
            raise ImportFileError(
                f"{file.path}, line {broken.line}: no well-formed XML ({broken}); export it again"
            ) from None
        yield Reject(label, broken.line, f"file: no well-formed XML from here on ({broken}); the rest was not read")
    if statement is None:
        raise ImportFileError(f"{file.path} is XML without a statement of an account (camt.053); export it as camt.053")


def _account(part: Part, statement: _Statement) -> None:
    """Note the account. The first one of a statement counts: a second one is a damaged file's."""
    if statement.number is not None or statement.problem is not None:
        statement.problem = ValueProblem("Acct", "is given twice in one statement")
        return
    try:
        iban, other = part.value("Id/IBAN"), part.value("Id/Othr/Id", "Id/PrtryAcct/Id", "Id/BBAN")
        statement.number = account_number("IBAN" if iban else "Acct/Id", iban or other or "")
        if (code := part.value("Ccy")) is not None:
            statement.currency = currency_of("Acct/Ccy", code)
    except ValueProblem as problem:
        statement.problem = problem


def _balance(part: Part, statement: _Statement) -> Iterator[Item]:
    code = part.value("Tp/CdOrPrtry/Cd", "Tp/Cd")
    if code not in _OPENING | _CLOSING:
        return
    try:
        currency = currency_of("Ccy", (part.first("Amt") or part).attributes.get("Ccy"))
        minor = minor_of("Amt", xml_amount("Amt", part.value("Amt")), currency) * _sign(part)
        day = xml_moment("Dt", part.value("Dt/Dt", "Dt/DtTm")).day
        yield Balance(statement.account(currency), code in _OPENING, minor, day)
    except ValueProblem:
        # A balance is a help only: without it a new account begins with 0.
        return


def _sign(part: Part) -> int:
    word = part.value("CdtDbtInd")
    if word is None:
        raise ValueProblem("CdtDbtInd", "is missing")
    if word not in _SIGNS:
        raise ValueProblem("CdtDbtInd", f"{shown(word)} is neither CRDT nor DBIT")
    return _SIGNS[word]


def _entry(part: Part, statement: _Statement, label: str, number: int) -> Iterator[Item]:
    try:
        status = part.value("Sts/Cd", "Sts/Prtry", "Sts") or ""
        if status == _INFORMATION:
            yield LeftOut(part.line, "entries with the status INFO move no money")
            return
        yield from _bookings(part, statement, status)
    except ValueProblem as problem:
        cells = (part.value("BookgDt/Dt", "BookgDt/DtTm"), *(part.value(name) for name in COLUMNS[1:]))
        yield Reject(label, part.line, f"{problem} (entry {number})", tuple(cell or "" for cell in cells))


def _bookings(part: Part, statement: _Statement, status: str) -> list[Booking]:
    if part.too_large:
        raise ValueProblem("Ntry", "has more details than can be read at once")
    if status != _BOOKED and status not in _PENDING:
        raise ValueProblem(
            "Sts", f"{shown(status)} is not one of BOOK, PDNG, FUTR and INFO" if status else "is missing"
        )
    currency = currency_of("Ccy", (part.first("Amt") or part).attributes.get("Ccy"))
    account = statement.account(currency)
    signed = minor_of("Amt", xml_amount("Amt", part.value("Amt")), currency) * _sign(part)
    moved("Amt", signed)
    value = part.value("ValDt/Dt", "ValDt/DtTm")
    booked = part.value("BookgDt/Dt", "BookgDt/DtTm")
    moment = xml_moment("BookgDt" if booked or not value else "ValDt", booked or value)
    details = part.all("NtryDtls/TxDtls")
    amounts = _split(details, signed, currency, _sign(part)) if len(details) > 1 else None
    common = _Common(part, account, moment, status in _PENDING, value)
    if amounts is None:
        return [common.booking(signed, details[0] if len(details) == 1 else None)]
    return [common.booking(amount, detail, batch=True) for amount, detail in zip(amounts, details, strict=True)]


def _split(details: list[Part], signed: int, currency: Currency, sign: int) -> list[int] | None:
    """The signed amounts of a batch's details, if they all have one in the account's currency and add up to it."""
    amounts: list[int] = []
    for detail in details:
        amount = detail.first("Amt", "AmtDtls/TxAmt/Amt")
        if amount is None or amount.attributes.get("Ccy") != currency.value:
            return None
        try:
            minor = minor_of("Amt", xml_amount("Amt", amount.text), currency)
            amounts.append(minor * (_sign(detail) if detail.value("CdtDbtInd") else sign))
        except ValueProblem:
            return None
    return amounts if sum(amounts) == signed and all(amounts) else None


@dataclass(slots=True)
class _Common:
    """What the entries of a batch have in common."""

    part: Part
    account: FoundAccount
    moment: Moment
    pending: bool
    value_date: str | None

    def booking(self, signed: int, detail: Part | None, *, batch: bool = False) -> Booking:
        """One entry of the account, with its details if there are some."""
        part = self.part
        empty = Part("TxDtls", {}, part.line)
        one = detail if detail is not None else empty
        other = _counterparty(one, signed, part.value("RvslInd") in {"true", "1"})
        name = checked_text("Nm", one.value(*(f"RltdPties/{role}/{tail}" for role in other for tail in _NAMES)))
        number = checked_text("Acct", one.value(*(f"RltdPties/{role}Acct/Id/{x}" for role in other for x in _NUMBERS)))
        end_to_end = _reference(one, "EndToEndId")
        texts = [piece.text for piece in one.all("RmtInf/Ustrd")]
        texts += [piece.text for piece in one.all("RmtInf/Strd/CdtrRefInf/Ref")]
        said = " ".join(texts) or one.value("AddtlTxInf")
        remittance = checked_text("RmtInf", said) or checked_text("AddtlNtryInf", part.value("AddtlNtryInf"))
        reference = trusted_reference(part.value("AcctSvcrRef"))
        own = trusted_reference(_reference(one, "AcctSvcrRef"))
        if batch:
            # The batch's reference is that of all its parts, so the part's own ones belong to the id.
            told = (own, _reference(one, "TxId"), _reference(one, "InstrId"), end_to_end)
            reference = "\x1e".join((reference, *(text or "" for text in told))) if reference else own
        return Booking(
            account=self.account,
            line=one.line,
            day=self.moment.day,
            moment_ms=self.moment.millis(),
            signed_minor=signed,
            bank_id=reference or own,
            told=tuple(text or "" for text in (name, number, remittance, end_to_end)),
            pending=self.pending,
            value_date=xml_moment("ValDt", self.value_date).day if self.value_date else None,
            kind=_kind(part),
            counterparty=name,
            counterparty_account=number,
            end_to_end_id=end_to_end,
            remittance=remittance,
        )


_NAMES = ("Nm", "Pty/Nm", "Agt/FinInstnId/Nm")
_NUMBERS = ("IBAN", "Othr/Id")


def _counterparty(detail: Part, signed: int, reversed_: bool) -> tuple[str, ...]:
    """The roles of the other side: who paid what came in. In a reversal the roles are those of the first payment."""
    paid = (signed > 0) != reversed_
    return ("Dbtr", "UltmtDbtr") if paid else ("Cdtr", "UltmtCdtr")


def _reference(detail: Part, name: str) -> str | None:
    found = checked_text(name, detail.value(f"Refs/{name}"))
    return None if found is None or _NOT_PROVIDED.fullmatch(found) else found


def _kind(part: Part) -> str | None:
    domain = part.first("BkTxCd/Domn")
    if domain is not None:
        codes = (domain.value("Cd"), domain.value("Fmly/Cd"), domain.value("Fmly/SubFmlyCd"))
        return checked_text("BkTxCd", "/".join(code for code in codes if code))
    return checked_text("BkTxCd", part.value("BkTxCd/Prtry/Cd"))
