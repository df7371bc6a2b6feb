"""What the readers of bank statements share: accounts, ids, opening balances, order.

A reader turns a file into items; :class:`StatementSource` makes the source of them that the importer takes. Only the
last four characters of an account's number are kept; the whole of it is only hashed into the account's id. An IBAN is
the same account in every format.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec
from iso4217 import Currency

from streambank.bank.events.money import INT64_MAX, INT64_MIN
from streambank.bank.imports.csv_detect import CsvOverrides
from streambank.bank.imports.date_order import in_time_order
from streambank.bank.imports.entries import (
    OPENING,
    ImportedAccount,
    ImportedEntry,
    ImportedUser,
    Reject,
    Report,
    Setting,
    Source,
)
from streambank.bank.imports.errors import ImportFileError, ValueProblem
from streambank.bank.imports.files import InputFile
from streambank.bank.imports.statement_values import checked_text, day_ms, minor_of
from streambank.ids import derived_id

FILE_BYTES_MAX = 256 << 20
"""Unpacked; ten times a large company's month. What unpacks to more is a bomb, or has to be split."""

ACCOUNTS_MAX = 10_000


class FoundAccount(NamedTuple):
    """An account as a file has it. ``key`` tells it from the owner's others; ``shown`` is what its name is made of."""

    key: str
    currency: Currency
    shown: str
    is_number: bool = True


