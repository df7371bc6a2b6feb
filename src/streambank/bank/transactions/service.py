"""The transactions service: accounts, the ledger, and what people make of their entries.

Its methods are the use cases. Each works within the caller's database transaction and never commits; what it raises as
a :class:`~streambank.service.http.problems.Problem` is the answer, and leaves everything as it was.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection

from streambank.bank.events import (
    ACCOUNT,
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    USER_KEY,
    TransferInstruction,
    UserKey,
)
from streambank.bank.transactions import (
    accounts,
    batch,
    categories,
    categorising,
    editing,
    entry_views,
    imports,
    listing,
    people,
    repository,
    rule_runs,
    rule_store,
    settling,
    statements,
    transfers,
)
from streambank.bank.transactions.batch import Line, Recorded
from streambank.bank.transactions.entries import Money, NewEntry, check_entry, content_hash, currency_of
from streambank.bank.transactions.ledger import Books, Ledger, Posted
from streambank.bank.transactions.repository import Names
from streambank.bank.transactions.schemas import (
    AccountList,
    ApplyRule,
    BookTransaction,
    CategoryBody,
    CategoryList,
    ChangeAccount,
    ChangeTransaction,
    ImportView,
    MemberBody,
    MemberList,
    NewTransaction,
    OpenAccount,
    ReverseTransaction,
    RuleBody,
    RuleList,
    TagList,
    TagView,
    TransactionView,
)
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.database import Database
from streambank.service.http.answers import Answer, created, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import decode_cursor, encode_cursor
from streambank.service.http.problems import Problem, conflict
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers

NAME = "transactions"
"""The service's name, also of its consumer group: dead letters go to ``transactions.dlq``."""

RECEIVES = (USER_KEY, TRANSFER_INSTRUCTED)
"""What its projection reads."""

