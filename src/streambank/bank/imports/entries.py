"""What every reader of files yields, and what the importer and the preview take: one shape for all formats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import msgspec
from iso4217 import Currency

OPENING = "OPENING"
"""Kind of the entry that brings in what an account held before the first row."""

ADJUSTMENT = "ADJUSTMENT"
"""Kind of the entry that makes up for a rounding difference in the bank's own figures."""


class ImportedUser(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who owns imported accounts, and where their alerts go."""

    user_id: str
    email: str
    name: str
    locale: str = "en"
    timezone: str = "UTC"


class ImportedAccount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An account in the file. ``opened_on`` dates its record; None: the day of its first entry."""

    account_id: str
    owner: ImportedUser
    name: str
    currency: Currency
    number_last4: str | None = None
    opened_on: date | None = None

    @property
    def user_id(self) -> str:
        """The owner's id."""
        return self.owner.user_id


class ImportedEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One row of a file, understood.

    ``identity`` tells rows of an account apart, and is equal for the same row in another file. Where ``unique`` is
    set it holds the bank's own id and an equal one is the same entry; else equal rows are told apart by counting them.
    ``only_if_new`` marks an entry that is written only to an account that has none yet. ``line`` is where the row
    begins in its file, from 1; 0 for an entry that is no row. ``occurred_ms`` is milliseconds since the epoch.

    ``pending`` marks what the bank has announced and not booked: it is in no balance of the bank. Where the bank gives
    it an id of its own, it has the identity that it will have when it is booked on that day with that amount.
    """

    account_id: str
    line: int
    occurred_ms: int
    booking_date: date
    signed_minor: int
    identity: str
    unique: bool = False
    only_if_new: bool = False
    value_date: date | None = None
    kind: str | None = None
    category: str | None = None
    counterparty: str | None = None
    counterparty_account: str | None = None
    end_to_end_id: str | None = None
    remittance: str | None = None
    balance_after_minor: int | None = None
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that was detected or chosen about a file: its name, its value, how sure, and why."""

    name: str
    value: str
    sure: bool
    why: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not imported: where it is, what is wrong with it, and the row itself."""

    file: str
    line: int
    reason: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


WARNINGS_MAX = 100


class Report(Protocol):
    """What a reader tells of beside its entries."""

    def reject(self, reject: Reject) -> None:
        """A row is left out because it is wrong."""

    def leave_out(self) -> None:
        """A row is left out because the caller asked for it."""

    def warn(self, text: str) -> None:
        """Something the user should know. Names file and line where there is one."""

    def position(self, fraction: float) -> None:
        """How much of the input has been read, 0 to 1."""


@dataclass(slots=True)
class Tally:
    """A report that counts, and keeps the first rejects and warnings: the rest would not be read anyway."""

    rejects_max: int = 20
    rejected: int = 0
    left_out: int = 0
    fraction: float = 0.0
    rejects: list[Reject] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def reject(self, reject: Reject) -> None:
        """Count the reject; keep it while there are few."""
        self.rejected += 1
        if len(self.rejects) < self.rejects_max:
            self.rejects.append(reject)

    def leave_out(self) -> None:
        """Count the row."""
        self.left_out += 1

    def warn(self, text: str) -> None:
        """Keep the warning while there are few."""
        if len(self.warnings) < WARNINGS_MAX:
            self.warnings.append(text)

    def position(self, fraction: float) -> None:
        """Remember how far the reader is."""
        self.fraction = fraction


class Source(Protocol):
    """A file, opened and understood. May be read several times; every reading yields the same entries."""

    @property
    def label(self) -> str:
        """The file's name, for messages."""

    @property
    def settings(self) -> Sequence[Setting]:
        """What was detected, for the user to check before anything is written."""

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the file's columns, for the rejects file; empty without a header."""

    @property
    def accounts(self) -> Mapping[str, ImportedAccount]:
        """Every account that entries may name, by its id."""

    def entries(self, report: Report) -> Iterator[ImportedEntry]:
        """The entries in time order, and in each account in the order of its ledger. Rejects go to ``report``."""


def clean(text: str) -> str | None:
    """Text with its white space collapsed; None if nothing is left."""
    return " ".join(text.split()) or None


def struct_without(value: msgspec.Struct, *names: str) -> dict[str, Any]:
    """The fields of a struct but for those named: for comparing what was said, not when."""
    return {name: getattr(value, name) for name in value.__struct_fields__ if name not in names}
