"""Which categories entries count into: every change is published, so that who listens has the sums of the database."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL
from tests.bank.transactions.conftest import NewDatabase
from tests.bank.transactions.support import Bench, caller, made, new_entry, records

from streambank.bank.events import ENTRY_CATEGORISED, EntryCategorised, EntryStatus, Origin
from streambank.bank.transactions.categories import default_id
from streambank.bank.transactions.categorising import CHUNK_ENTRIES
from streambank.bank.transactions.models import CATEGORY, ENTRY_DETAIL, ENTRY_SPLIT, POSTING
from streambank.bank.transactions.schemas import ApplyRule, CategoryBody, CategoryView, RuleBody, RuleView
from streambank.bank.transactions.shares import Shares, shares

FOOD, FUEL, CAR = (default_id("ada", name) for name in ("Food", "Fuel", "Car"))
SPLIT = [{"amount_minor": 4, "category_id": FOOD}, {"amount_minor": 5, "category_id": FUEL}, {"amount_minor": 1}]

Parts = set[tuple[str | None, int]]


@pytest.mark.parametrize(
    ("signed", "category", "parts", "expected"),
    [
        (-10, 1, [], {1: -10}),
        (10, None, [], {None: 10}),
        (-10, None, [(1, 4), (2, 6)], {1: -4, 2: -6}),
        (10, None, [(1, 4), (None, 6)], {1: 4, None: 6}),
        (-10, None, [(1, 4), (1, 6)], {1: -10}),
        (-10, None, [(1, 4), (None, 5), (1, 1)], {1: -5, None: -5}),
    ],
)
def test_shares(signed: int, category: int | None, parts: Sequence[tuple[int | None, int]], expected: Shares) -> None:
    assert shares(signed, category, parts) == expected


def categorised(bench: Bench) -> list[EntryCategorised]:
    bench.settle()
    found = records(bench.log, ENTRY_CATEGORISED.name)
    return [ENTRY_CATEGORISED.value.deserialize(record.value or b"") for record in found]


def told(event: EntryCategorised) -> tuple[Parts, Parts]:
    before, after = ({(p.category, p.signed_minor) for p in parts} for parts in (event.before, event.after))
    return before, after


def test_another_category(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    entry = bench.post(account, -10, category_id=FOOD, kind="CARD_PAYMENT")
    bench.edit(entry.id, category_id=FUEL)
    (event,) = categorised(bench)
    assert told(event) == ({(FOOD, -10)}, {(FUEL, -10)})
    (booked,) = bench.published()
    same = ("user_id", "account_id", "entry_id", "occurred_at", "booking_date", "currency", "origin", "kind")
    assert [getattr(event, name) for name in same] == [getattr(booked, name) for name in same]
    assert event.event_id not in (entry.id, "")


def test_parts(bench: Bench) -> None:
    entry = bench.post(bench.open(overdraft_limit_minor=None), -10, category_id=FOOD)
    bench.edit(entry.id, splits=SPLIT)
    bench.edit(entry.id, splits=[], category_id=FUEL)
    split = {(FOOD, -4), (FUEL, -5), (None, -1)}
    assert [told(event) for event in categorised(bench)] == [({(FOOD, -10)}, split), (split, {(FUEL, -10)})]


def test_what_changes_no_category_is_not_published(bench: Bench) -> None:
    entry = bench.post(bench.open(overdraft_limit_minor=None), -10, category_id=FOOD)
    bench.edit(entry.id, notes="x", tags=["y"])
    bench.edit(entry.id, category_id=FOOD)
    bench.edit(entry.id, splits=[{"amount_minor": 3, "category_id": FOOD}, {"amount_minor": 7, "category_id": FOOD}])
    assert categorised(bench) == []


def test_pending_entries_count_once_they_are_booked(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    hold = bench.post(account, -10, status="PDNG", category_id=FOOD)
    bench.edit(hold.id, splits=SPLIT)
    assert categorised(bench) == []
    booked = bench.book(hold.id)
    (event,) = categorised(bench)
    assert (event.entry_id, *told(event)) == (booked.id, {(None, -10)}, {(FOOD, -4), (FUEL, -5), (None, -1)})
    (debit,) = [entry for entry in bench.published() if entry.status is EntryStatus.BOOKED]
    assert (debit.held_minor, debit.category) == (10, None)


def test_what_was_held_is_told_of_debits_alone(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    debit, credit = bench.post(account, -10, status="PDNG"), bench.post(account, 10, status="PDNG")
    bench.book(debit.id, amount_minor=7)
    bench.book(credit.id)
    bench.void(bench.post(account, -3, status="PDNG").id)
    bench.post(account, -4)
    bench.settle()
    booked = [entry for entry in bench.published() if entry.status is EntryStatus.BOOKED]
    assert [(entry.signed_minor, entry.held_minor) for entry in booked] == [(-7, 10), (10, 0), (-4, 0)]


def test_what_takes_an_entry_back_has_its_parts(bench: Bench) -> None:
    entry = bench.post(bench.open(overdraft_limit_minor=None), -10)
    bench.edit(entry.id, splits=SPLIT)
    reversal = bench.reverse(entry.id)
    event = categorised(bench)[-1]
    assert (event.entry_id, *told(event)) == (reversal.id, {(None, 10)}, {(FOOD, 4), (FUEL, 5), (None, 1)})
    assert event.reverses_entry_id == entry.id


@pytest.mark.parametrize("of_reversal", [False, True])
def test_an_entry_and_what_takes_it_back_stay_in_the_same_categories(bench: Bench, of_reversal: bool) -> None:
    entry = bench.post(bench.open(overdraft_limit_minor=None), -10, category_id=FOOD)
    reversal = bench.reverse(entry.id)
    chosen, other = (reversal, entry) if of_reversal else (entry, reversal)
    edited = bench.edit(chosen.id, category_id=FUEL)
    followed = bench.entry(other.id)
    assert (edited.category_id, followed.category_id, followed.version) == (FUEL, FUEL, other.version + 1)
    bench.edit(chosen.id, splits=SPLIT)
    assert len(bench.entry(other.id).splits) == 3
    assert [event.entry_id for event in categorised(bench)] == [chosen.id, other.id] * 2
    named = {event.entry_id: event.reverses_entry_id for event in categorised(bench)}
    assert named == {entry.id: None, reversal.id: entry.id}
    assert sums_told(bench) == {}
    assert bench.faults() == []


def test_a_rule_that_is_applied(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    entries = [bench.post(account, minor, counterparty="Shell") for minor in (-10, -20)]
    by_hand = bench.post(account, -30, counterparty="Shell", category_id=FOOD)
    reversal = bench.reverse(entries[0].id)
    rule_id = add_rule(bench, category_id=FUEL)
    assert apply_rule(bench, rule_id) == 2
    assert {(event.entry_id, *map(frozenset, told(event))) for event in categorised(bench)} == {
        (entries[0].id, frozenset({(None, -10)}), frozenset({(FUEL, -10)})),
        (reversal.id, frozenset({(None, 10)}), frozenset({(FUEL, 10)})),
        (entries[1].id, frozenset({(None, -20)}), frozenset({(FUEL, -20)})),
    }
    assert len(categorised(bench)) == 3
    assert apply_rule(bench, rule_id) == 0
    assert bench.entry(by_hand.id).category_id == FOOD
    assert len(categorised(bench)) == 3


def test_a_rule_that_only_tags_is_not_published(bench: Bench) -> None:
    bench.post(bench.open(overdraft_limit_minor=None), -10, counterparty="Shell")
    assert apply_rule(bench, add_rule(bench, tags=["car"])) == 1
    assert categorised(bench) == []


def test_a_category_that_is_removed(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    other = bench.open("bob", overdraft_limit_minor=None)
    gone = add_category(bench, "Gone")
    whole, parted = bench.post(account, -10, category_id=gone), bench.post(account, -10)
    bench.edit(parted.id, splits=[{"amount_minor": 9, "category_id": gone}, {"amount_minor": 1}])
    bench.post(account, -10, status="PDNG", category_id=gone)
    bench.post(other, -10, "bob", category_id=default_id("bob", "Food"))
    before = len(categorised(bench))
    remove_category(bench, gone)
    found = {event.entry_id: told(event) for event in categorised(bench)[before:]}
    assert found == {
        whole.id: ({(gone, -10)}, {(None, -10)}),
        parted.id: ({(gone, -9), (None, -1)}, {(None, -10)}),
    }
    assert sums_told(bench) == sums_there(bench)


def test_many_entries_of_a_category_that_is_removed(bench: Bench) -> None:
    account, gone = bench.open(overdraft_limit_minor=None), add_category(bench, "Gone")
    lines = [new_entry(-1, f"n{n}", account, category_id=gone) for n in range(2 * CHUNK_ENTRIES + 1)]
    bench.do(lambda c: bench.service.import_batch(c, caller("ada"), account, lines, "file"))
    remove_category(bench, gone)
    events = categorised(bench)
    assert len({event.entry_id for event in events}) == len(events) == 2 * CHUNK_ENTRIES + 1
    assert {event.origin for event in events} == {Origin.IMPORT}


def add_category(bench: Bench, name: str) -> str:
    answer = bench.do(lambda c: bench.service.create_category(c, caller("ada"), CategoryBody(name=name)))
    assert isinstance(answer.body, CategoryView)
    return answer.body.id


def remove_category(bench: Bench, category_id: str) -> None:
    bench.do(lambda c: bench.service.remove_category(c, caller("ada"), category_id, None))


def add_rule(bench: Bench, **body: Any) -> str:
    texts = [{"field": "counterparty", "op": "equals", "value": "Shell"}]
    rule_body = RuleBody.model_validate({"name": "fuel", "texts": texts, **body})
    answer = bench.do(lambda c: bench.service.create_rule(c, caller("ada"), rule_body))
    assert isinstance(answer.body, RuleView)
    return answer.body.id


def apply_rule(bench: Bench, rule_id: str) -> int:
    answer = bench.do(lambda c: bench.service.apply_rule(c, caller("ada"), rule_id, ApplyRule()))
    changed: int = answer.body.changed  # type: ignore[union-attr]
    return changed


def sums_told(bench: Bench) -> dict[str | None, int]:
    """What somebody has who reads both topics."""
    sums: Counter[str | None] = Counter()
    events = categorised(bench)
    for entry in bench.published():
        if entry.status is EntryStatus.BOOKED:
            sums[entry.category] += entry.signed_minor
    for event in events:
        assert sum(p.signed_minor for p in event.before) == sum(p.signed_minor for p in event.after)
        for part in event.before:
            sums[part.category] -= part.signed_minor
        for part in event.after:
            sums[part.category] += part.signed_minor
    return {category: minor for category, minor in sums.items() if minor}


def sums_there(bench: Bench) -> dict[str | None, int]:
    """What the database has, computed in another way than the service does."""

    def read(connection: Connection) -> dict[str | None, int]:
        sums: Counter[str | None] = Counter()
        ids = {row.num: row.category_id for row in connection.execute(select(CATEGORY))}
        rows = connection.execute(
            select(POSTING.c.num, POSTING.c.signed_minor, ENTRY_DETAIL.c.category_num)
            .outerjoin(ENTRY_DETAIL, ENTRY_DETAIL.c.posting_num == POSTING.c.num)
            .where(POSTING.c.status == "BOOK", POSTING.c.entry_id.is_not(None))
        ).all()
        for row in rows:
            parts = connection.execute(select(ENTRY_SPLIT).where(ENTRY_SPLIT.c.posting_num == row.num)).all()
            for part in parts:
                sums[ids.get(part.category_num)] += part.amount_minor * (1 if row.signed_minor > 0 else -1)
            if not parts:
                sums[ids.get(row.category_num)] += row.signed_minor
        return {category: minor for category, minor in sums.items() if minor}

    return bench.look(read)


CATEGORIES = st.sampled_from([None, FOOD, FUEL, CAR])


class Categories(RuleBasedStateMachine):
    """Ada records, splits, books, takes back, categorises by hand and by rules, and removes categories."""

    new_database: ClassVar[Callable[[], Path | URL]]

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.bench: Bench = self.stack.enter_context(made(folder, type(self).new_database(), "ada"))
        self.entries: list[str] = []
        self.pending: list[str] = []
        self.reversed: set[str] = set()
        self.extra: list[str] = []

    @initialize()
    def open(self) -> None:
        self.account = self.bench.open(overdraft_limit_minor=None)
        self.rule_id = add_rule(self.bench, category_id=FUEL)

    def chosen(self, which: int, of: list[str]) -> str | None:
        return of[which % len(of)] if of else None

    @rule(signed=st.integers(-50, 50).filter(bool), category=CATEGORIES, shell=st.booleans(), pending=st.booleans())
    def post(self, signed: int, category: str | None, shell: bool, pending: bool) -> None:
        body: dict[str, Any] = {"counterparty": "Shell"} if shell else {}
        if category is not None:
            body["category_id"] = category
        if pending:
            body["status"] = "PDNG"
        view = self.bench.post(self.account, signed, **body)
        (self.pending if pending else self.entries).append(view.id)

    @rule(which=st.integers(0, 99), category=CATEGORIES, clear=st.booleans())
    def categorise(self, which: int, category: str | None, clear: bool) -> None:
        if entry := self.chosen(which, self.entries + self.pending):
            if self.bench.entry(entry).splits:
                self.bench.edit(entry, splits=[], category_id=category)
            else:
                self.bench.edit(entry, category_id=None if clear else category)

    @rule(which=st.integers(0, 99), categories=st.lists(CATEGORIES, min_size=1, max_size=4))
    def split(self, which: int, categories: list[str | None]) -> None:
        if entry := self.chosen(which, self.entries + self.pending):
            minor = self.bench.entry(entry).amount.amount_minor
            categories = categories[:minor]
            amounts = [1] * (len(categories) - 1)
            amounts.append(minor - len(amounts))
            parts = [{"amount_minor": a, "category_id": c} for a, c in zip(amounts, categories, strict=True)]
            self.bench.edit(entry, splits=parts)

    @rule(which=st.integers(0, 99), other=st.none() | st.integers(1, 50))
    def book(self, which: int, other: int | None) -> None:
        if entry := self.chosen(which, self.pending):
            self.pending.remove(entry)
            self.entries.append(self.bench.book(entry, amount_minor=other).id)

    @rule(which=st.integers(0, 99))
    def reverse(self, which: int) -> None:
        left = [entry for entry in self.entries if entry not in self.reversed]
        if entry := self.chosen(which, left):
            view = self.bench.reverse(entry, force=True)
            self.reversed |= {entry, view.id}
            self.entries.append(view.id)

    @rule()
    def apply(self) -> None:
        apply_rule(self.bench, self.rule_id)

    @rule(which=st.integers(0, 99))
    def remove(self, which: int) -> None:
        self.extra.append(add_category(self.bench, f"Extra {len(self.extra)}"))
        if entry := self.chosen(which, self.entries):
            if not self.bench.entry(entry).splits:
                self.bench.edit(entry, category_id=self.extra[-1])
            remove_category(self.bench, self.extra[-1])

    @invariant()
    def who_listens_has_the_same_sums(self) -> None:
        assert sums_told(self.bench) == sums_there(self.bench)

    @invariant()
    def what_is_taken_back_counts_nowhere(self) -> None:
        sums: Counter[str | None] = Counter()
        for entry_id in self.reversed:
            view = self.bench.entry(entry_id)
            sign = 1 if view.credit_debit.value == "CRDT" else -1
            for part in view.splits:
                sums[part.category_id] += sign * part.amount_minor
            if not view.splits:
                sums[view.category_id] += sign * view.amount.amount_minor
        assert not any(sums.values())

    def teardown(self) -> None:
        assert self.bench.faults() == []
        self.stack.close()


def run(new: NewDatabase, examples: int) -> None:
    machine = type("Bound", (Categories,), {"new_database": staticmethod(new)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_random_changes_on_sqlite(sqlite_databases: NewDatabase) -> None:
    run(sqlite_databases, 30)


def test_random_changes_on_postgresql(postgres_databases: NewDatabase) -> None:
    run(postgres_databases, 4)
