"""QIF files, as Quicken and many banks write them: no account number, no currency, dates in any order.

The reader is our own: quiffen ends at the first line that it does not understand, knows no line and takes the order of
day and month from its caller. What the file leaves open is found out over all of it, or asked for, as of CSV files.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from iso4217 import Currency

from streambank.bank.events import MoneyError, parse_currency
from streambank.bank.imports.amounts import DecimalMark, MarkEvidence
from streambank.bank.imports.columns import plain_word
from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.dates import STYLE_NAMES, STYLES, DateStyle, StyleEvidence, parse_date
from streambank.bank.imports.encodings import find_encoding
from streambank.bank.imports.entries import ImportedUser, Reject, Setting
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile, Line
from streambank.bank.imports.statement import Booking, FoundAccount, Item, LeftOut, StatementSource, bounded
from streambank.bank.imports.statement_values import (
    checked_moment,
    checked_text,
    minor_of,
    moved,
    written_amount,
)

COLUMNS = ("D", "T", "P", "M", "N")
RECORD_LINES_MAX = 2_000
"""A transaction with hundreds of splits has some; more is a file whose ends of records are lost."""

_CASH = frozenset({"bank", "cash", "ccard", "oth a", "oth l"})
_DATE = re.compile(r"\s*(\d{1,4})\s*([/.\-])\s*(\d{1,2})\s*(['’/.\-])\s*(\d{1,4})\s*", re.ASCII)
# A year of four digits is a whole one: 0024 is not 2024.
_NO_YEAR = re.compile(r"(?<!\d)0\d{2,3}(?!\d)", re.ASCII)
_OPENING_NAMES = frozenset({"openingbalance", "saldoinicial", "anfangssaldo", "eroffnungssaldo", "soldeinitial"})


@dataclass(slots=True)
class _Record:
    """Lines up to a ``^``: the first of each letter. ``section`` is what stood after the last ``!Type:``."""

    line: int
    section: str
    account: str | None
    fields: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the file is written."""

    encoding: str
    date_style: DateStyle
    mark: DecimalMark
    currency: Currency
    account: str | None
    negated: bool


def open_qif(path: Path, owner: ImportedUser, overrides: CsvOverrides | None = None) -> StatementSource:
    """Open a QIF file.

    Raises:
        ImportFileError: it cannot be read, is none, or leaves something open; the text names the override for that.
    """
    given = overrides or CsvOverrides()
    layout, settings = _detect(path, given)

    def read(file: InputFile) -> Iterator[Item]:
        return _items(file, layout)

    return StatementSource(path, owner, read, what="QIF", columns=COLUMNS, overrides=given, settings=settings)


def _detect(path: Path, given: CsvOverrides) -> tuple[_Layout, list[Setting]]:
    encoding = find_encoding(path, given.encoding)
    dates, amounts, unnamed, records = StyleEvidence(), MarkEvidence(), False, 0
    with bounded(path) as file:
        for record in _records(file.lines(encoding.name)):
            if record.section not in _CASH:
                continue
            records += 1
            dates.add(_plain_date(record.fields.get("D", "")))
            amounts.add(_amount_text(record.fields))
            unnamed = unnamed or record.account is None
    if not records:
        raise ImportFileError(f"{path} has no transactions of a bank, cash or card account; export those as QIF")
    problems: list[str] = []
    style, style_why = _style(dates, given, problems)
    mark, mark_why = _mark(amounts, given, problems)
    currency: Currency | None = None
    if given.currency is None:
        problems.append("a QIF file does not say its currency: give it (currency)")
    else:
        try:
            currency = parse_currency(given.currency)
        except MoneyError as error:
            problems.append(f"{error} (currency)")
    if unnamed and not given.account:
        problems.append("the file does not name the account: give it a name (account)")
    if problems or currency is None:
        raise ImportFileError(f"{path} is not clear yet: {'; '.join(problems)}")
    negated = given.sign == "negated"
    settings = [
        Setting("encoding", encoding.name, encoding.sure, encoding.why),
        Setting("dates", STYLE_NAMES[style], True, style_why),
        Setting("decimal mark", "point" if mark == "." else "comma", True, mark_why),
        Setting("sign", "negated" if negated else "signed", True, "as you said" if given.sign else "as QIF has it"),
        Setting("currency", currency.value, True, "as you said"),
    ]
    return _Layout(encoding.name, style, mark, currency, given.account, negated), settings


def _style(dates: StyleEvidence, given: CsvOverrides, problems: list[str]) -> tuple[DateStyle, str]:
    if given.date_style is not None:
        return given.date_style, "as you said"
    ranked = sorted(STYLES, key=lambda style: -dates.valid[style])
    best = ranked[0]
    tied = [style for style in STYLES if dates.valid[style] == dates.valid[best]]
    if len(tied) == 1:
        return best, f"{dates.valid[best]:,} of {dates.seen:,} dates are dates that way"
    if len(tied) == 3:
        return "ymd", "the year is first: there is only one way to read them"
    if dates.dotted == dates.seen:
        return "dmy", "dates with dots have the day first"
    problems.append(
        "the dates can be read as day-month-year and as month-day-year, no day is above 12: say which (date_style)"
    )
    return best, ""


