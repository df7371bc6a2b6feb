"""CSV rows as entries: the mapping that was detected, applied row by row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iso4217 import Currency

from streambank.bank.events import MoneyError, parse_currency, to_minor
from streambank.bank.events.money import INT64_MAX
from streambank.bank.imports.amounts import Money, parse_money
from streambank.bank.imports.columns import CREDIT_WORDS, DEBIT_WORDS, Role, plain_word
from streambank.bank.imports.csv_detect import CsvOverrides, Detection, detect, open_rows
from streambank.bank.imports.csv_dialect import Record
from streambank.bank.imports.date_order import in_time_order
from streambank.bank.imports.dates import Moment, parse_date
from streambank.bank.imports.entries import (
    OPENING,
    ImportedAccount,
    ImportedEntry,
    ImportedUser,
    Reject,
    Report,
    Setting,
    clean,
)
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.ids import derived_id

PROGRESS_ROWS = 1_000
TEXT_CHARS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one row by role; an unmapped one is empty."""

    fields: Sequence[str]
    columns: Mapping[Role, int]

    def __getitem__(self, role: Role) -> str:
        at = self.columns.get(role)
        return "" if at is None else self.fields[at]

    def text(self, role: Role) -> str | None:
        found = clean(self[role])
        if found is not None and len(found) > TEXT_CHARS_MAX:
            raise ValueProblem(role.value, f"has {len(found):,} characters, more than {TEXT_CHARS_MAX:,}")
        return found


