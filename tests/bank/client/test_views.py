"""The views from Python: figures as they are, and a stream that goes on whatever happens to its connection."""

import time
from datetime import UTC, date, datetime
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.bank.client.bank import Bank
from tests.bank.client.support import FakeServer, problem

from streambank.bank.client import AnswerError, ApiError, Client, FeedEvent
from streambank.bank.client.views import events
from streambank.bank.events import CreditDebit
from streambank.bank.personalization.schemas import SpendingGoalBody
from streambank.bank.transactions.schemas import Money, NewTransaction, OpenAccount
from streambank.bank.views.schemas import Every

WAIT_S = 20.0


def stream(*told: str) -> httpx.Response:
    return httpx.Response(200, text="".join(told), headers={"content-type": "text/event-stream"})


def event(id_: str, kind: str = "balance", data: str = "{}") -> str:
    return f"id: {id_}\nevent: {kind}\ndata: {data}\n\n"


END = 'event: end\ndata: {"reason":"token-expired"}\n\n'


def test_it_goes_on_where_it_was_when_a_stream_ends_or_breaks() -> None:
    broken = stream(event("c"), "id: d\nevent: bal")
    server = FakeServer(
        answers=[
            stream(event("a"), event("b"), END),
            httpx.ReadError("gone"),
            broken,
            stream(event("d"), event("e")),
            problem(403, "user-erased"),
        ]
    )
    found: list[FeedEvent] = []
    with server.client() as client, pytest.raises(ApiError, match="because"):
        collect(client, found)
    assert [one.id for one in found] == ["a", "b", "c", "d", "e"]
    places = [request.headers.get("last-event-id") for request in server.requests]
    assert places == [None, "b", "b", "c", "e"]


def collect(client: Client, into: list[FeedEvent]) -> None:
    """So that what came before an error is there."""
    for one in client.views.stream():
        into.append(one)


def test_it_ends_with_its_user() -> None:
    server = FakeServer(answers=[stream(event("a"), 'event: end\ndata: {"reason":"erased"}\n\n')])
    with server.client() as client:
        assert [one.id for one in client.views.stream(last_id="z")] == ["a"]
    assert server.requests[0].headers["last-event-id"] == "z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":\n\n: hello\n\n", []),
        ('event: x\ndata: {"a": 1}\nid: 7\n\n', [FeedEvent("x", "7", {"a": 1})]),
        ('data:{"a":1}\n\n', [FeedEvent("message", None, {"a": 1})]),
        ('event: x\ndata: {"a": 1}\n', []),
        ("event: x\n\n", []),
    ],
)
def test_what_lines_say(text: str, expected: list[FeedEvent]) -> None:
    assert list(events(text.splitlines())) == expected


@pytest.mark.parametrize("data", ["nonsense", "[1]", "{"])
def test_what_is_no_event_is_an_error(data: str) -> None:
    with pytest.raises(AnswerError, match="not what this version"):
        list(events(["event: x", f"data: {data}", ""]))


def test_figures_follow_what_is_recorded(bank: Bank, ada: Client) -> None:
    account = ada.accounts.open(OpenAccount(name="Giro", currency="EUR")).value.id
    heard: list[FeedEvent] = []

    def listen() -> None:
        for one in ada.views.stream():
            heard.append(one)
            if one.kind == "balance" and one.data["balance_minor"] == 15_000 and one.data["scope"] == "total":
                return

    listener = Thread(target=listen)
    listener.start()
    wait_until(lambda: bool(heard))
    for minor, day in ((20_000, date(2026, 1, 5)), (-5_000, date(2026, 2, 10))):
        direction = CreditDebit.CREDIT if minor > 0 else CreditDebit.DEBIT
        ada.transactions.record(
            NewTransaction(
                account_id=account,
                credit_debit=direction,
                amount=Money(amount_minor=abs(minor), currency="EUR"),
                booking_date=day,
                counterparty="The Baker",
            )
        )
    listener.join(WAIT_S)
    assert not listener.is_alive()
    assert {"The Baker"} == {one.data["entry"]["counterparty"] for one in heard if one.kind == "balance"}
    # Fresh: what was written to transactions has gone through the topologies.
    assert [one.balance_minor for one in ada.fresh.views.balances().accounts] == [15_000]
    found = ada.views.net_worth(from_date=date(2026, 1, 1), to_date=date(2026, 2, 28), every=Every.MONTH)
    assert [[point.amount_minor for point in one.points] for one in found.currencies] == [[20_000, 15_000]]
    flow = ada.views.cash_flow(from_month=date(2026, 1, 1), to_month=date(2026, 2, 1)).months
    assert [(one.currencies[0].in_minor, one.currencies[0].out_minor) for one in flow] == [(20_000, 0), (0, 5_000)]
    spent = ada.views.spending(month=date(2026, 2, 1))
    assert [(one.category_id, one.spent_minor) for one in spent.categories] == [(None, 5_000)]
    assert list(ada.views.recurring()) == []
    assert ada.views.rates().items == []


def wait_until(reached: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_fresh_read_sees_each_write_before_it(bank: Bank, ada: Client) -> None:
    account = ada.accounts.open(OpenAccount(name="Giro", currency="EUR")).value.id
    for number in range(1, 11):
        ada.transactions.record(
            NewTransaction(
                account_id=account,
                credit_debit=CreditDebit.CREDIT,
                amount=Money(amount_minor=100, currency="EUR"),
                booking_date=date(2026, 1, 5),
            )
        )
        found = ada.fresh.views.net_worth(from_date=date(2026, 1, 5), to_date=date(2026, 1, 5))
        assert found.currencies[0].points[0].amount_minor == 100 * number


def test_a_fresh_goal_has_what_was_spent(bank: Bank, ada: Client) -> None:
    account = ada.accounts.open(OpenAccount(name="Giro", currency="EUR")).value.id
    trip = SpendingGoalBody(
        name="Rome",
        currency="EUR",
        target_minor=90_000,
        starts_on=date(2026, 1, 1),
        ends_on=date(2099, 1, 1),
    )
    goal = ada.goals.add_spending(trip).value.id
    income = Money(amount_minor=10_000, currency="EUR")
    ada.transactions.record(NewTransaction(account_id=account, credit_debit=CreditDebit.CREDIT, amount=income))
    for number in range(1, 6):
        ada.transactions.record(
            NewTransaction(
                account_id=account,
                credit_debit=CreditDebit.DEBIT,
                amount=Money(amount_minor=100, currency="EUR"),
                booking_date=datetime.now(UTC).date(),
            )
        )
        assert ada.fresh.goals.get_spending(goal).value.progress.amount_minor == 100 * number