def _mark(amounts: MarkEvidence, given: CsvOverrides, problems: list[str]) -> tuple[DecimalMark, str]:
    if given.decimal_mark is not None:
        return given.decimal_mark, "as you said"
    votes = amounts.votes
    best: DecimalMark = "," if votes[","] > votes["."] else "."
    if votes[best]:
        return best, f"as in {amounts.example[best]!r}"
    if amounts.open:
        problems.append(
            f"the amounts, such as {amounts.example['?']!r}, can be read with a decimal point and with a decimal comma:"
            " say which (decimal_mark)"
        )
    return best, "no amount has any decimals"


def _records(lines: Iterator[Line]) -> Iterator[_Record]:
    """The records of all sections. A list of accounts is only there to name the account of what follows."""
    section = ""
    account: str | None = None
    record: _Record | None = None
    count = listed = 0
    for line in lines:
        text = line.text.strip("\r\n\t ").removeprefix("\ufeff")
        if text.startswith("!"):
            if record is not None:
                record.problem = "record: is not ended by ^ before the next section"
                yield record
                record = None
            section, account = _section(text, section, account)
            listed = 0
        elif text.startswith("^"):
            if record is not None:
                if section == "account":
                    # Of several it is a list, and says nothing of what follows.
                    account = checked_name(record.fields.get("N")) if not listed else None
                    listed += 1
                else:
                    yield record
            record = None
        elif text:
            if record is None:
                record, count = _Record(line.number, section, account), 0
            count += 1
            if count > RECORD_LINES_MAX:
                record.problem = f"record: has more than {RECORD_LINES_MAX:,} lines"
            elif text[0] in "DTUPMNLAC":
                _put(record, text[0], text[1:].strip())
    if record is not None and section != "account":
        record.problem = "record: is not ended by ^ at the file's end"
        yield record


def _section(text: str, section: str, account: str | None) -> tuple[str, str | None]:
    """The section and the account after a line with ``!``."""
    word, _, kind = text[1:].partition(":")
    if word.strip().casefold() == "account":
        return "account", None
    if word.strip().casefold() == "type":
        # A list of accounts may be between; of another kind it is not the account that was named before.
        kind = " ".join(kind.casefold().split())
        return kind, account if section in {kind, "account"} else None
    if word.strip().casefold() == "option":
        return section, account
    # !Clear:AutoSwitch ends the list of all accounts; what is unknown begins something unknown.
    return text.casefold(), None


def checked_name(text: str | None) -> str | None:
    """An account's name; None if it is none."""
    try:
        return checked_text("N", text)
    except ValueProblem:
        return None


def _put(record: _Record, letter: str, value: str) -> None:
    if record.problem is None and letter in record.fields and letter in "DT":
        record.problem = f"{letter}: is given twice: two transactions seem to have run into one another"
    record.fields.setdefault(letter, value)


def _items(file: InputFile, layout: _Layout) -> Iterator[Item]:
    label, count = file.path.name, 0
    for record in _records(file.lines(layout.encoding)):
        if record.section not in _CASH:
            yield LeftOut(record.line, f"records of the section {record.section[:40]!r} are no transactions of money")
            continue
        count += 1
        try:
            booking = _booking(record, layout)
        except ValueProblem as problem:
            yield Reject(label, record.line, str(problem), tuple(record.fields.get(name, "") for name in COLUMNS))
            continue
        if booking is not None:
            yield booking


def _booking(record: _Record, layout: _Layout) -> Booking | None:
    fields = record.fields
    if record.problem is not None:
        place, _, reason = record.problem.partition(": ")
        raise ValueProblem(place, reason)
    name = record.account or layout.account
    if name is None:
        raise ValueProblem("!Account", "the account is not named")
    key = "\x1f".join(("qif", " ".join(name.casefold().split())))
    account = FoundAccount(key, layout.currency, name, is_number=False)
    amount = written_amount("T", _amount_text(fields), layout.mark)
    minor = minor_of("T", amount, layout.currency) * (-1 if layout.negated else 1)
    payee, memo = checked_text("P", fields.get("P")), checked_text("M", fields.get("M"))
    opening = plain_word(payee or "").replace(" ", "") in _OPENING_NAMES
    if opening and minor == 0:
        return None
    try:
        if _NO_YEAR.search(fields.get("D", "")):
            raise ValueProblem("D", f"{fields['D']!r} is not a date")
        moment = parse_date(_plain_date(fields.get("D", "")), layout.date_style)
    except ValueProblem as problem:
        raise ValueProblem("D", problem.reason) from None
    number = checked_text("N", fields.get("N"))
    return Booking(
        account=account,
        line=record.line,
        day=checked_moment("D", moment).day,
        moment_ms=moment.millis(),
        signed_minor=moved("T", minor),
        told=tuple(text or "" for text in (payee, memo, number)),
        opening=opening,
        category=checked_text("L", fields.get("L")),
        counterparty=payee,
        remittance=memo,
    )


def _amount_text(fields: dict[str, str]) -> str:
    return fields.get("T") or fields.get("U") or ""


def _plain_date(text: str) -> str:
    """A date with one kind of mark: QIF writes 2024-01-15 as ``1/15'24`` or ``1/15' 4`` too."""
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    first, mark, second, other, third = match.groups()
    if len(third) == 1:
        third = f"0{third}"
    if other in "'’" and len(third) == 2:
        third = f"20{third}"
    return f"{first}{mark}{second}{mark}{third}"