class Booking(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One transaction, understood. ``bank_id`` is the bank's own id where it can be trusted; see :func:`booking`.

    ``told`` are the texts by which it is told from others without such an id.
    """

    account: FoundAccount
    line: int
    day: date
    moment_ms: int
    signed_minor: int
    bank_id: str | None = None
    told: tuple[str, ...] = ()
    pending: bool = False
    opening: bool = False
    value_date: date | None = None
    kind: str | None = None
    category: str | None = None
    counterparty: str | None = None
    counterparty_account: str | None = None
    end_to_end_id: str | None = None
    remittance: str | None = None


class Balance(NamedTuple):
    """What an account holds before (``opening``) or after a statement. ``whole``: nothing is between entries and it."""

    account: FoundAccount
    opening: bool
    minor: int
    day: date
    whole: bool = True


class StatementStart(NamedTuple):
    """A statement, or a list of entries, begins here: no id occurs twice in it for one entry."""

    line: int


class LeftOut(NamedTuple):
    """Something in the file that is no entry of an account, and why."""

    line: int
    why: str


Item: TypeAlias = Booking | Balance | Reject | StatementStart | LeftOut
Reader: TypeAlias = Callable[[InputFile], Iterator[Item]]


@dataclass(slots=True)
class _Seen:
    """What the survey found of an account."""

    opening: Balance | None = None
    closing: Balance | None = None
    sum_minor: int = 0
    entries: int = 0


@dataclass(slots=True)
class _Survey:
    accounts: dict[FoundAccount, _Seen] = field(default_factory=dict)
    entries: int = 0
    rejected: int = 0
    first_reject: Reject | None = None
    rising: int = 0
    falling: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def ordered(self) -> bool:
        return not self.falling

    @property
    def newest_first(self) -> bool:
        return self.falling > self.rising


class StatementSource:
    """A statement file that was understood; see :func:`~streambank.bank.imports.sniff.open_statement`.

    An entry's identity is the bank's own id with day and amount, where the id can be trusted: then it is found again
    in a file that overlaps, and one that is the same twice within a list of entries is two entries. Else it is day,
    amount and texts, and equal ones are counted, as of CSV rows.
    """

    def __init__(
        self,
        path: Path,
        owner: ImportedUser,
        read: Reader,
        *,
        what: str,
        columns: tuple[str, ...],
        overrides: CsvOverrides | None = None,
        settings: Sequence[Setting] = (),
    ) -> None:
        """Read the file once, for its accounts and balances.

        ``what`` names the format, ``columns`` the fields of its rejects.

        Raises:
            ImportFileError: it cannot be read, or has neither an entry nor an account that can be told.
        """
        self._path = path
        self._read = read
        self._columns = columns
        self._overrides = overrides or CsvOverrides()
        self._survey = self._surveyed()
        found = self._survey.accounts
        if not found:
            if (first := self._survey.first_reject) is not None:
                raise ImportFileError(f"{path}, line {first.line}: {first.reason}; nothing in the file can be imported")
            raise ImportFileError(f"{path} has no account and no entry; export it again")
        self._by_found = _accounts(found, owner, self._overrides)
        self._accounts = {account.account_id: account for account in self._by_found.values()}
        self._openings = self._find_openings()
        numbers = ", ".join(account.name for account in self._accounts.values())
        self._settings = (
            Setting("format", what, True, "by its content"),
            *settings,
            Setting("accounts", numbers if len(found) <= 5 else f"{len(found):,}", True, "the file names them"),
        )

    @property
    def label(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def settings(self) -> Sequence[Setting]:
        """What was found."""
        return self._settings

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the fields that a reject has."""
        return self._columns

    @property
    def accounts(self) -> Mapping[str, ImportedAccount]:
        """The accounts by id: one for each number and currency."""
        return self._accounts

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        """The entries, oldest first; each new account's opening balance before its first one."""
        for warning in self._survey.warnings:
            report.warn(warning)
        entries = self._entries(report)
        if not self._survey.ordered:
            newest_first = self._survey.newest_first
            entries = in_time_order(entries, ImportedEntry, lambda entry: entry.occurred_ms, newest_first=newest_first)
        return self._with_openings(entries)

    def _items(self, report: Report | None = None) -> Iterator[Item]:
        with bounded(self._path) as file:
            for item in self._read(file):
                if report is not None:
                    report.position(file.fraction)
                yield item
            if file.fault is not None:
                yield Reject(self.label, 0, f"file: {file.fault}; what follows was not read")

    def _surveyed(self) -> _Survey:
        survey = _Survey()
        ids: set[tuple[FoundAccount, str]] = set()
        last_ms: int | None = None
        left_out: Counter[str] = Counter()
        for item in _numbered(self._items()):
            if isinstance(item, Booking):
                seen = _seen(survey, item.account, self._path)
                seen.entries += 1
                if item.bank_id is None or (key := (item.account, _identity(item))) not in ids:
                    seen.sum_minor += 0 if item.pending else item.signed_minor
                    if item.bank_id is not None:
                        ids.add(key)
                survey.entries += 1
                if last_ms is not None:
                    survey.rising += item.moment_ms > last_ms
                    survey.falling += item.moment_ms < last_ms
                last_ms = item.moment_ms
            elif isinstance(item, Balance):
                _note_balance(_seen(survey, item.account, self._path), item)
            elif isinstance(item, Reject):
                survey.rejected += 1
                survey.first_reject = survey.first_reject or item
            elif isinstance(item, LeftOut):
                left_out[item.why] += 1
        survey.warnings += [f"{self.label}: {why}; {count:,} left out" for why, count in left_out.items()]
        return survey

    def _find_openings(self) -> dict[str, ImportedEntry]:
        """The opening entry of every account of which the file tells what it held before."""
        openings: dict[str, ImportedEntry] = {}
        given = self._overrides.opening_balance
        if given is not None and (len(self._by_found) > 1 or not given.is_finite()):
            raise ImportFileError(
                f"{self._path}: an opening balance is an amount, and only for a file of one account (opening_balance)"
            )
        for found, seen in self._survey.accounts.items():
            account = self._by_found[found]
            if given is not None:
                minor: int | None = _given_minor(given, found.currency)
            else:
                minor = self._opening_minor(seen, account.name)
            day = next((b.day for b in (seen.opening, seen.closing) if b is not None), None)
            if minor and INT64_MIN <= minor <= INT64_MAX and (seen.entries or day is not None):
                openings[account.account_id] = _opening(account, minor, day, only_if_new=given is None)
        return openings

    def _opening_minor(self, seen: _Seen, name: str) -> int | None:
        closing = seen.closing
        if seen.opening is not None:
            after = seen.opening.minor + seen.sum_minor
            if closing is not None and after != closing.minor and not self._survey.rejected:
                self._survey.warnings.append(
                    f"{self.label}: {name}: the entries make {after} of the opening balance, the closing balance is"
                    f" {closing.minor} (minor units); entries seem to be missing"
                )
            return seen.opening.minor
        if closing is None:
            return None
        if not closing.whole or self._survey.rejected:
            self._survey.warnings.append(
                f"{self.label}: {name}: what it held before does not follow from the file's balance, which is of"
                " another day than the entries' end, or rows are rejected; a new account begins with 0"
            )
            return None
        return closing.minor - seen.sum_minor

    def _entries(self, report: Report) -> Iterator[ImportedEntry]:
        for item in _numbered(self._items(report)):
            if isinstance(item, Booking):
                account = self._by_found.get(item.account)
                if account is None:
                    raise ImportFileError(f"{self._path} was changed while it was read; import it again")
                yield _entry(item, account.account_id)
            elif isinstance(item, Reject):
                report.reject(item)
            elif isinstance(item, LeftOut):
                report.leave_out()
        report.position(1.0)

    def _with_openings(self, entries: Iterator[ImportedEntry]) -> Iterator[ImportedEntry]:
        waiting = dict(self._openings)
        for entry in entries:
            opening = waiting.pop(entry.account_id, None)
            if opening is not None:
                yield msgspec.structs.replace(opening, occurred_ms=entry.occurred_ms, booking_date=entry.booking_date)
            yield entry
        yield from sorted(waiting.values(), key=lambda entry: entry.occurred_ms)


class BookedOnly:
    """A source without its pending entries, for where only booked ones have a place."""

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def label(self) -> str:
        """The file's name."""
        return self._source.label

    @property
    def settings(self) -> Sequence[Setting]:
        """What was found."""
        return self._source.settings

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the fields that a reject has."""
        return self._source.header

    @property
    def accounts(self) -> Mapping[str, ImportedAccount]:
        """The accounts by id."""
        return self._source.accounts

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        """The booked entries; the pending ones are counted as left out."""
        pending = 0
        for entry in self._source.entries(report):
            if entry.pending:
                pending += 1
                report.leave_out()
            else:
                yield entry
        if pending:
            report.warn(f"{self.label}: entries that the bank has not booked yet: {pending:,}; left out until it has")


def bounded(path: Path) -> InputFile:
    """The file, opened, which ends with an error where it is longer than ``FILE_BYTES_MAX``."""
    return _BoundedFile(path)


class _BoundedFile(InputFile):
    _left = FILE_BYTES_MAX

    def read(self, size: int) -> bytes:
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ImportFileError(f"{self.path} has more than {FILE_BYTES_MAX >> 20} MiB (unpacked); split it")
        return data


def text_of(fields: Mapping[str, str], *names: str) -> str | None:
    """The texts of those fields that there are, as one. Raises ValueProblem for what is no text."""
    texts = [found for name in names if (found := checked_text(name, fields.get(name)))]
    return checked_text("/".join(names), " ".join(dict.fromkeys(texts)))


def _numbered(items: Iterator[Item]) -> Iterator[Item]:
    """The items; a bank's id with the same day and amount again in one list of entries gets its number added."""
    repeats: Counter[tuple[FoundAccount, str]] = Counter()
    for item in items:
        if isinstance(item, StatementStart):
            repeats.clear()
        elif isinstance(item, Booking) and item.bank_id is not None:
            key = (item.account, _identity(item))
            repeats[key] += 1
            if repeats[key] > 1:
                item = msgspec.structs.replace(item, bank_id=f"{item.bank_id}\x1f{repeats[key]}")
        yield item


def _identity(item: Booking) -> str:
    if item.opening:
        return "opening"
    told = ("id", item.bank_id) if item.bank_id is not None else item.told
    return "\x1f".join((item.day.isoformat(), str(item.signed_minor), *told))


def _entry(item: Booking, account_id: str) -> ImportedEntry:
    return ImportedEntry(
        account_id=account_id,
        line=item.line,
        occurred_ms=item.moment_ms,
        booking_date=item.day,
        signed_minor=item.signed_minor,
        identity=_identity(item),
        unique=item.bank_id is not None or item.opening,
        only_if_new=item.opening,
        pending=item.pending,
        value_date=item.value_date,
        kind=OPENING if item.opening else item.kind,
        category=item.category,
        counterparty=item.counterparty,
        counterparty_account=item.counterparty_account,
        end_to_end_id=item.end_to_end_id,
        remittance=item.remittance,
        balance_after_minor=item.signed_minor if item.opening else None,
    )


def _seen(survey: _Survey, account: FoundAccount, path: Path) -> _Seen:
    seen = survey.accounts.get(account)
    if seen is None:
        if len(survey.accounts) >= ACCOUNTS_MAX:
            raise ImportFileError(f"{path} has more than {ACCOUNTS_MAX:,} accounts; split it")
        seen = survey.accounts[account] = _Seen()
    return seen


def _note_balance(seen: _Seen, balance: Balance) -> None:
    """Keep the earliest opening and the latest closing balance; of those of one day, the first and the last."""
    if balance.opening:
        if seen.opening is None or balance.day < seen.opening.day:
            seen.opening = balance
    elif seen.closing is None or balance.day >= seen.closing.day:
        seen.closing = balance


def _given_minor(given: Decimal, currency: Currency) -> int:
    try:
        return minor_of("opening_balance", given, currency)
    except ValueProblem as problem:
        raise ImportFileError(str(problem)) from None


def _opening(account: ImportedAccount, minor: int, day: date | None, *, only_if_new: bool) -> ImportedEntry:
    return ImportedEntry(
        account_id=account.account_id,
        line=0,
        occurred_ms=day_ms(day) if day is not None else 0,
        booking_date=day if day is not None else date(1970, 1, 1),
        signed_minor=minor,
        identity="opening",
        unique=True,
        only_if_new=only_if_new,
        kind=OPENING,
        balance_after_minor=minor,
    )


def _accounts(
    found: Mapping[FoundAccount, _Seen], owner: ImportedUser, overrides: CsvOverrides
) -> dict[FoundAccount, ImportedAccount]:
    currencies = Counter((one.key, one.shown) for one in found)
    several = len({one.key for one in found}) > 1
    accounts: dict[FoundAccount, ImportedAccount] = {}
    for one in found:
        last4 = one.shown[-4:] if one.is_number else overrides.number[-4:] if overrides.number else None
        name = f"Account …{last4}" if one.is_number else one.shown
        if overrides.account and one.is_number:
            name = f"{overrides.account} …{last4}" if several else overrides.account
        if currencies[one.key, one.shown] > 1:
            name = f"{name} ({one.currency.value})"
        accounts[one] = ImportedAccount(
            account_id=derived_id("statement-account", owner.user_id, one.key, one.currency.value),
            owner=owner,
            name=name,
            currency=one.currency,
            number_last4=last4,
        )
    return accounts
