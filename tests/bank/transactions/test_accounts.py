"""Accounts and who may do what with them."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select
from tests.bank.transactions.support import Bench, caller, opened, records, transaction

from streambank.bank.events import ACCOUNT, AccountKind, Role
from streambank.bank.transactions.models import ACCOUNT as ACCOUNTS
from streambank.bank.transactions.models import (
    ACCOUNT_MEMBER,
    CATEGORY,
    ENTRY_DETAIL,
    ENTRY_TAG,
    EXTERNAL_ID,
    PERSON,
    POSTING,
    RULE,
)
from streambank.bank.transactions.schemas import ChangeAccount, MemberBody, OpenAccount, RuleBody
from streambank.service.http.problems import Problem
from streambank.service.tables import IDEMPOTENCY_KEY


def refusal(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value.status, refused.value.slug


def change(bench: Bench, account: str, expected: int | None = None, user: str = "ada", **body: Any) -> None:
    told = ChangeAccount(**body)
    bench.do(lambda c: bench.service.change_account(c, caller(user), account, told, expected))


def share(bench: Bench, account: str, member: str, role: Role, user: str = "ada") -> None:
    told = MemberBody(role=role)
    bench.do(lambda c: bench.service.set_member(c, caller(user), account, member, told, None))


def unshare(bench: Bench, account: str, member: str, user: str = "ada") -> None:
    bench.do(lambda c: bench.service.remove_member(c, caller(user), account, member, None))


def close(bench: Bench, account: str, user: str = "ada") -> None:
    bench.do(lambda c: bench.service.close_account(c, caller(user), account, None))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, 0),
        ({"kind": "savings"}, 0),
        ({"kind": "credit-card"}, None),
        ({"kind": "loan"}, None),
        ({"kind": "credit-card", "overdraft_limit_minor": 500_00}, 500_00),
        ({"overdraft_limit_minor": None}, None),
    ],
)
def test_limits_of_new_accounts(bench: Bench, body: dict[str, Any], limit: int | None) -> None:
    assert bench.account(bench.open(**body)).overdraft_limit_minor == limit


def test_every_change_is_published(bench: Bench) -> None:
    account = bench.open(name="Everyday", kind="checking", number_last4="1234")
    change(bench, account, 1, name="Household", overdraft_limit_minor=100_00)
    share(bench, account, "bob", Role.VIEWER)
    close(bench, account)
    bench.do(lambda c: bench.service.reopen_account(c, caller(), account))
    unshare(bench, account, "bob")
    bench.settle()
    told = [event for event in bench.accounts_published() if event is not None]
    assert [opened("ada", event.name) for event in told] == ["Everyday", *["Household"] * 5]
    assert all(event.name.startswith("sealed:") and event.user_id == "ada" for event in told)
    assert [event.overdraft_limit_minor for event in told] == [0, *[100_00] * 5]
    assert [[m.user_id for m in event.members] for event in told] == [[], [], ["bob"], ["bob"], ["bob"], []]
    assert [event.closed_at is not None for event in told] == [False, False, False, True, False, False]
    assert told[-1].kind is AccountKind.CHECKING
    assert told[-1].number_last4 == "1234"
    assert bench.account(account).version == 6
    assert refusal(lambda: change(bench, account, 5, name="Late")) == (412, "version-mismatch")


def test_closing(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 5)
    assert refusal(lambda: close(bench, account)) == (409, "account-not-empty")
    bench.post(account, -5)
    hold = bench.post(account, 7, status="PDNG")
    assert refusal(lambda: close(bench, account)) == (409, "account-has-pending")
    bench.void(hold.id)
    close(bench, account)
    assert refusal(lambda: close(bench, account)) == (409, "account-closed")
    bench.do(lambda c: bench.service.reopen_account(c, caller(), account))
    assert refusal(lambda: bench.do(lambda c: bench.service.reopen_account(c, caller(), account))) == (
        409,
        "account-open",
    )
    bench.post(account, 1)


@pytest.mark.parametrize("currency", ["QQQ", "XAU"])
def test_a_currency_that_is_none(bench: Bench, currency: str) -> None:
    assert refusal(lambda: bench.open(currency=currency)) == (422, "invalid-field")


def works(bench: Bench, account: str, entry: str, user: str) -> dict[str, Callable[[], object]]:
    """Everything that can be done with an account, by its name."""
    service, who = bench.service, caller(user)
    return {
        "get": lambda: bench.account(account, user),
        "balance": lambda: bench.balance(account, user),
        "entry": lambda: bench.entry(entry, user),
        "members": lambda: bench.look(lambda c: service.list_members(c, who, account)),
        "categories": lambda: bench.look(lambda c: service.list_categories(c, who, account)),
        "change": lambda: change(bench, account, None, user, name="Mine"),
        "post": lambda: bench.post(account, 5, user),
        "edit": lambda: bench.edit(entry, user, notes="seen"),
        "reverse": lambda: bench.reverse(entry, user),
        "share": lambda: share(bench, account, "cleo", Role.VIEWER, user),
        "close": lambda: close(bench, account, user),
        "import": lambda: bench.do(lambda c: service.import_batch(c, who, account, [], "i1")),
    }


LOOKING = {"get", "balance", "entry", "members", "categories"}


def test_a_stranger_learns_nothing(bench: Bench) -> None:
    account = bench.open()
    entry = bench.post(account, 50)
    unknown = works(bench, "no-account", "no-entry", "bob")
    for name, work in works(bench, account, entry.id, "bob").items():
        with pytest.raises(Problem) as refused:
            work()
        with pytest.raises(Problem) as of_nothing:
            unknown[name]()
        assert refused.value.status == 404, name
        assert refused.value.members() == of_nothing.value.members(), name


def test_a_viewer_looks_and_does_nothing(bench: Bench) -> None:
    account = bench.open()
    entry = bench.post(account, 50)
    share(bench, account, "bob", Role.VIEWER)
    for name, work in works(bench, account, entry.id, "bob").items():
        if name in LOOKING:
            work()
        else:
            assert refusal(work) == (403, "forbidden"), name
    [answer] = bench.batch({**transaction(account, 5), "external_id": "1"}, user_id="bob")
    assert isinstance(answer, Problem)
    assert answer.status == 403


def test_an_owner_does_everything(bench: Bench) -> None:
    account = bench.open()
    entry = bench.post(account, 50)
    share(bench, account, "bob", Role.OWNER)
    for name, work in works(bench, account, entry.id, "bob").items():
        if name != "close":
            work()
    bench.settle()
    assert {event.user_id for event in bench.published()} == {"ada"}


def test_members(bench: Bench) -> None:
    account = bench.open()
    share(bench, account, "bob", Role.VIEWER)
    share(bench, account, "bob", Role.OWNER)
    assert refusal(lambda: share(bench, account, "nobody", Role.VIEWER)) == (404, "not-found")
    assert refusal(lambda: share(bench, account, "ada", Role.VIEWER, "bob")) == (409, "opener-stays")
    assert refusal(lambda: unshare(bench, account, "ada", "bob")) == (409, "opener-stays")
    assert refusal(lambda: unshare(bench, account, "cleo")) == (404, "not-found")
    share(bench, account, "cleo", Role.VIEWER, "bob")
    assert refusal(lambda: unshare(bench, account, "bob", "cleo")) == (403, "forbidden")
    unshare(bench, account, "cleo", "cleo")
    assert refusal(lambda: bench.account(account, "cleo")) == (404, "not-found")
    answer = bench.look(lambda c: bench.service.list_members(c, caller(), account))
    members = answer.body.items  # type: ignore[union-attr]
    assert [(m.user_id, m.role, m.opened_it) for m in members] == [
        ("ada", Role.OWNER, True),
        ("bob", Role.OWNER, False),
    ]


def test_erasure_leaves_amounts_that_name_nobody(bench: Bench) -> None:
    account, shared = bench.open(), bench.open()
    share(bench, account, "bob", Role.VIEWER)
    others = bench.open("bob")
    share(bench, others, "ada", Role.VIEWER, "bob")
    share(bench, shared, "bob", Role.OWNER)
    bench.post(account, 50, counterparty="Doctor", notes="private", tags=["health"], external_id="x")
    bench.post(account, 5, status="PDNG")
    kept = bench.post(shared, 70, counterparty="Landlord")
    rule = RuleBody(name="r", credit_debit="CRDT", tags=["in"])  # type: ignore[arg-type]
    bench.do(lambda c: bench.service.create_rule(c, caller(), rule))
    bench.settle()
    before = len(bench.published())
    answered = {"scope": "ada", "key": "k", "fingerprint": b"f", "status": 201, "headers": "{}", "body": b"private"}
    with bench.database.begin() as connection:
        connection.execute(insert(IDEMPOTENCY_KEY), {**answered, "created_at": bench.clock()})
    bench.forget("ada")

    assert bench.faults() == []
    with bench.database.read() as connection:
        details = connection.execute(select(ENTRY_DETAIL.c.counterparty)).scalars().all()
        assert details == ["Landlord"]
        for table in (ENTRY_TAG, EXTERNAL_ID, RULE, IDEMPOTENCY_KEY):
            assert connection.execute(select(table)).all() == []
        assert "ada" not in connection.scalars(select(CATEGORY.c.user_id)).all()
        assert "ada" not in connection.scalars(select(ACCOUNT_MEMBER.c.user_id)).all()
        row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account_id == account)).one()
        assert (row.owner_id, row.name, row.search_key) == (None, None, None)
        assert connection.execute(select(PERSON.c.key).where(PERSON.c.user_id == "ada")).scalar_one() is None
        assert len(connection.execute(select(POSTING)).all()) == 6
    # The shared account is Bob's now, and goes on.
    assert bench.entry(kept.id, "bob").counterparty == "Landlord"
    bench.post(shared, 1, "bob")
    assert refusal(lambda: bench.account(account, "bob")) == (404, "not-found")
    bench.settle()
    last = {r.key: r.value for r in records(bench.log, ACCOUNT.name)}
    assert last[account.encode()] is None
    assert ACCOUNT.value.deserialize(last[shared.encode()] or b"").user_id == "bob"
    assert ACCOUNT.value.deserialize(last[others.encode()] or b"").members == ()
    assert [e.user_id for e in bench.published() if e.account_id == shared] == ["ada", "bob"]
    assert len(bench.published()) == before + 1
    # A key that comes late changes nothing.
    bench.know("ada")
    assert refusal(lambda: bench.open()) == (403, "user-erased")


def test_who_is_erased_before_being_known_stays_erased(bench: Bench) -> None:
    bench.forget("zoe")
    bench.know("zoe")
    assert refusal(lambda: bench.open("zoe")) == (403, "user-erased")


def test_as_many_accounts_as_can_be_listed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.transactions.accounts.ACCOUNTS_MAX", 2)
    bench.open()
    bench.open()
    assert refusal(lambda: bench.open()) == (409, "too-many-accounts")


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"name": "a\x00b"}, {"currency": "eur"}, {"overdraft_limit_minor": -1}, {"more": 1}]
)
def test_bodies_that_are_none(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        OpenAccount(**{"name": "a", "currency": "EUR", **body})
