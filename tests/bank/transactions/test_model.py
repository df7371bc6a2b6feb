"""Random histories against a model that knows nothing but lists of numbers."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy.engine import URL
from tests.bank.transactions.support import Bench, caller, line, made, new_entry

from streambank.bank.events import EntryStatus, Origin
from streambank.bank.transactions.batch import Recorded
from streambank.bank.transactions.categories import default_id
from streambank.clock import to_datetime
from streambank.service.http.problems import Problem

MINOR = st.integers(1, 150)
SIGNED = st.integers(-120, 200).filter(bool)


@dataclass
class Entry:
    """What the model knows of an entry; ``ends`` is the place in its account's list of what it takes back."""

    id: str
    signed: int
    pending: bool
    ends: int | None = None
    ended: bool = False
    expires_ms: int | None = None
    imported: bool = False
    category: str | None = None


@dataclass
class Account:
    """An account in the model."""

    id: str
    user: str
    limit: int | None
    entries: list[Entry] = field(default_factory=list)
    names: dict[str, tuple[int, int]] = field(default_factory=dict)
    imports: dict[str, list[int]] = field(default_factory=dict)

    @property
    def booked(self) -> int:
        return sum(e.signed for e in self.entries if not e.pending)

    @property
    def holds(self) -> list[int]:
        return [i for i, e in enumerate(self.entries) if e.pending and e.ends is None and not e.ended]

    @property
    def debits(self) -> int:
        return -sum(self.entries[i].signed for i in self.holds if self.entries[i].signed < 0)

    @property
    def credits(self) -> int:
        return sum(self.entries[i].signed for i in self.holds if self.entries[i].signed > 0)

    def covers(self, debit: int) -> bool:
        return self.limit is None or self.booked - self.debits - debit >= -self.limit

    def end(self, i: int, entry_id: str) -> None:
        self.entries[i].ended = True
        self.entries.append(Entry(entry_id, -self.entries[i].signed, self.entries[i].pending, ends=i))


