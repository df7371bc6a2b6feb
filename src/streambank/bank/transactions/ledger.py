"""The ledger: double entry, append-only, with every account's balance kept beside it.

A unit of work goes through :class:`Books`: it takes numbers (which makes all other writers wait), loads the accounts,
posts in memory with every rule checked there, and writes all at :meth:`Books.close`:

1. Take numbers for the postings. The lock on their row is held until the transaction ends, so numbers, sequence
   numbers and outgoing records commit in one order, on PostgreSQL too.
2. Load accounts with their balances. Nobody else can change these now.
3. Post: check first, then change the balance in memory and make the rows. A refused entry leaves nothing behind.
4. Write journal, postings, what stands beside them, the balances, and the events into the outbox.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection, Row

from streambank.bank.events import CreditDebit, EntryStatus, Origin, Role
from streambank.bank.events.money import INT64_MAX, INT64_MIN, to_decimal
from streambank.bank.spending import ADJUSTMENT, OPENING
from streambank.bank.transactions import categories, events, repository, rule_store
from streambank.bank.transactions.entries import TAGS_MAX, NewEntry, content_hash, out_of_range
from streambank.bank.transactions.models import JournalKind, Purpose
from streambank.bank.transactions.repository import Detail, LedgerAccount, LedgerRows, PostingRow, Terms
from streambank.bank.transactions.rules import RuleBook, facts
from streambank.bank.transactions.shares import Shares, shares
from streambank.bank.transactions.texts import TextMemory, Texts
from streambank.bank.transactions.words import add_words
from streambank.clock import Clock, to_datetime, to_millis
from streambank.errors import InvariantError, check
from streambank.ids import RandomBytes, uuid7, uuid7s
from streambank.service.http.problems import conflict, forbidden, not_found, unprocessable
from streambank.service.outbox import Outbox, OutgoingRecord

RULE_BOOKS_MAX = 1_000
"""Users whose rules are kept compiled; some kilobytes each."""

DAY_MS = 86_400_000

# An attribute of an enumeration takes several times as long to look up as a name of this module.
_STATUSES = {status: status.value for status in EntryStatus}
_ORIGINS = {origin: origin.value for origin in Origin}
_KINDS = {kind: kind.value for kind in JournalKind}
_IS_BOOKED, _IS_PENDING = EntryStatus.BOOKED, EntryStatus.PENDING
_BOOKED = EntryStatus.BOOKED.value
_ENTRY, _HOLD, _EXTERNAL = JournalKind.ENTRY, JournalKind.HOLD, Purpose.EXTERNAL
_PURPOSE_OF_KIND = {OPENING: Purpose.OPENING, ADJUSTMENT: Purpose.ADJUSTMENT}


class Ledger:
    """What units of work share: the outbox, the clock, and rules and texts of those who were active lately."""

    def __init__(self, outbox: Outbox, clock: Clock, random_bytes: RandomBytes) -> None:
        self.outbox = outbox
        self.clock = clock
        self.random_bytes = random_bytes
        self.texts = TextMemory()
        self._rule_books: OrderedDict[str, tuple[str, RuleBook]] = OrderedDict()

    def books(self, connection: Connection, caller_id: str, postings: int) -> "Books":
        """Open the books for a caller, with numbers for so many postings."""
        return Books(self, connection, caller_id, postings)

    def new_id(self, now_ms: int) -> str:
        """A new id, later in order than those before."""
        return uuid7(now_ms, self.random_bytes)

    def rule_book(self, connection: Connection, account: LedgerAccount) -> RuleBook | None:
        """The rules of the account's owner; None if there are none."""
        tag, owner_id = account.rules_tag, account.owner_id
        if tag is None or owner_id is None:
            return None
        known = self._rule_books.get(owner_id)
        if known is None or known[0] != tag:
            known = self._rule_books[owner_id] = (tag, rule_store.rule_book(connection, owner_id))
            while len(self._rule_books) > RULE_BOOKS_MAX:
                self._rule_books.popitem(last=False)
        return known[1]


class Posted(msgspec.Struct, gc=False):
    """An entry that was posted: its account, and its rows. ``held_minor``: what was held for it until it was booked."""

    account: LedgerAccount
    posting: PostingRow
    detail: Detail
    tags: Sequence[str]
    transaction_id: str
    recorded_at: int
    expires_at: int | None = None
    reverses_entry_id: str | None = None
    held_minor: int = 0

    @property
    def entry_id(self) -> str:
        """The entry's id."""
        return str(self.posting.entry_id)

    @property
    def num(self) -> int:
        """The number of the posting."""
        return self.posting.num


