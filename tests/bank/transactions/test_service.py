"""Entries that several callers ask for at once: each as if it were alone, in the order in which they were asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bank.transactions.conftest import NewDatabase
from tests.bank.transactions.support import Bench, caller, entry_of, made, signed, transaction

from streambank.bank.events import Role
from streambank.bank.transactions.schemas import MemberBody, NewTransaction, TransactionView
from streambank.service.http.answers import Answer
from streambank.service.http.problems import Problem


def share(bench: Bench, account: str, member: str, role: Role) -> None:
    bench.do(lambda c: bench.service.set_member(c, caller(), account, member, MemberBody(role=role), None))


def asked(user_id: str, account_id: str, signed_minor: int, **body: Any) -> tuple[Any, NewTransaction]:
    return caller(user_id), NewTransaction.model_validate(transaction(account_id, signed_minor, **body))


def record(bench: Bench, *wanted: tuple[Any, NewTransaction]) -> list[Answer | Problem]:
    return bench.do(lambda c: bench.service.record_all(c, wanted))


def told(answer: Answer | Problem) -> TransactionView | str:
    return answer.slug if isinstance(answer, Problem) else entry_of(answer)


def test_each_caller_has_accounts_of_their_own(bench: Bench) -> None:
    adas, bobs = bench.open(), bench.open("bob")
    answers = record(
        bench, asked("ada", adas, 10), asked("bob", bobs, 20), asked("bob", adas, 30), asked("ada", adas, 40)
    )
    views = [told(answer) for answer in answers]
    assert views[2] == "not-found"
    assert [signed(view) for view in views if isinstance(view, TransactionView)] == [10, 20, 40]
    assert (bench.balance(adas).booked_minor, bench.balance(bobs, "bob").booked_minor) == (50, 20)
    assert bench.entry(entry_of(answers[3]).id) == entry_of(answers[3])  # type: ignore[arg-type]
    assert bench.faults() == []


def test_a_shared_account_goes_on_from_one_caller_to_the_next(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=0)
    share(bench, account, "bob", Role.OWNER)
    share(bench, account, "cleo", Role.VIEWER)
    answers = record(
        bench,
        asked("ada", account, 100),
        asked("bob", account, -60),
        asked("ada", account, -60),
        asked("cleo", account, 1),
        asked("bob", account, -40),
        asked("ada", account, -1),
    )
    kinds = [one if isinstance(one := told(answer), str) else one.account_seq for answer in answers]
    assert kinds == [1, 2, "insufficient-funds", "forbidden", 3, "insufficient-funds"]
    assert bench.balance(account).booked_minor == 0
    bench.settle()
    assert [(e.account_seq, e.signed_minor) for e in bench.published()] == [(1, 100), (2, -60), (3, -40)]
    assert bench.faults() == []


def test_an_entry_that_was_recorded_before_is_answered_with(bench: Bench) -> None:
    account = bench.open()
    before = bench.post(account, 10, external_id="x")
    answers = record(
        bench,
        asked("ada", account, 10, external_id="x"),
        asked("ada", account, 11, external_id="x"),
        asked("ada", account, 12, external_id="y"),
    )
    assert told(answers[0]) == bench.entry(before.id)
    assert told(answers[1]) == "external-id-taken"
    assert bench.balance(account).booked_minor == 22
    assert bench.faults() == []


def test_an_entry_that_is_asked_for_twice_at_once_is_recorded_once(bench: Bench) -> None:
    account = bench.open()
    answers = record(
        bench,
        asked("ada", account, 10, external_id="x"),
        asked("ada", account, 10, external_id="x"),
        asked("ada", account, 11, external_id="x"),
        asked("ada", account, 12, external_id="y"),
    )
    assert told(answers[0]) == told(answers[1])
    assert told(answers[2]) == "external-id-taken"
    assert [entry_of(answers[i]).account_seq for i in (0, 3)] == [1, 2]  # type: ignore[arg-type]
    assert bench.balance(account).booked_minor == 22
    assert bench.faults() == []


@pytest.fixture
def bench_pair(tmp_path: Path, new_database: NewDatabase) -> Iterator[tuple[Bench, Bench]]:
    people = ("ada", "bob", "cleo")
    with (
        made(tmp_path / "together", new_database(), *people) as together,
        made(tmp_path / "apart", new_database(), *people) as apart,
    ):
        yield together, apart


# Each example has accounts of its own, so that they need no services of their own.
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_together_is_as_one_by_one(bench_pair: tuple[Bench, Bench], data: st.DataObject) -> None:
    """Whatever is asked for: the same answers, the same balances."""
    together, apart = bench_pair
    accounts = []
    for bench in bench_pair:
        mine, shared = bench.open(overdraft_limit_minor=50), bench.open(overdraft_limit_minor=50)
        share(bench, shared, "bob", Role.OWNER)
        accounts.append((mine, shared, bench.open("bob", overdraft_limit_minor=50)))
    wanted = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["ada", "bob"]),
                st.integers(0, 2),
                st.integers(-60, 60).filter(bool),
                st.sampled_from(["BOOK", "PDNG"]),
            ),
            max_size=12,
        )
    )
    answers = record(
        together, *(asked(user, accounts[0][n], amount, status=status) for user, n, amount, status in wanted)
    )
    expected: list[Answer | Problem] = []
    for user, n, amount, status in wanted:
        expected += record(apart, asked(user, accounts[1][n], amount, status=status))
    for one, other in zip(answers, expected, strict=True):
        left, right = told(one), told(other)
        if isinstance(left, str) or isinstance(right, str):
            assert left == right
        else:
            assert (left.account_seq, signed(left), left.state) == (right.account_seq, signed(right), right.state)
    for n, user in enumerate(("ada", "ada", "bob")):
        left_balance, right_balance = (b.balance(a[n], user) for b, a in zip(bench_pair, accounts, strict=True))
        assert left_balance.model_dump(exclude={"account_id"}) == right_balance.model_dump(exclude={"account_id"})
    assert together.faults() == []