class CsvSource:
    """A CSV file that was understood: see :func:`open_csv`.

    An entry's identity is the bank's own id with day and amount where the file has ids; else day, amount, texts and
    reference. The balance, category and kind are no part of it, so that they may be mapped later without doubling.
    """

    def __init__(self, detection: Detection, owner: ImportedUser) -> None:
        """Take a detection without problems.

        Raises:
            ImportFileError: something is still undecided, or the time zone is unknown.
        """
        if detection.problems:
            raise ImportFileError(f"{detection.path}: {'; '.join(detection.problems)}")
        self._detection = detection
        self._overrides = detection.overrides
        self._words = (
            frozenset(map(plain_word, self._overrides.debit_words)) | DEBIT_WORDS - self._said(debit=False),
            frozenset(map(plain_word, self._overrides.credit_words)) | CREDIT_WORDS - self._said(debit=True),
        )
        self._zone = _zone(detection)
        self._by_cells = _accounts(detection, owner)
        self._accounts = {account.account_id: account for account in self._by_cells.values()}

    def _said(self, *, debit: bool) -> frozenset[str]:
        return frozenset(map(plain_word, self._overrides.debit_words if debit else self._overrides.credit_words))

    @property
    def detection(self) -> Detection:
        """How the file is read."""
        return self._detection

    @property
    def label(self) -> str:
        """The file's name."""
        return self._detection.path.name

    @property
    def settings(self) -> Sequence[Setting]:
        """What was detected."""
        return self._detection.settings

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._detection.header

    @property
    def accounts(self) -> Mapping[str, ImportedAccount]:
        """The accounts by id: one for each account cell and currency."""
        return self._accounts

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        """The rows as entries, oldest first."""
        for warning in self._detection.warnings:
            report.warn(warning)
        rows = self._rows(report)
        if not self._detection.sorted_by_date:
            newest_first = self._detection.row_order == "newest-first"
            rows = in_time_order(rows, ImportedEntry, lambda entry: entry.occurred_ms, newest_first=newest_first)
        if self._overrides.opening_balance is not None:
            rows = self._with_opening(rows, self._overrides.opening_balance)
        if Role.BALANCE in self._detection.columns:
            rows = self._checked(rows, report)
        return rows

    def _rows(self, report: Report) -> Iterator[ImportedEntry]:
        found = self._detection
        cut: Record | None = None
        with open_rows(found.path, found.encoding, found.dialect, found.first_line) as (file, rows):
            for count, row in enumerate(rows):
                if count % PROGRESS_ROWS == 0:
                    report.position(file.fraction)
                if not row.ended:
                    cut = row
                    break
                if entry := self._entry(row, report):
                    yield entry
            # A row without a line end is whole in a whole file; in a cut one its last field may be half of itself.
            if cut is not None and file.fault is not None:
                report.reject(Reject(self.label, cut.line, f"incomplete: {file.fault}", tuple(cut.fields)))
            elif cut is not None and (entry := self._entry(cut, report)):
                yield entry
        report.position(1.0)

    def _entry(self, row: Record, report: Report) -> ImportedEntry | None:
        try:
            if row.problem is not None:
                raise ValueProblem("row", row.problem)
            return self._understand(row)
        except ValueProblem as problem:
            reason = str(problem)
        except MoneyError as error:
            reason = f"amount: {error}"
        report.reject(Reject(self.label, row.line, reason, tuple(row.fields)))
        return None

    def _understand(self, row: Record) -> ImportedEntry:
        found = self._detection
        fields = row.fields
        if len(fields) < found.width or any(cell.strip() for cell in fields[found.width :]):
            raise ValueProblem("row", f"has {len(fields)} fields, not {found.width} as the others")
        cells = _Cells(fields, found.columns)
        currency = found.currency
        if Role.CURRENCY in found.columns and currency is None:
            currency = parse_currency(cells[Role.CURRENCY])
        account = self._by_cells[_account_key(cells, currency)]
        moment = _on(Role.DATE, cells[Role.DATE], found)
        value_date = _on(Role.VALUE_DATE, text, found).day if (text := cells[Role.VALUE_DATE]).strip() else None
        signed = self._signed(cells, account.currency)
        balance_text = cells[Role.BALANCE].strip()
        balance = self._minor(Role.BALANCE, balance_text, account.currency) if balance_text else None
        counterparty, remittance = cells.text(Role.COUNTERPARTY), cells.text(Role.REMITTANCE)
        counter_account, end_to_end = cells.text(Role.COUNTERPARTY_ACCOUNT), cells.text(Role.END_TO_END_ID)
        bank_id = cells.text(Role.ID)
        occurred_ms = moment.millis(self._zone)
        if occurred_ms < 0:
            raise ValueProblem("date", "is before 1970-01-01, the earliest moment that can be stored")
        told = ("id", bank_id) if bank_id else (counterparty, counter_account, remittance, end_to_end)
        return ImportedEntry(
            account_id=account.account_id,
            line=row.line,
            occurred_ms=occurred_ms,
            booking_date=moment.day,
            signed_minor=signed,
            identity="\x1f".join((str(occurred_ms), str(signed), *(text or "" for text in told))),
            unique=bank_id is not None,
            value_date=value_date,
            kind=cells.text(Role.KIND),
            category=cells.text(Role.CATEGORY),
            counterparty=counterparty,
            counterparty_account=counter_account,
            end_to_end_id=end_to_end,
            remittance=remittance,
            balance_after_minor=balance,
        )

    def _signed(self, cells: _Cells, currency: Currency) -> int:
        rule = self._detection.sign
        if rule == "two-columns":
            return self._two_columns(cells, currency)
        amount = self._minor(Role.AMOUNT, cells[Role.AMOUNT], currency)
        if rule == "signed":
            return amount
        if rule == "negated":
            return -amount
        word = plain_word(cells[Role.INDICATOR])
        debit, credit = self._words
        if word in debit:
            return -abs(amount)
        if word not in credit:
            raise ValueProblem("indicator", f"{cells[Role.INDICATOR]!r} is neither debit nor credit")
        if amount < 0:
            raise ValueProblem("amount", f"{cells[Role.AMOUNT]!r} is negative but marked as credit")
        return amount

    def _two_columns(self, cells: _Cells, currency: Currency) -> int:
        debit = self._minor(Role.DEBIT, text, currency) if (text := cells[Role.DEBIT].strip()) else 0
        credit = self._minor(Role.CREDIT, text, currency) if (text := cells[Role.CREDIT].strip()) else 0
        if debit and credit:
            raise ValueProblem("debit", "debit and credit are both given; one of them has to be empty or zero")
        if not cells[Role.DEBIT].strip() and not cells[Role.CREDIT].strip():
            raise ValueProblem("debit", "debit and credit are both empty")
        return credit + (debit if self._detection.debit_negative else -debit)

    def _minor(self, role: Role, text: str, currency: Currency) -> int:
        try:
            money: Money = parse_money(text, self._detection.decimal_mark)
        except ValueProblem as problem:
            raise ValueProblem(role.value, problem.reason) from None
        unit = money.unit
        if unit and len(unit) == 3 and unit.isascii() and unit.isalpha() and unit.upper() != currency.value:
            raise ValueProblem(role.value, f"{text!r} is not in {currency.value}, the account's currency")
        minor = to_minor(money.value, currency)
        if abs(minor) > INT64_MAX:
            raise ValueProblem(role.value, f"{text!r} is beyond 64 bits")
        return minor

    def _with_opening(self, rows: Iterator[ImportedEntry], opening: Decimal) -> Iterator[ImportedEntry]:
        for count, entry in enumerate(rows):
            if count == 0:
                currency = self._accounts[entry.account_id].currency
                yield _opening(entry, to_minor(opening, currency), only_if_new=False)
            yield entry

    def _checked(self, rows: Iterator[ImportedEntry], report: Report) -> Iterator[ImportedEntry]:
        """The rows, with the file's balance column compared: a difference is a warning, for the rows are the facts."""
        balances: dict[str, int] = {}
        wrong, first = 0, ""
        derive = self._overrides.opening_balance is None
        for entry in rows:
            claimed = entry.balance_after_minor
            before = balances.get(entry.account_id)
            if entry.kind == OPENING and entry.line == 0:
                balances[entry.account_id] = entry.signed_minor
            elif before is None and claimed is not None:
                balances[entry.account_id] = claimed
                if derive and claimed != entry.signed_minor and abs(claimed - entry.signed_minor) <= INT64_MAX:
                    yield _opening(entry, claimed - entry.signed_minor, only_if_new=True)
            elif before is not None:
                after = before + entry.signed_minor
                if claimed is not None and claimed != after:
                    wrong += 1
                    first = first or f"line {entry.line}: it says {claimed}, the rows before make {after} (minor units)"
                balances[entry.account_id] = after if claimed is None else claimed
            yield entry
        if wrong:
            report.warn(
                f"{self.label}: the balance column does not follow from the amounts at {wrong:,} rows, first {first};"
                " check signs and row order"
            )


