"""The rules of balances, and that the database itself refuses to change the ledger."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from tests.bank.transactions.support import NOON, Bench, caller, opened, signed

from streambank.bank.events import EntryStatus
from streambank.bank.events.money import INT64_MAX as MOST
from streambank.bank.transactions.models import ACCOUNT, BALANCE, JOURNAL, POSTING
from streambank.service.http.problems import Problem
from streambank.service.outbox import outbox_length

PENDING = {"status": "PDNG"}


class Case(NamedTuple):
    """Entries on an account with this limit, then one more: is it refused, and what are the sums afterwards?"""

    name: str
    limit: int | None
    before: list[tuple[int, dict[str, Any]]]
    entry: tuple[int, dict[str, Any]]
    refused: str | None
    booked: int
    debits: int
    credits: int
    available: int


CASES = [
    Case("a credit", 0, [], (500, {}), None, 500, 0, 0, 500),
    Case("a debit of all there is", 0, [(500, {})], (-500, {}), None, 0, 0, 0, 0),
    Case("a debit of a cent more", 0, [(500, {})], (-501, {}), "insufficient-funds", 500, 0, 0, 500),
    Case("down to the limit", 200, [(500, {})], (-700, {}), None, -200, 0, 0, 0),
    Case("a cent below the limit", 200, [(500, {})], (-701, {}), "insufficient-funds", 500, 0, 0, 700),
    Case("no limit at all", None, [], (-10_000, {}), None, -10_000, 0, 0, -10_000),
    Case("forced", 0, [], (-1, {"force": True}), None, -1, 0, 0, -1),
    Case("a credit into the red is never refused", 0, [(-9, {"force": True})], (1, {}), None, -8, 0, 0, -8),
    Case("a pending debit holds", 0, [(500, {})], (-200, PENDING), None, 500, 200, 0, 300),
    Case("a pending debit needs cover", 0, [(500, {})], (-501, PENDING), "insufficient-funds", 500, 0, 0, 500),
    Case("what is held is not there", 0, [(500, {}), (-9, PENDING)], (-492, {}), "insufficient-funds", 500, 9, 0, 491),
    Case("beside what is held", 0, [(500, {}), (-200, PENDING)], (-300, {}), None, 200, 200, 0, 0),
    Case("a pending credit is not there yet", 0, [(500, PENDING)], (-1, {}), "insufficient-funds", 0, 0, 500, 0),
    Case("pending credits add up", 0, [(500, PENDING)], (7, PENDING), None, 0, 0, 507, 0),
    Case("64 bits", None, [(MOST, {})], (1, {}), "amount-out-of-range", MOST, 0, 0, MOST),
    Case("64 bits below", None, [(-MOST, {})], (-2, {}), "amount-out-of-range", -MOST, 0, 0, -MOST),
    Case("64 bits held", None, [(-MOST, PENDING)], (-1, PENDING), "amount-out-of-range", 0, MOST, 0, -MOST),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rules_of_balances(bench: Bench, case: Case) -> None:
    account = bench.open(overdraft_limit_minor=case.limit)
    for minor, body in case.before:
        bench.post(account, minor, **body)
    if case.refused is None:
        entry = bench.post(account, case.entry[0], **case.entry[1])
        assert bench.entry(entry.id) == entry
    else:
        with pytest.raises(Problem) as refused:
            bench.post(account, case.entry[0], **case.entry[1])
        assert refused.value.slug == case.refused
    found = bench.balance(account)
    assert (found.booked_minor, found.pending_debits_minor, found.pending_credits_minor) == (
        case.booked,
        case.debits,
        case.credits,
    )
    assert found.available_minor == case.available
    assert found.last_seq == len(case.before) + (case.refused is None)
    assert bench.faults() == []


def test_facts_of_a_bank_pass_the_limit(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=0)
    [answer] = bench.batch({**_line(account, -700), "external_id": "1"})
    assert not isinstance(answer, Problem)
    assert bench.balance(account).booked_minor == -700


def test_both_sides_are_posted_and_only_the_users_is_seen_and_published(bench: Bench) -> None:
    account = bench.open()
    kinds = [("OPENING", 900), (None, -100), ("ADJUSTMENT", -1), (None, -50)]
    for kind, minor in kinds:
        bench.post(account, minor, kind=kind)
    bench.settle()
    with bench.database.read() as connection:
        sums = connection.execute(
            select(ACCOUNT.c.purpose, BALANCE.c.booked_minor).join(BALANCE, BALANCE.c.account_num == ACCOUNT.c.num)
        )
        assert dict(tuple(row) for row in sums) == {"user": 749, "external": 150, "opening": -900, "adjustment": 1}
    listed = bench.look(lambda c: bench.service.list_accounts(c, caller()))
    assert [view.id for view in listed.body.items] == [account]  # type: ignore[union-attr]
    assert [event.account_id for event in bench.published()] == [account] * 4
    assert bench.faults() == []


def test_every_entry_is_published_once_in_order_and_sealed(bench: Bench) -> None:
    first, second = bench.open(), bench.open("bob")
    for n in range(1, 6):
        bench.post(first, n, counterparty="Café", counterparty_account="AT1", remittance=f"order {n}", kind="CARD")
        bench.post(second, n, "bob")
    bench.settle()
    events = [event for event in bench.published() if event.account_id == first]
    assert [(event.account_seq, event.signed_minor) for event in events] == [(n, n) for n in range(1, 6)]
    assert len(bench.published()) == 10
    last = events[-1]
    assert (last.user_id, last.kind, last.occurred_at, last.status) == ("ada", "CARD", NOON, EntryStatus.BOOKED)
    texts = (last.counterparty, last.counterparty_account, last.remittance)
    assert [opened("ada", text) for text in texts] == ["Café", "AT1", "order 5"]
    assert all(text is not None and text.startswith("sealed:") for text in texts)
    assert last.entry_id == bench.entry(last.entry_id).id
    assert last.transaction_id == bench.entry(last.entry_id).transaction_id


def test_a_closed_account_refuses(bench: Bench) -> None:
    account = bench.open()
    kept = bench.post(account, 5)
    bench.post(account, -5)
    bench.do(lambda c: bench.service.close_account(c, caller(), account, None))
    works: list[Callable[[], object]] = [
        lambda: bench.post(account, 5),
        lambda: bench.post(account, 5, **PENDING),
        lambda: bench.reverse(kept.id),
    ]
    for work in works:
        with pytest.raises(Problem) as refused:
            work()
        assert (refused.value.status, refused.value.slug) == (409, "account-closed")
    [answer] = bench.batch({**_line(account, 5), "external_id": "1"})
    assert isinstance(answer, Problem)
    assert answer.slug == "account-closed"
    assert bench.balance(account).last_seq == 2


def test_a_refusal_says_how_much_is_there(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 1_050)
    with pytest.raises(Problem, match=r"10\.50 EUR are available, 11\.00 are needed"):
        bench.post(account, -1_100)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET signed_minor = signed_minor + 1",
        "UPDATE posting SET booking_date = booking_date",
        "UPDATE journal SET recorded_at = 0",
        "DELETE FROM posting",
        "DELETE FROM journal WHERE num = 1",
    ],
)
def test_the_database_refuses_to_change_the_ledger(bench: Bench, statement: str) -> None:
    account = bench.open()
    bench.post(account, 5)
    with pytest.raises(DBAPIError, match="the ledger can only be appended to"), bench.database.begin() as connection:
        connection.execute(text(statement))
    assert bench.balance(account).booked_minor == 5
    assert bench.faults() == []


def test_the_database_refuses_to_replace_a_row_of_the_ledger(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 5)
    columns = ", ".join(column.name for column in POSTING.columns)
    told = ", ".join("99" if c.name == "signed_minor" else c.name for c in POSTING.columns)
    if bench.database.name.startswith("sqlite"):
        statement = f"INSERT OR REPLACE INTO posting ({columns}) SELECT {told} FROM posting"
    else:
        conflict = "ON CONFLICT (num) DO UPDATE SET signed_minor = 99"
        statement = f"INSERT INTO posting ({columns}) SELECT {told} FROM posting {conflict}"
    with pytest.raises(DBAPIError, match="the ledger can only be appended to"), bench.database.begin() as connection:
        connection.execute(text(statement))
    assert bench.faults() == []


def test_the_check_finds_what_is_wrong(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 5)
    assert bench.faults() == []
    with bench.database.begin() as connection:
        connection.execute(update(BALANCE).values(booked_minor=BALANCE.c.booked_minor + 1))
    assert len(bench.faults()) == 2
    with bench.database.begin() as connection:
        connection.execute(update(BALANCE).values(booked_minor=BALANCE.c.booked_minor - 1))
        posting = connection.execute(select(POSTING).where(POSTING.c.entry_id.is_not(None))).one()._asdict()
        journal = connection.execute(select(JOURNAL)).one()._asdict()
        connection.execute(insert(JOURNAL), {**journal, "num": 98, "kind": "transfer"})
        alone = {"num": 99, "journal_num": 98, "account_seq": 3, "entry_id": "e", "currency": "USD"}
        connection.execute(insert(POSTING), {**posting, **alone})
    told = " ".join(bench.faults())
    wrong = ("do not sum to zero", "is not the sum of its postings", "another currency", "not booked on two accounts")
    for part in wrong:
        assert part in told


def test_a_user_whose_key_has_not_arrived_is_asked_to_wait(bench: Bench) -> None:
    account = bench.open()
    works: list[Callable[[], object]] = [
        lambda: bench.open("zoe"),
        lambda: bench.post(account, 1, "zoe"),
        lambda: bench.batch({**_line(account, 1), "external_id": "1"}, user_id="zoe"),
    ]
    for work in works:
        with pytest.raises(Problem) as refused:
            work()
        assert (refused.value.status, refused.value.slug) == (503, "user-not-known-yet")
        assert refused.value.headers == {"Retry-After": "1"}
    bench.know("zoe")
    bench.post(bench.open("zoe"), 1, "zoe")


def test_a_refused_entry_leaves_nothing(bench: Bench) -> None:
    account = bench.open()
    bench.settle()
    with pytest.raises(Problem):
        bench.post(account, -5)
    assert outbox_length(bench.database) == 0
    with bench.database.read() as connection:
        assert connection.execute(select(POSTING)).all() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": {"amount_minor": 5, "currency": "USD"}}, "/amount/currency"),
        ({"amount": {"amount_minor": 5, "currency": "QQQ"}}, "/amount/currency"),
        ({"amount": {"amount_minor": 5, "currency": "XAU"}}, "/amount/currency"),
        ({"booking_date": "0001-01-01"}, "/booking_date"),
        ({"booking_date": "2200-01-01"}, "/booking_date"),
        ({"value_date": "0007-01-01"}, "/value_date"),
        ({"expires_at": "2027-01-01T00:00:00Z"}, "/expires_at"),
        ({"category_id": "nothing"}, "/category_id"),
        ({"tags": ["a", "a"]}, "/tags"),
    ],
)
def test_what_is_wrong_is_named(bench: Bench, body: dict[str, Any], pointer: str) -> None:
    account = bench.open()
    with pytest.raises(Problem) as refused:
        bench.post(account, 5, **body)
    assert refused.value.status == 422
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert bench.balance(account).last_seq == 0


def test_when_it_happened(bench: Bench) -> None:
    account = bench.open()
    assert bench.post(account, 1).occurred_at == NOON
    assert bench.post(account, 1, booking_date="2026-11-20").occurred_at.isoformat() == "2026-11-20T00:00:00+00:00"
    told = bench.post(account, 1, occurred_at="2026-11-20T10:00:00+01:00")
    assert told.occurred_at.isoformat() == "2026-11-20T09:00:00+00:00"
    assert signed(told) == 1


def _line(account: str, minor: int) -> dict[str, Any]:
    amount = {"amount_minor": abs(minor), "currency": "EUR"}
    return {
        "account_id": account,
        "credit_debit": "CRDT" if minor > 0 else "DBIT",
        "amount": amount,
        "booking_date": "2026-11-24",
    }