class Books:
    """One unit of work on the ledger: post, then close. What is raised before leaves the database as it was."""

    def __init__(self, ledger: Ledger, connection: Connection, caller_id: str, postings: int) -> None:
        self.connection = connection
        self.now_ms = ledger.clock()
        self._ledger = ledger
        self.caller_id = caller_id
        self._next_num = repository.take_numbers(connection, postings)
        self._end_num = self._next_num + postings
        self._ids = uuid7s(self.now_ms, ledger.random_bytes, postings // 2 + 1)
        self._now = to_datetime(self.now_ms)
        self._today = self._now.date()
        self._accounts: dict[str, LedgerAccount] = {}
        self._roles: dict[tuple[str, str], Role | None] = {}
        self._counters: dict[tuple[str, str, Purpose], LedgerAccount] = {}
        self._counted: set[str] = set()
        self._touched: dict[int, LedgerAccount] = {}
        self._categories: dict[str, dict[str, int]] = {}
        self._category_ids: dict[str, dict[int, str]] = {}
        self._texts: dict[int, Texts] = {}
        self._rows = LedgerRows()
        self._words: list[tuple[int, list[str]]] = []
        self._events: list[OutgoingRecord] = []

    def serve(self, caller_id: str) -> None:
        """Go on for this caller: what they may do with an account differs from what others may."""
        self.caller_id = caller_id

    def load(self, places: Iterable[tuple[str, str]]) -> None:
        """Load several accounts at once: pairs of a caller and the id of the account that they ask for."""
        wanted = [place for place in places if place not in self._roles]
        if not wanted:
            return
        self._roles.update(dict.fromkeys(wanted))
        for caller_id, account in repository.accounts(self.connection, wanted):
            # One copy of it is in use, whoever calls.
            self._accounts.setdefault(account.account_id, account)
            if caller_id is not None:
                self._roles[caller_id, account.account_id] = account.role

    def find(self, account_id: str) -> LedgerAccount | None:
        """An account that was loaded, whoever may use it; None: there is none of that id."""
        return self._accounts.get(account_id)

    def account(self, account_id: str, *, to_write: bool = True) -> LedgerAccount:
        """An account of the caller's.

        Raises:
            Problem: it does not exist or is somebody else's (404), or the caller may only look at it (403).
        """
        role = self.role(account_id)
        if role is None:
            raise not_found("account")
        if to_write and role is not Role.OWNER:
            raise forbidden("a viewer of an account cannot change it")
        account = self._accounts[account_id]
        if account.key is None:
            raise InvariantError(f"account {account_id} has an owner without a key")
        return account

    def role(self, account_id: str) -> Role | None:
        """What the caller is to an account; None: nothing, or there is none of that id."""
        place = (self.caller_id, account_id)
        if place not in self._roles:
            self.load([place])
        return self._roles[place]

    def account_by_num(self, num: int) -> LedgerAccount:
        """An account by its number, whoever calls: one copy of it is in use."""
        for known in (*self._accounts.values(), *self._counters.values()):
            if known.num == num:
                return known
        [account] = repository.accounts_by_num(self.connection, self.caller_id, [num])
        if account.purpose is Purpose.USER:
            self._accounts[account.account_id] = account
            self._roles[self.caller_id, account.account_id] = account.role
        else:
            self._counters[(account.owner_id or str(num), account.currency_code, account.purpose)] = account
        return account

    def record(
        self,
        account: LedgerAccount,
        entry: NewEntry,
        *,
        asked: bool,
        origin: Origin | None = None,
        told: bytes | None = None,
        kind: JournalKind | None = None,
    ) -> Posted:
        """Post a new entry. ``asked``: a person wants it, and the overdraft limit holds; else the bank says so.

        ``told``: the entry's :func:`content_hash`, where it is known already. ``kind``: the journal's, if it is another
        than the entry's status says.

        Raises:
            Problem: the account is closed or holds another currency, the limit or 64 bits would be passed, or the
                category is not the owner's.
        """
        signed = entry.signed_minor
        if entry.amount.currency is not account.currency:
            raise unprocessable("/amount/currency", f"the account holds {account.currency.value}")
        self.check_open(account)
        if asked and signed < 0:
            check_funds(account, -signed)
        terms, detail, tags = self._told(account, entry, origin)
        counter = self.counter(account, _PURPOSE_OF_KIND.get(entry.kind or "", _EXTERNAL))
        status = entry.status
        check_room(account, counter, signed, status)
        journal_num, transaction_id = self.journal(kind or (_ENTRY if status is _IS_BOOKED else _HOLD))
        posted = self.post(account, counter, journal_num, transaction_id, terms, detail, tags)
        if status is _IS_PENDING:
            posted.expires_at = None if entry.expires_at is None else to_millis(entry.expires_at)
            self._rows.holds.append((posted.num, account.num, posted.expires_at))
        if entry.external_id is not None:
            self._name(posted, entry.external_id, told or content_hash(entry))
        return posted

    def _told(
        self, account: LedgerAccount, entry: NewEntry, origin: Origin | None = None
    ) -> tuple[Terms, Detail, Sequence[str]]:
        """What is posted for an entry, what stands beside it, and its tags."""
        category_num, by_rule, tags = self._categorise(account, entry)
        detail = Detail(
            entry.kind,
            entry.counterparty,
            entry.counterparty_account,
            entry.end_to_end_id,
            entry.remittance,
            entry.notes,
            category_num,
            by_rule,
        )
        terms = Terms(
            entry.signed_minor,
            _STATUSES[entry.status],
            _ORIGINS[origin or entry.origin],
            _iso_day(entry.booking_date),
            None if entry.value_date is None else _iso_day(entry.value_date),
            self._occurred_at(entry),
        )
        return terms, detail, tags

    def _name(self, posted: Posted, external_id: str, told: bytes) -> None:
        self._rows.externals.append((posted.account.num, external_id, posted.posting.num, told))

    def check_open(self, account: LedgerAccount) -> None:
        """Raise a problem if the account is closed."""
        if account.closed_at is not None:
            raise conflict("account-closed", "the account is closed: reopen it before anything is booked on it")

    def journal(self, kind: JournalKind) -> tuple[int, str]:
        """Begin a journal transaction: its number, which is that of its first posting, and its id."""
        transaction_id = next(self._ids)
        self._rows.journals.append((self._next_num, transaction_id, _KINDS[kind], self.now_ms))
        return self._next_num, transaction_id

    def post(
        self,
        account: LedgerAccount,
        counter: LedgerAccount,
        journal_num: int,
        transaction_id: str,
        terms: Terms,
        detail: Detail,
        tags: Sequence[str],
        *,
        reverses: tuple[int, int, str] | None = None,
        held_minor: int = 0,
    ) -> Posted:
        """Post both sides. The caller has checked that there is room: see :func:`check_room`.

        ``reverses``: the numbers of the postings to ``account`` and ``counter`` that this takes back, and the entry's
        id. ``held_minor``: what was held for a debit until now.
        """
        reverses_num, counter_reverses_num, reverses_entry_id = (None, None, None) if reverses is None else reverses
        entry_id = self._entry_id(journal_num, transaction_id)
        row = self._append(account, journal_num, entry_id, terms.signed_minor, terms, reverses_num)
        self._append(counter, journal_num, None, -terms.signed_minor, terms, counter_reverses_num)
        posting = PostingRow(*row)
        return self._stand_beside(account, posting, transaction_id, detail, tags, reverses_entry_id, held_minor)

    def post_between(
        self,
        sides: Sequence[tuple[LedgerAccount, NewEntry]],
        journal_num: int,
        transaction_id: str,
        *,
        held_minor: int,
    ) -> list[Posted]:
        """Post entries of users' accounts that are each other's other side. The caller has checked that there is room.

        ``held_minor``: what was held for the debit.

        Raises:
            InvariantError: they do not sum to zero.
        """
        check(sum(entry.signed_minor for _, entry in sides) == 0, "the sides of a transfer do not sum to zero")
        made = []
        for account, entry in sides:
            terms, detail, tags = self._told(account, entry)
            entry_id = self._entry_id(journal_num, transaction_id)
            posting = PostingRow(*self._append(account, journal_num, entry_id, terms.signed_minor, terms, None))
            freed_minor = held_minor if posting.signed_minor < 0 else 0
            made.append(self._stand_beside(account, posting, transaction_id, detail, tags, None, freed_minor))
        return made

    def _entry_id(self, journal_num: int, transaction_id: str) -> str:
        # The first entry of a journal transaction shares its id: for nearly all there is no other.
        return transaction_id if self._next_num == journal_num else next(self._ids)

    def _stand_beside(
        self,
        account: LedgerAccount,
        posting: PostingRow,
        transaction_id: str,
        detail: Detail,
        tags: Sequence[str],
        reverses_entry_id: str | None,
        held_minor: int,
    ) -> Posted:
        num = posting.num
        self._rows.details.append((num, account.num, *astuple(detail), 1))
        if tags:
            self._rows.tags.extend((num, tag, account.num) for tag in tags)
        texts = self._texts.get(account.num)
        if texts is None:
            texts = self._texts[account.num] = self._ledger.texts.of(account)
        if tokens := texts.tokens((detail.counterparty, detail.remittance, detail.notes)):
            self._words.append((num, tokens))
        posted = Posted(
            account, posting, detail, tags, transaction_id, self.now_ms, None, reverses_entry_id, held_minor
        )
        self._publish(posted, texts)
        return posted

    def end_hold(self, posting_num: int) -> None:
        """A pending entry has ended."""
        self._rows.ended_holds.append(posting_num)

    def split(self, posted: Posted, parts: Iterable[Row[Any]]) -> None:
        """Give an entry that was posted the parts of another of the same amount."""
        rows = [{**part._asdict(), "posting_num": posted.num} for part in parts]
        if not rows:
            return
        self._rows.splits.extend(rows)
        # The entry's own event cannot say it: it has one category.
        signed = posted.posting.signed_minor
        now = shares(signed, None, [(row["category_num"], row["amount_minor"]) for row in rows])
        self.recategorised(posted.account, posted.posting, posted.detail.kind, {None: signed}, now)

    def recategorised(
        self, account: LedgerAccount, entry: PostingRow | Row[Any], kind: str | None, before: Shares, after: Shares
    ) -> None:
        """Publish that an entry counts into other categories than was published before. Only what is booked counts."""
        if entry.status != _BOOKED or account.owner_id is None:
            return
        reverses = None if entry.reverses_num is None else repository.entry_id(self.connection, entry.reverses_num)
        self._events.append(
            events.entry_categorised(
                account,
                entry,
                kind=kind,
                reverses_entry_id=reverses,
                before=[(self._category_id(account, num), minor) for num, minor in before.items()],
                after=[(self._category_id(account, num), minor) for num, minor in after.items()],
                event_id=next(self._ids),
                recorded_at=self._now,
            )
        )

    def counter(self, account: LedgerAccount, purpose: Purpose) -> LedgerAccount:
        """The account on the other side of an account's entries, made on demand."""
        owner_id = account.owner_id
        if owner_id is None:
            raise not_found("account")
        place = (owner_id, account.currency_code, purpose)
        counter = self._counters.get(place)
        if counter is None:
            self._load_counters(owner_id)
            counter = self._counters.get(place)
            if counter is None:
                counter = self._counters[place] = self._open_counter(account, purpose)
        return counter

    def _load_counters(self, owner_id: str) -> None:
        # Those of all owners at once: entries of theirs are likely to follow.
        owners = {owner_id, *(account.owner_id for account in self._accounts.values() if account.owner_id)}
        for counter in repository.counter_accounts(self.connection, owners - self._counted):
            self._counters.setdefault((counter.owner_id or "", counter.currency_code, counter.purpose), counter)
        self._counted |= owners

    def close(self) -> None:
        """Write everything, and put the events into the outbox."""
        if self._rows.postings:
            repository.add_rows(self.connection, self._rows)
            repository.set_balances(self.connection, list(self._touched.values()))
            add_words(self.connection, self._words)
        self._ledger.outbox.add(self.connection, self._events)
        self._rows, self._words, self._events = LedgerRows(), [], []
        self._touched.clear()

    def _open_counter(self, account: LedgerAccount, purpose: Purpose) -> LedgerAccount:
        values = {
            "account_id": next(self._ids),
            "owner_id": account.owner_id,
            "purpose": purpose.value,
            "kind": "other",
            "currency": account.currency.value,
            "opened_at": self.now_ms,
            "version": 1,
        }
        num = repository.add_account(self.connection, values)
        [counter] = repository.accounts_by_num(self.connection, "", [num])
        return counter

    def _append(
        self,
        account: LedgerAccount,
        journal_num: int,
        entry_id: str | None,
        signed: int,
        terms: Terms,
        reverses_num: int | None,
    ) -> tuple[Any, ...]:
        """One side of a double entry: its row, in the order of the columns of ``posting``."""
        num = self._next_num
        if num >= self._end_num:
            raise InvariantError("the books have no number left for another posting")
        self._next_num = num + 1
        account.last_seq += 1
        if terms.status == _BOOKED:
            account.booked_minor += signed
        else:
            # What ends a pending entry has the opposite sign, and takes it away on the side where it was added.
            reversing = reverses_num is not None
            change = -abs(signed) if reversing else abs(signed)
            if (signed < 0) != reversing:
                account.pending_debits_minor += change
            else:
                account.pending_credits_minor += change
        self._touched[account.num] = account
        row = (
            num,
            journal_num,
            account.num,
            account.last_seq,
            entry_id,
            signed,
            account.currency_code,
            terms.status,
            terms.origin,
            terms.booking_date,
            terms.value_date,
            terms.occurred_at,
            reverses_num,
        )
        self._rows.postings.append(row)
        return row

    def _categorise(self, account: LedgerAccount, entry: NewEntry) -> tuple[int | None, bool, Sequence[str]]:
        category_num = None
        if entry.category_id is not None:
            category_num = self.category_num(account, entry.category_id)
        book = self._ledger.rule_book(self.connection, account)
        if not book:
            return category_num, False, entry.tags[:TAGS_MAX]
        told = facts(
            account.account_id, entry.credit_debit, entry.amount.amount_minor, entry.counterparty, entry.remittance
        )
        outcome = book.apply(told)
        tags = [*entry.tags, *(tag for tag in outcome.tags if tag not in entry.tags)]
        if category_num is None:
            return outcome.category_num, outcome.category_num is not None, tags[:TAGS_MAX]
        return category_num, False, tags[:TAGS_MAX]

    def category_num(self, account: LedgerAccount, category_id: str, pointer: str = "/category_id") -> int:
        """The number of a category of the account's owner. Raises a problem about ``pointer`` if it is not one."""
        num = self._category_nums(account).get(category_id)
        if num is None:
            raise unprocessable(pointer, "not a category of the account's owner", "unknown-category")
        return num

    def _category_nums(self, account: LedgerAccount) -> dict[str, int]:
        owner_id = account.owner_id or ""
        nums = self._categories.get(owner_id)
        if nums is None:
            nums = self._categories[owner_id] = categories.numbers(self.connection, owner_id)
        return nums

    def _category_id(self, account: LedgerAccount, category_num: int | None) -> str | None:
        if category_num is None:
            return None
        owner_id = account.owner_id or ""
        ids = self._category_ids.get(owner_id)
        if ids is None:
            nums = self._category_nums(account)
            ids = self._category_ids[owner_id] = {num: category_id for category_id, num in nums.items()}
        return ids.get(category_num)

    def category_id(self, posted: Posted) -> str | None:
        """The id of an entry's category."""
        return self._category_id(posted.account, posted.detail.category_num)

    def _occurred_at(self, entry: NewEntry) -> int:
        if entry.occurred_at is not None:
            return to_millis(entry.occurred_at)
        if entry.booking_date == self._today:
            return self.now_ms
        return _begin_ms(entry.booking_date)

    def _publish(self, posted: Posted, texts: Texts) -> None:
        self._events.append(
            events.balance_changed(
                posted.account,
                posted.posting,
                posted.detail,
                transaction_id=posted.transaction_id,
                reverses_entry_id=posted.reverses_entry_id,
                held_minor=posted.held_minor,
                category_id=self._category_id(posted.account, posted.detail.category_num),
                recorded_at=self._now,
                sealed=texts.sealed,
            )
        )

    @property
    def today(self) -> date:
        """The present day, UTC."""
        return self._today


# The days of one batch repeat themselves.
_iso_day = lru_cache(maxsize=1_000)(date.isoformat)


@lru_cache(maxsize=1_000)
def _begin_ms(day: date) -> int:
    return (day - _EPOCH).days * DAY_MS


_EPOCH = date(1970, 1, 1)


def check_funds(account: LedgerAccount, debit_minor: int) -> None:
    """Raise a problem if a debit would take what is available below nothing; without a limit nothing is refused."""
    if account.overdraft_limit_minor is not None and account.available_minor < debit_minor:
        raise conflict(
            "insufficient-funds",
            f"{to_decimal(account.available_minor, account.currency)} {account.currency.value} are available, "
            f"{to_decimal(debit_minor, account.currency)} are needed",
        )


def check_room(account: LedgerAccount, counter: LedgerAccount, signed_minor: int, status: EntryStatus) -> None:
    """Raise a problem if a new entry would take a balance or a pending sum of either side beyond 64 bits."""
    if status is _IS_BOOKED:
        fits = (
            INT64_MIN <= account.booked_minor + signed_minor <= INT64_MAX
            and INT64_MIN <= counter.booked_minor - signed_minor <= INT64_MAX
        )
    else:
        debtor, creditor = (account, counter) if signed_minor < 0 else (counter, account)
        most = INT64_MAX - abs(signed_minor)
        fits = debtor.pending_debits_minor <= most and creditor.pending_credits_minor <= most
    if not fits:
        raise out_of_range()


def direction(signed_minor: int) -> CreditDebit:
    """Whether money came in or went out."""
    return CreditDebit.CREDIT if signed_minor > 0 else CreditDebit.DEBIT