def _opening(first: ImportedEntry, minor: int, *, only_if_new: bool) -> ImportedEntry:
    return ImportedEntry(
        account_id=first.account_id,
        line=0,
        occurred_ms=first.occurred_ms,
        booking_date=first.booking_date,
        signed_minor=minor,
        identity="opening",
        unique=True,
        only_if_new=only_if_new,
        kind=OPENING,
        balance_after_minor=minor,
    )


def _on(role: Role, text: str, found: Detection) -> Moment:
    try:
        return parse_date(text, found.date_style)
    except ValueProblem as problem:
        raise ValueProblem(role.value, problem.reason) from None


def _account_key(cells: _Cells, currency: Currency | None) -> tuple[str, str]:
    return cells[Role.ACCOUNT].strip(), currency.value if currency is not None else ""


def _zone(detection: Detection) -> tzinfo:
    try:
        return ZoneInfo(detection.overrides.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ImportFileError(
            f"unknown time zone {detection.overrides.timezone!r}: use a name such as Europe/Prague"
        ) from None


def _accounts(found: Detection, owner: ImportedUser) -> dict[tuple[str, str], ImportedAccount]:
    """The account of every account cell and currency. An unknown currency has none: its rows are rejected."""
    accounts: dict[tuple[str, str], ImportedAccount] = {}
    names: dict[str, int] = {}
    keys: list[tuple[str, Currency]] = []
    for cell, code in found.accounts:
        try:
            currency = found.currency or parse_currency(code)
        except MoneyError:
            continue
        if (cell, currency) not in keys:
            keys.append((cell, currency))
            names[cell] = names.get(cell, 0) + 1
    for cell, currency in keys:
        number = found.overrides.number or cell
        # A Czech or Slovak number ends with a slash and the bank's code, which is no part of the account's number.
        digits = "".join(char for char in number.partition("/")[0] if char.isalnum())
        # The full number is only hashed into the id: what is stored of it are the last four characters.
        is_number = sum(char.isdigit() for char in digits) >= 4
        last4 = digits[-4:] if is_number else None
        name = found.overrides.account or (f"Account …{last4}" if is_number else clean(cell) or "Account")
        if names[cell] > 1:
            name = f"{name} ({currency.value})"
        which = plain_word(cell) or plain_word(found.overrides.account or "")
        accounts[cell, currency.value] = ImportedAccount(
            account_id=derived_id("csv-account", owner.user_id, which, currency.value),
            owner=owner,
            name=name,
            currency=currency,
            number_last4=last4,
        )
    return accounts


def open_csv(path: Path, owner: ImportedUser, overrides: CsvOverrides | None = None) -> CsvSource:
    """Detect and open in one step. Raises ImportFileError if anything is left undecided."""
    return CsvSource(detect(path, overrides), owner)
