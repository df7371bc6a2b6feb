"""What an import would do, before anything is written."""

from dataclasses import dataclass, field
from datetime import date

from iso4217 import Currency

from streambank.bank.booked import Booked, read_booked
from streambank.bank.imports.dedupe import Fresh
from streambank.bank.imports.entries import ImportedAccount, ImportedEntry, Reject, Setting, Source, Tally
from streambank.log import EventLog


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One entry as it would be imported; ``present`` if the log has it already."""

    entry: ImportedEntry
    account: ImportedAccount
    present: bool


@dataclass(slots=True)
class Total:
    """Sums over the new entries of one currency, in minor units."""

    entries: int = 0
    credit_minor: int = 0
    debit_minor: int = 0

    @property
    def net_minor(self) -> int:
        """What the entries change in all."""
        return self.credit_minor - self.debit_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an import would do. ``first_day`` and ``last_day`` are booking dates of all entries, new or not.

    ``accounts`` are those with entries. ``rejects`` are the first ones, ``rejected`` counts all.
    """

    label: str
    settings: tuple[Setting, ...]
    rows: tuple[PreviewRow, ...]
    new: int
    duplicates: int
    rejected: int
    left_out: int
    first_day: date | None
    last_day: date | None
    totals: dict[Currency, Total]
    accounts: tuple[ImportedAccount, ...]
    rejects: tuple[Reject, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    rows: list[PreviewRow] = field(default_factory=list)
    new: int = 0
    duplicates: int = 0
    first: date | None = None
    last: date | None = None
    totals: dict[Currency, Total] = field(default_factory=dict)
    accounts: dict[str, ImportedAccount] = field(default_factory=dict)


def preview(source: Source, log: EventLog | None = None, *, rows_max: int = 10) -> Preview:
    """Read the whole source and tell what importing it into ``log`` (None: an empty one) would do. Writes nothing."""
    booked = read_booked(log, source.accounts.__contains__) if log is not None else Booked()
    fresh, tally, found = Fresh(booked), Tally(), _Found()
    for entry in source.entries(tally):
        account = source.accounts[entry.account_id]
        try:
            present = fresh.entry_id(entry) is None
        except OverflowError as error:
            tally.reject(Reject(source.label, entry.line, f"amount: {error}"))
            continue
        found.accounts[account.account_id] = account
        if len(found.rows) < rows_max:
            found.rows.append(PreviewRow(entry, account, present))
        day = entry.booking_date
        found.first = day if found.first is None else min(found.first, day)
        found.last = day if found.last is None else max(found.last, day)
        if present:
            found.duplicates += 1
            continue
        found.new += 1
        total = found.totals.setdefault(account.currency, Total())
        total.entries += 1
        if entry.signed_minor >= 0:
            total.credit_minor += entry.signed_minor
        else:
            total.debit_minor -= entry.signed_minor
    return Preview(
        label=source.label,
        settings=tuple(source.settings),
        rows=tuple(found.rows),
        new=found.new,
        duplicates=found.duplicates,
        rejected=tally.rejected,
        left_out=tally.left_out,
        first_day=found.first,
        last_day=found.last,
        totals=found.totals,
        accounts=tuple(found.accounts.values()),
        rejects=tuple(tally.rejects),
        warnings=tuple(tally.warnings),
    )