EXPIRY_INTERVAL_S = 10.0
"""How often pending entries whose time is over are looked for; banks tell such times in days."""


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some entries, the number of the last one in the ledger, and the number that the export ends with."""

    items: list[TransactionView]
    last_num: int
    until_num: int

    @property
    def is_last(self) -> bool:
        """Whether there are no more."""
        return self.last_num >= self.until_num


class TransactionsService:
    """One process's share of the service. Several may run on the same log and database."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        *,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Create the topics the service uses, and tie the database to the log.

        Args:
            database: opened with :data:`streambank.bank.transactions.models.DATABASE`; the caller closes both.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        log.create_topics(topic.config for topic in (ACCOUNT, BALANCE_CHANGED, ENTRY_CATEGORISED, TRANSFER_OUTCOME))
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        outbox = Outbox()
        self._database = database
        self._ledger = Ledger(outbox, clock, random_bytes)
        self.relay = OutboxRelay(log, database, service=NAME, outbox_id=outbox_id, clock=clock)
        self.projection = Projection(
            log,
            database,
            outbox,
            group=NAME,
            subscriptions=[
                Subscription(USER_KEY, self._learn, self._erase),
                Subscription(TRANSFER_INSTRUCTED, self._follow),
            ],
        )
        self.expiry = Expiry(self)

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.projection, self.expiry, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Take what is there, end what has expired and publish what came of it; how many were done. For tests."""
        done = self.projection.step(0) + self.expire()
        while published := self.relay.step():
            done += published
        return done

    def close(self) -> None:
        """Leave the group, as :meth:`run` does at its end. For those who call :meth:`step`."""
        self.projection.close()
        self.relay.close()

    def expire(self) -> int:
        """End pending entries whose time is over; how many."""
        with self._database.begin() as connection:
            return settling.expire(connection, self._ledger)

    def _learn(self, connection: Connection, received: Sequence[Received[UserKey]]) -> None:
        for item in received:
            people.learn(connection, item.value)

    def _erase(self, connection: Connection, tombstones: Sequence[Record]) -> None:
        for record in tombstones:
            if record.key is not None:
                people.erase(connection, self._ledger, USER_KEY.key.deserialize(record.key))

    def _follow(self, connection: Connection, received: Sequence[Received[TransferInstruction]]) -> None:
        transfers.follow(connection, self._ledger, [item.value for item in received])

    # Accounts

    def list_accounts(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's accounts."""
        found = repository.accounts_of(connection, caller.user_id)
        return ok(AccountList(items=accounts.views(found)))

    def open_account(self, connection: Connection, caller: Caller, body: OpenAccount) -> Answer:
        """Open an account."""
        account = accounts.open_account(connection, self._ledger, caller.user_id, body)
        return created(accounts.view(account), f"/v1/accounts/{account.account_id}", version=account.version)

    def get_account(self, connection: Connection, caller: Caller, account_id: str) -> Answer:
        """One account."""
        account = accounts.one(connection, caller.user_id, account_id)
        # Its balance changes without a new version.
        return ok(accounts.view(account), version=account.version, volatile=True)

    def change_account(
        self, connection: Connection, caller: Caller, account_id: str, body: ChangeAccount, expected: int | None
    ) -> Answer:
        """Rename an account or set its limit."""
        account = accounts.change(connection, self._ledger, caller.user_id, account_id, body, expected)
        return ok(accounts.view(account), version=account.version)

    def close_account(self, connection: Connection, caller: Caller, account_id: str, expected: int | None) -> Answer:
        """Close an account."""
        account = accounts.close(connection, self._ledger, caller.user_id, account_id, expected)
        return ok(accounts.view(account), version=account.version)

    def reopen_account(self, connection: Connection, caller: Caller, account_id: str) -> Answer:
        """Open a closed account again."""
        account = accounts.reopen(connection, self._ledger, caller.user_id, account_id)
        return ok(accounts.view(account), version=account.version)

    def get_balance(self, connection: Connection, caller: Caller, account_id: str) -> Answer:
        """An account's balance."""
        return ok(accounts.balance_view(accounts.one(connection, caller.user_id, account_id)))

    def get_statement(
        self,
        connection: Connection,
        caller: Caller,
        account_id: str,
        from_date: date,
        to_date: date,
        cursor: str | None,
        limit: int,
    ) -> Answer:
        """An account's statement."""
        account = accounts.one(connection, caller.user_id, account_id)
        after = None if cursor is None else statements.place_of(cursor)
        made, following = statements.statement(connection, account, from_date, to_date, after, limit)
        return ok(made.model_copy(update={"next": None if following is None else encode_cursor(*following)}))

    def list_members(self, connection: Connection, caller: Caller, account_id: str) -> Answer:
        """An account's members."""
        version = accounts.one(connection, caller.user_id, account_id).version
        return ok(MemberList(items=accounts.members(connection, caller.user_id, account_id)), version=version)

    def set_member(
        self,
        connection: Connection,
        caller: Caller,
        account_id: str,
        member_id: str,
        body: MemberBody,
        expected: int | None,
    ) -> Answer:
        """Share an account."""
        member, account = accounts.set_member(
            connection, self._ledger, caller.user_id, account_id, member_id, body, expected
        )
        return ok(member, version=account.version)

    def remove_member(
        self, connection: Connection, caller: Caller, account_id: str, member_id: str, expected: int | None
    ) -> Answer:
        """End a share."""
        version = accounts.remove_member(connection, self._ledger, caller.user_id, account_id, member_id, expected)
        return no_content(version=version)

    # Entries

    def record(self, connection: Connection, caller: Caller, body: NewTransaction) -> Answer:
        """Record one entry."""
        [answer] = self.record_all(connection, [(caller, body)])
        if isinstance(answer, Problem):
            raise answer
        return answer

    def record_all(
        self, connection: Connection, asked: Sequence[tuple[Caller, NewTransaction]]
    ) -> list[Answer | Problem]:
        """Record entries that several callers ask for, each by itself; what cannot be recorded has its problem."""
        books = self._ledger.books(connection, "", 2 * len(asked))
        entries = [(caller, _entry_or_problem(body, books.today)) for caller, body in asked]
        known = batch.load(books, [(c.user_id, entry) for c, entry in entries if isinstance(entry, NewEntry)])
        done: list[Posted | Answer | Problem] = []
        for (caller, entry), (_, body) in zip(entries, asked, strict=True):
            try:
                done.append(self._record(books, caller, entry, known, asked=not body.force))
            except Problem as problem:
                done.append(problem)
        books.close()
        return [self._made(books, one) if isinstance(one, Posted) else one for one in done]

    def _record(
        self, books: Books, caller: Caller, entry: NewEntry | Problem, known: Names, *, asked: bool
    ) -> Posted | Answer:
        if isinstance(entry, Problem):
            raise entry
        books.serve(caller.user_id)
        try:
            account = books.account(entry.account_id)
        except Problem:
            # Only who has no account may be unknown yet: the others are not asked for.
            people.key_of(books.connection, caller.user_id)
            raise
        if entry.external_id is None:
            return books.record(account, entry, asked=asked)
        name, told = (account.num, entry.external_id), content_hash(entry)
        before = known.get(name)
        if before is not None:
            return self._recorded_before(books, caller, told, before)
        posted = books.record(account, entry, asked=asked, told=told)
        known[name] = (told, posted.entry_id)
        return posted

    def record_lines(self, connection: Connection, caller: Caller, lines: Sequence[Line]) -> list[Recorded | Problem]:
        """Record a batch's lines, at most :data:`batch.CHUNK_LINES` in one transaction; one answer each."""
        people.key_of(connection, caller.user_id)
        books = self._ledger.books(connection, caller.user_id, 2 * len(lines))
        answers = batch.record(books, lines)
        books.close()
        return answers

    def list_transactions(
        self, connection: Connection, caller: Caller, wanted: listing.Wanted, cursor: str | None, limit: int
    ) -> tuple[list[TransactionView], str | None]:
        """Entries, the latest recorded first, and the cursor of those that follow."""
        items, following = listing.page(connection, caller.user_id, wanted, _place(cursor), limit)
        return items, _cursor(following)

    def get_transaction(self, connection: Connection, caller: Caller, entry_id: str) -> Answer:
        """One entry."""
        view = listing.one(connection, caller.user_id, entry_id)
        return ok(view, version=view.version)

    def change_transaction(
        self, connection: Connection, caller: Caller, entry_id: str, body: ChangeTransaction, expected: int | None
    ) -> Answer:
        """Change notes, tags, category or parts of an entry."""
        books = self._ledger.books(connection, caller.user_id, 0)
        account, row = settling.find(books, caller.user_id, entry_id)
        editing.change(books, account, row, body, expected)
        books.close()
        return self.get_transaction(connection, caller, entry_id)

    def reverse(self, connection: Connection, caller: Caller, entry_id: str, body: ReverseTransaction) -> Answer:
        """Take back a booked entry."""
        books = self._ledger.books(connection, caller.user_id, 2)
        posted = settling.reverse(books, caller.user_id, entry_id, notes=body.notes, asked=not body.force)
        return self._settled(books, caller, posted)

    def book(self, connection: Connection, caller: Caller, entry_id: str, body: BookTransaction) -> Answer:
        """Settle a pending entry."""
        books = self._ledger.books(connection, caller.user_id, settling.POSTINGS_MAX)
        posted = settling.book(
            books,
            caller.user_id,
            entry_id,
            amount_minor=body.amount_minor,
            booking_date=body.booking_date,
            asked=not body.force,
        )
        return self._settled(books, caller, posted)

    def void(self, connection: Connection, caller: Caller, entry_id: str) -> Answer:
        """End a pending entry that does not come."""
        books = self._ledger.books(connection, caller.user_id, 2)
        return self._settled(books, caller, settling.void(books, caller.user_id, entry_id))

    def export(self, connection: Connection, caller: Caller, before: "ExportPage | None", limit: int) -> "ExportPage":
        """A page of all entries in the ledger's order. What comes after the first page was read stays out."""
        until = listing.last_num(connection, caller.user_id) if before is None else before.until_num
        after = 0 if before is None else before.last_num
        items, following = listing.export_page(connection, caller.user_id, after, until, limit)
        return ExportPage(items, until if following is None else following, until)

    # Categories, tags and rules

    def list_categories(self, connection: Connection, caller: Caller, account_id: str | None) -> Answer:
        """The caller's categories, or those that the entries of an account have: its owner's."""
        owner_id = caller.user_id
        if account_id is not None:
            owner_id = accounts.one(connection, caller.user_id, account_id).owner_id or ""
        return ok(CategoryList(items=categories.listed(connection, owner_id)))

    def get_category(self, connection: Connection, caller: Caller, category_id: str) -> Answer:
        """One category."""
        view = categories.one(connection, caller.user_id, category_id)
        return ok(view, version=view.version)

    def create_category(self, connection: Connection, caller: Caller, body: CategoryBody) -> Answer:
        """Add a category."""
        people.key_of(connection, caller.user_id)
        view = categories.create(connection, caller.user_id, self._ledger.new_id(self._ledger.clock()), body)
        return created(view, f"/v1/categories/{view.id}", version=view.version)

    def replace_category(
        self, connection: Connection, caller: Caller, category_id: str, body: CategoryBody, expected: int | None
    ) -> Answer:
        """Rename or move a category."""
        view = categories.replace(connection, caller.user_id, category_id, body, expected)
        return ok(view, version=view.version)

    def remove_category(self, connection: Connection, caller: Caller, category_id: str, expected: int | None) -> Answer:
        """Delete a category."""
        books = self._ledger.books(connection, caller.user_id, 0)
        if rule_store.names_category(connection, caller.user_id, category_id):
            raise conflict("category-in-use", "a rule sets this category: change or delete the rule first")
        num = categories.numbers(connection, caller.user_id).get(category_id)
        if num is not None:
            categorising.removing(books, caller.user_id, num)
        categories.remove(connection, caller.user_id, category_id, expected)
        books.close()
        return no_content()

    def list_tags(self, connection: Connection, caller: Caller) -> Answer:
        """All tags in use."""
        counted = listing.tags(connection, caller.user_id)
        return ok(TagList(items=[TagView(tag=tag, count=count) for tag, count in counted]))

    def list_rules(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's rules in their order."""
        return ok(RuleList(items=rule_store.listed(connection, caller.user_id)))

    def get_rule(self, connection: Connection, caller: Caller, rule_id: str) -> Answer:
        """One rule."""
        view = rule_store.one(connection, caller.user_id, rule_id)
        return ok(view, version=view.version)

    def create_rule(self, connection: Connection, caller: Caller, body: RuleBody) -> Answer:
        """Add a rule."""
        people.key_of(connection, caller.user_id)
        view = rule_store.create(connection, caller.user_id, self._new_id(), self._new_id(), body)
        return created(view, f"/v1/rules/{view.id}", version=view.version)

    def replace_rule(
        self, connection: Connection, caller: Caller, rule_id: str, body: RuleBody, expected: int | None
    ) -> Answer:
        """Change a rule."""
        view = rule_store.replace(connection, caller.user_id, rule_id, self._new_id(), body, expected)
        return ok(view, version=view.version)

    def remove_rule(self, connection: Connection, caller: Caller, rule_id: str, expected: int | None) -> Answer:
        """Delete a rule."""
        rule_store.remove(connection, caller.user_id, rule_id, self._new_id(), expected)
        return no_content()

    def preview_rule(self, connection: Connection, caller: Caller, body: RuleBody) -> Answer:
        """What a rule would change."""
        return ok(rule_runs.preview(connection, caller.user_id, body))

    def apply_rule(self, connection: Connection, caller: Caller, rule_id: str, body: ApplyRule) -> Answer:
        """Apply a rule to the past, one step."""
        books = self._ledger.books(connection, caller.user_id, 0)
        applied, following = rule_runs.apply(books, caller.user_id, rule_id, _place(body.cursor))
        books.close()
        return ok(applied.model_copy(update={"next": _cursor(following)}))

    # Imports

    def import_batch(
        self,
        connection: Connection,
        caller: Caller,
        account_id: str,
        entries: Sequence[NewEntry],
        import_id: str,
    ) -> ImportView:
        """Record entries of a file; see :func:`streambank.bank.transactions.imports.import_lines`.

        ``import_id`` is new with the first entries of a file, and the same with the rest of it. An entry's
        ``account_id`` may be empty.
        """
        return self.import_lines(connection, caller, account_id, [_checked(entry) for entry in entries], import_id)

    def import_lines(
        self, connection: Connection, caller: Caller, account_id: str, lines: Sequence[Line], import_id: str
    ) -> ImportView:
        """As :meth:`import_batch`, for lines some of which may be known to be wrong."""
        people.key_of(connection, caller.user_id)
        return imports.import_lines(connection, self._ledger, caller.user_id, account_id, lines, import_id)

    def list_imports(
        self, connection: Connection, caller: Caller, cursor: str | None, limit: int
    ) -> tuple[list[ImportView], str | None]:
        """Imports, the latest first, and the cursor of those that follow."""
        items, following = imports.listed(connection, caller.user_id, _place(cursor), limit)
        return items, _cursor(following)

    def get_import(self, connection: Connection, caller: Caller, import_id: str) -> Answer:
        """One import."""
        view = imports.one(connection, caller.user_id, import_id)
        return ok(view, version=view.version)

    def undo_import(self, connection: Connection, caller: Caller, import_id: str, expected: int | None) -> Answer:
        """Reverse what an import booked."""
        view = imports.undo(connection, self._ledger, caller.user_id, import_id, expected)
        return ok(view, version=view.version)

    def new_import_id(self) -> str:
        """An id for an import."""
        return self._new_id()

    def _new_id(self) -> str:
        return self._ledger.new_id(self._ledger.clock())

    def _recorded_before(self, books: Books, caller: Caller, told: bytes, before: tuple[bytes, str]) -> Answer:
        if before[0] != told:
            raise batch.external_id_taken(before[1])
        # It may be of the same unit of work.
        books.close()
        return self.get_transaction(books.connection, caller, before[1])

    def _made(self, books: Books, posted: Posted) -> Answer:
        view = entry_views.of_posted(posted, books.category_id(posted))
        return created(view, f"/v1/transactions/{view.id}", version=view.version)

    def _settled(self, books: Books, caller: Caller, posted: Posted) -> Answer:
        books.close()
        view = listing.one(books.connection, caller.user_id, posted.entry_id)
        return created(view, f"/v1/transactions/{view.id}", version=view.version)


class Expiry:
    """The worker that ends pending entries whose time is over."""

    name = f"{NAME}-expiry"

    def __init__(self, service: TransactionsService) -> None:
        self._service = service
        self._wake = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Look every :data:`EXPIRY_INTERVAL_S`, until ``stop`` is set and :meth:`interrupt` was called."""
        while not stop.is_set():
            if not self._service.expire():
                self._wake.wait(EXPIRY_INTERVAL_S)

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now."""
        self._wake.set()


def _entry_or_problem(body: NewTransaction, today: date) -> NewEntry | Problem:
    try:
        return _checked(_entry(body, today))
    except Problem as problem:
        return problem


def _entry(body: NewTransaction, today: date) -> NewEntry:
    told: dict[str, Any] = {name: getattr(body, name) for name in _COPIED if getattr(body, name) is not None}
    return NewEntry(
        amount=Money(body.amount.amount_minor, currency_of(body.amount.currency, "/amount/currency")),
        booking_date=body.booking_date or today,
        tags=tuple(body.tags),
        **told,
    )


_COPIED = (
    "account_id",
    "credit_debit",
    "status",
    "external_id",
    "value_date",
    "occurred_at",
    "expires_at",
    "kind",
    "counterparty",
    "counterparty_account",
    "end_to_end_id",
    "remittance",
    "notes",
    "category_id",
)


def _place(cursor: str | None) -> int | None:
    return None if cursor is None else int(decode_cursor(cursor, int)[0])


def _cursor(place: int | None) -> str | None:
    return None if place is None else encode_cursor(place)


def _checked(entry: NewEntry) -> Line:
    try:
        check_entry(entry)
    except Problem as problem:
        return problem
    return entry
