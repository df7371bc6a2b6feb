"""Writing what a source yields to the log: once, in chunks, and nothing twice."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

from streambank.bank.booked import Booked, read_booked
from streambank.bank.events import (
    ACCOUNT,
    BALANCE_CHANGED,
    USER_PROFILE,
    Account,
    BalanceChanged,
    CreditDebit,
    Origin,
    UserProfile,
)
from streambank.bank.imports.dedupe import Fresh
from streambank.bank.imports.entries import (
    ImportedAccount,
    ImportedEntry,
    Reject,
    Source,
    Tally,
    struct_without,
)
from streambank.bank.imports.errors import ImportFencedError
from streambank.bank.imports.rejects import KeptTally, RejectsFile
from streambank.clock import Clock, to_datetime
from streambank.ids import derived_id
from streambank.log import EventLog, FencedError, Producer, Transaction

TRANSACTIONAL_ID = "import"
CHUNK_ENTRIES = 4_000
DAY_MS = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is. ``fraction`` of the file read, 0 to 1; the counts are of rows, up to the last commit."""

    fraction: float
    imported: int
    duplicates: int
    rejected: int


Progress: TypeAlias = Callable[[ImportProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did.

    ``imported`` counts the entries written, among them openings and adjustments that are no rows; ``duplicates`` those
    the log had, ``left_out`` the rows that the caller did not want. ``accounts`` are those with entries in the file.
    """

    imported: int
    duplicates: int
    rejected: int
    left_out: int
    accounts: tuple[Account, ...]
    rejects: tuple[Reject, ...]
    rejects_path: Path | None
    warnings: tuple[str, ...]


class Importer:
    """Imports files into a log. One at a time on each log: a second import makes the first one stop.

    The protocol, which makes "nothing twice" hold after a kill and with two imports at once:

    1. A producer with the transactional id ``import`` fences every earlier import: none of them can commit any more.
    2. Only then is the log read: which entries it has, and each account's last number.
    3. Entries whose id, derived from the row, the log has are passed over; the others go out in chunks, each chunk one
       transaction together with the accounts and owners that it needs first.

    A killed import leaves whole chunks; the next run finds their ids in step 2 and adds exactly the rest.
    """

    def __init__(self, log: EventLog, clock: Clock, *, chunk_entries: int = CHUNK_ENTRIES) -> None:
        self._log = log
        self._clock = clock
        self._chunk_entries = chunk_entries

    def run(
        self,
        source: Source,
        *,
        origin: Origin = Origin.IMPORT,
        rejects_path: Path | None = None,
        progress: Progress | None = None,
    ) -> ImportResult:
        """Write the source's new entries.

        ``origin`` ``LIVE`` replays the file as if it happened now: alerts are raised. Without ``rejects_path``
        rejects are counted and the first ones returned, but kept nowhere.

        Raises:
            ImportFencedError: another import began on this log meanwhile.
            ImportFileError: the rejects file cannot be written.
            StorageFullError: no space; what was committed stays, and running it again adds the rest.
        """
        self._log.create_topics(topic.config for topic in (ACCOUNT, BALANCE_CHANGED, USER_PROFILE))
        rejects = RejectsFile(rejects_path, source.header) if rejects_path is not None else None
        producer = self._log.producer(TRANSACTIONAL_ID)
        try:
            booked = read_booked(self._log, source.accounts.__contains__)
            run = _Run(source, booked, origin, self._clock, KeptTally(rejects))
            for chunk in _chunks(source.entries(run.tally), self._chunk_entries):
                _write(producer, run, chunk)
                if progress is not None:
                    progress(run.progress())
        except FencedError:
            if rejects is not None:
                rejects.abandon()
            raise ImportFencedError(
                f"{source.label}: another import began on this log, so this one stopped; nothing is doubled. Run it"
                " again when the other one has ended: it adds the rest"
            ) from None
        except BaseException:
            if rejects is not None:
                rejects.abandon()
            raise
        finally:
            producer.close()
        if progress is not None:
            progress(run.progress())
        return run.result(rejects.finish() if rejects is not None else None)


class _Run:
    """One import under way: what it knows and what it has done."""

    def __init__(self, source: Source, booked: Booked, origin: Origin, clock: Clock, tally: Tally) -> None:
        self.source = source
        self.origin = origin
        self.clock = clock
        self.tally = tally
        self.imported = 0
        self.duplicates = 0
        self._booked = booked
        self._fresh = Fresh(booked)
        self._accounts: dict[str, Account] = {}
        self._profiles: set[str] = set()

    def stage(self, transaction: Transaction, chunk: Iterable[ImportedEntry]) -> tuple[int, int]:
        """Append what is new of the chunk. Returns how many entries are new, and how many the log has."""
        recorded_ms = self.clock()
        new = duplicates = 0
        for entry in chunk:
            account = self.source.accounts[entry.account_id]
            self._introduce(transaction, account, entry, recorded_ms)
            try:
                entry_id = self._fresh.entry_id(entry)
            except OverflowError as error:
                self.tally.reject(Reject(self.source.label, entry.line, f"amount: {error}"))
                continue
            if entry_id is None:
                duplicates += 1
                continue
            new += 1
            event = self._event(entry, entry_id, account, recorded_ms)
            BALANCE_CHANGED.write(transaction, entry.account_id, event, entry.occurred_ms)
        return new, duplicates

    def _event(self, entry: ImportedEntry, entry_id: str, account: ImportedAccount, recorded_ms: int) -> BalanceChanged:
        signed = entry.signed_minor
        return BalanceChanged(
            user_id=account.user_id,
            occurred_at=to_datetime(entry.occurred_ms),
            recorded_at=to_datetime(recorded_ms),
            entry_id=entry_id,
            account_id=entry.account_id,
            account_seq=self._fresh.last_seq(entry.account_id),
            credit_debit=CreditDebit.CREDIT if signed >= 0 else CreditDebit.DEBIT,
            amount_minor=abs(signed),
            currency=account.currency,
            booking_date=entry.booking_date,
            value_date=entry.value_date,
            kind=entry.kind,
            category=entry.category,
            counterparty=entry.counterparty,
            counterparty_account=entry.counterparty_account,
            end_to_end_id=entry.end_to_end_id,
            remittance=entry.remittance,
            balance_after_minor=entry.balance_after_minor,
            origin=self.origin,
        )

    def _introduce(
        self, transaction: Transaction, account: ImportedAccount, first: ImportedEntry, recorded_ms: int
    ) -> None:
        """Write the account and its owner if the log does not have them, or has them otherwise."""
        if account.account_id in self._accounts:
            return
        opened = account.opened_on
        since_ms = first.occurred_ms if opened is None else (opened.toordinal() - _EPOCH_DAY) * DAY_MS
        since_ms = max(0, min(since_ms, first.occurred_ms))
        owner = account.owner
        if owner.user_id not in self._profiles:
            self._profiles.add(owner.user_id)
            known = self._booked.profiles.get(owner.user_id)
            moment = since_ms if known is None else recorded_ms
            profile = UserProfile(
                user_id=owner.user_id,
                occurred_at=to_datetime(moment),
                recorded_at=to_datetime(recorded_ms),
                event_id=derived_id("import-profile", owner.user_id, str(moment)),
                email=owner.email,
                name=owner.name,
                locale=owner.locale,
                timezone=owner.timezone,
            )
            if known is None or _said(known) != _said(profile):
                USER_PROFILE.write(transaction, owner.user_id, profile, moment)
        known_account = self._booked.accounts.get(account.account_id)
        moment = since_ms if known_account is None else recorded_ms
        event = Account(
            user_id=owner.user_id,
            occurred_at=to_datetime(moment),
            recorded_at=to_datetime(recorded_ms),
            event_id=derived_id("import-account", account.account_id, str(moment)),
            account_id=account.account_id,
            name=account.name,
            currency=account.currency,
            number_last4=account.number_last4,
        )
        if known_account is None or _said(known_account) != _said(event):
            ACCOUNT.write(transaction, account.account_id, event, moment)
            known_account = event
        self._accounts[account.account_id] = known_account

    def progress(self) -> ImportProgress:
        """How far it is."""
        return ImportProgress(self.tally.fraction, self.imported, self.duplicates, self.tally.rejected)

    def result(self, rejects_path: Path | None) -> ImportResult:
        """What was done."""
        return ImportResult(
            imported=self.imported,
            duplicates=self.duplicates,
            rejected=self.tally.rejected,
            left_out=self.tally.left_out,
            accounts=tuple(self._accounts.values()),
            rejects=tuple(self.tally.rejects),
            rejects_path=rejects_path,
            warnings=tuple(self.tally.warnings),
        )


def _said(event: Account | UserProfile) -> dict[str, object]:
    return struct_without(event, "occurred_at", "recorded_at", "event_id")


def _write(producer: Producer, run: _Run, chunk: list[ImportedEntry]) -> None:
    with producer.transaction() as transaction:
        new, duplicates = run.stage(transaction, chunk)
    run.imported += new
    run.duplicates += duplicates


T = TypeVar("T")


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