class Ledgers(RuleBasedStateMachine):
    """Ada has two accounts, with and without a limit; Bob has one."""

    new_database: ClassVar[Callable[[], Path | URL]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.bench: Bench = self.stack.enter_context(made(folder, type(self).new_database(), "ada", "bob"))
        self.accounts: list[Account] = []
        self.count = 0

    @initialize()
    def open(self) -> None:
        for user, limit in (("ada", 300), ("ada", None), ("bob", 0)):
            self.accounts.append(Account(self.bench.open(user, overdraft_limit_minor=limit), user, limit))

    @rule(n=st.integers(0, 2), signed=SIGNED, pending=st.booleans(), days=st.none() | st.integers(1, 5))
    def post(self, n: int, signed: int, pending: bool, days: int | None) -> None:
        account, body = self.accounts[n], dict[str, Any]()
        expires_ms = None
        if pending:
            body["status"] = "PDNG"
            if days is not None:
                expires_ms = self.bench.clock.now_ms + days * 86_400_000
                body["expires_at"] = to_datetime(expires_ms)
        if signed < 0 and not account.covers(-signed):
            self.refused("insufficient-funds", lambda: self.bench.post(account.id, signed, account.user, **body))
            return
        view = self.bench.post(account.id, signed, account.user, **body)
        account.entries.append(Entry(view.id, signed, pending, expires_ms=expires_ms))

    @rule(lines=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), SIGNED), max_size=8))
    def batch(self, lines: list[tuple[int, int, int]]) -> None:
        """Ada sends lines: a name again is a duplicate or is refused, and Bob's account is none."""
        told = [line(self.accounts[n].id, signed, f"n{name}") for n, name, signed in lines]
        for (n, name, signed), answer in zip(lines, self.bench.batch(*told) if told else [], strict=True):
            account = self.accounts[n]
            known = account.names.get(f"n{name}")
            if account.user != "ada":
                assert isinstance(answer, Problem)
                assert answer.status == 404
            elif known is None:
                assert isinstance(answer, Recorded)
                assert answer.result == "created"
                account.names[f"n{name}"] = (len(account.entries), signed)
                account.entries.append(Entry(answer.entry_id, signed, False))
            elif known[1] == signed:
                assert answer == Recorded("duplicate", account.entries[known[0]].id)
            else:
                assert isinstance(answer, Problem)
                assert answer.slug == "external-id-taken"

    @rule(n=st.integers(0, 2), which=st.integers(0, 99), minor=st.none() | MINOR, force=st.booleans())
    def book(self, n: int, which: int, minor: int | None, force: bool) -> None:
        account = self.accounts[n]
        if not account.holds:
            return
        i = account.holds[which % len(account.holds)]
        hold = account.entries[i]
        signed = hold.signed if minor is None else (minor if hold.signed > 0 else -minor)
        more = hold.signed - signed if signed < 0 else 0
        if not force and more > 0 and not account.covers(more):
            self.refused("insufficient-funds", lambda: self.bench.book(hold.id, account.user, amount_minor=minor))
            return
        view = self.bench.book(hold.id, account.user, amount_minor=minor, force=force)
        account.end(i, self.bench.entry(hold.id, account.user).reversed_by_id or "")
        account.entries.append(Entry(view.id, signed, False))

    @rule(n=st.integers(0, 2), which=st.integers(0, 99))
    def void(self, n: int, which: int) -> None:
        account = self.accounts[n]
        if account.entries:
            i = which % len(account.entries)
            entry = account.entries[i]
            if i in account.holds:
                account.end(i, self.bench.void(entry.id, account.user).id)
            else:
                ended = entry.pending and entry.ends is None
                self.refused(
                    "entry-ended" if ended else "entry-not-pending", lambda: self.bench.void(entry.id, account.user)
                )

    @rule(n=st.integers(0, 2), which=st.integers(0, 99), force=st.booleans())
    def reverse(self, n: int, which: int, force: bool) -> None:
        account = self.accounts[n]
        if not account.entries:
            return
        i = which % len(account.entries)
        entry = account.entries[i]
        if entry.pending:
            slug = "entry-pending"
        elif entry.ends is not None:
            slug = "entry-is-reversal"
        elif entry.ended:
            slug = "already-reversed"
        elif not force and entry.signed > 0 and not account.covers(entry.signed):
            slug = "insufficient-funds"
        else:
            account.end(i, self.bench.reverse(entry.id, account.user, force=force).id)
            return
        self.refused(slug, lambda: self.bench.reverse(entry.id, account.user, force=force))

    @rule(
        n=st.integers(0, 2),
        rows=st.lists(st.tuples(st.integers(0, 3), SIGNED, st.booleans()), min_size=1, max_size=6),
    )
    def read_in(self, n: int, rows: list[tuple[int, int, bool]]) -> None:
        """A file, some rows of which earlier ones had, too."""
        account = self.accounts[n]
        self.count += 1
        name = f"{account.id[-6:]}-{self.count}"
        entries = [new_entry(signed, f"f{row}", status="PDNG" if pending else "BOOK") for row, signed, pending in rows]
        view = self.bench.do(
            lambda c: self.bench.service.import_batch(c, caller(account.user), account.id, entries, name)
        )
        booked: list[int] = []
        for row, signed, pending in rows:
            if f"f{row}" not in account.names:
                account.names[f"f{row}"] = (len(account.entries), signed)
                booked.append(len(account.entries))
                account.entries.append(Entry("?", signed, pending, imported=True))
        account.imports[name] = booked
        assert view.booked == len(booked)
        assert view.booked + view.duplicates + view.differing == len(rows)
        self.learn_ids(account)

    @rule(n=st.integers(0, 2), which=st.integers(0, 99))
    def undo(self, n: int, which: int) -> None:
        account = self.accounts[n]
        if not account.imports:
            return
        name = sorted(account.imports)[which % len(account.imports)]
        booked = account.imports.pop(name)
        self.bench.do(lambda c: self.bench.service.undo_import(c, caller(account.user), name, None))
        for i in reversed(booked):
            if not account.entries[i].ended:
                account.end(i, "?")
                account.names = {key: at for key, at in account.names.items() if at[0] != i}
        self.learn_ids(account)

    @rule(n=st.integers(0, 1), which=st.integers(0, 99), name=st.sampled_from(["Food", "Fuel"]))
    def categorise(self, n: int, which: int, name: str) -> None:
        account = self.accounts[n]
        if account.entries:
            i = which % len(account.entries)
            entry, category = account.entries[i], default_id("ada", name)
            self.bench.edit(entry.id, category_id=category, tags=[name], notes=name)
            entry.category = category
            # A booked entry and what takes it back count into the same.
            for j, other in enumerate(account.entries):
                if (other.ends == i or entry.ends == j) and not other.pending:
                    other.category = category

    @rule(days=st.integers(1, 3))
    def wait(self, days: int) -> None:
        """Time passes, and pending entries expire: the one that was to end first, first."""
        self.bench.clock.now_ms += round(timedelta(days=days).total_seconds() * 1000)
        self.bench.service.expire()
        for account in self.accounts:
            due = [i for i in account.holds if (account.entries[i].expires_ms or 2**62) <= self.bench.clock.now_ms]
            for i in sorted(due, key=lambda i: (account.entries[i].expires_ms, i)):
                account.end(i, "?")
            self.learn_ids(account)

    @invariant()
    def balances_are_those_of_the_model(self) -> None:
        for account in self.accounts:
            found = self.bench.balance(account.id, account.user)
            assert found.booked_minor == account.booked
            assert (found.pending_debits_minor, found.pending_credits_minor) == (account.debits, account.credits)
            assert found.available_minor == account.booked - account.debits + (account.limit or 0)
            assert found.last_seq == len(account.entries)

    @rule()
    def publish(self) -> None:
        self.bench.settle()

    def teardown(self) -> None:
        try:
            if self.accounts:
                self.check_all()
        finally:
            self.stack.close()

    def check_all(self) -> None:
        """The ledger is whole, and the log has exactly the model's entries, each account's in its order."""
        assert self.bench.faults() == []
        self.bench.settle()
        published = self.bench.published()
        for account in self.accounts:
            mine = [e for e in published if e.account_id == account.id]
            assert [e.account_seq for e in mine] == list(range(1, len(account.entries) + 1))
            for event, entry in zip(mine, account.entries, strict=True):
                assert (event.entry_id, event.signed_minor) == (entry.id, entry.signed)
                assert (event.status is EntryStatus.PENDING) is entry.pending
                ends = None if entry.ends is None else account.entries[entry.ends].id
                assert event.reverses_entry_id == ends
                if entry.imported:
                    assert event.origin is Origin.IMPORT
                if entry.category is not None:
                    assert self.bench.entry(entry.id).category_id == entry.category
        assert len(published) == sum(len(account.entries) for account in self.accounts)

    def learn_ids(self, account: Account) -> None:
        """The ids of entries that were made without an answer that names them, from the export."""
        if all(entry.id != "?" for entry in account.entries):
            return
        page = self.bench.look(lambda c: self.bench.service.export(c, caller(account.user), None, 10_000))
        mine = [item for item in page.items if item.account_id == account.id]
        for entry, item in zip(account.entries, mine, strict=True):
            assert entry.id in ("?", item.id)
            entry.id = item.id

    def refused(self, slug: str, work: Any) -> None:
        with pytest.raises(Problem) as refused:
            work()
        assert refused.value.slug == slug


def test_random_histories(new_database: Callable[[], Path | URL]) -> None:
    Ledgers.new_database = staticmethod(new_database)
    run_state_machine_as_test(
        Ledgers,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
