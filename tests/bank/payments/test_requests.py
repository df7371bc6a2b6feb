"""Requests for money: asked, seen by whom they are for, paid once, declined, cancelled, over."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.event import listen
from tests.bank.payments.support import SETTINGS, Bank, caller
from tests.bank.transactions.support import NOON, opened

from streambank.bank.events import RequestState, TransferState
from streambank.service.http.problems import Problem

ADA = "ada@example.org"


def refused(slug: str, work: Callable[[], object]) -> None:
    with pytest.raises(Problem) as found:
        work()
    assert found.value.slug == slug, found.value.detail


def listed(bank: Bank, user_id: str, **wanted: object) -> list[str]:
    told = {"state": None, "incoming": None, "cursor": None, "limit": 50, **wanted}
    found = bank.look(lambda c: bank.payments.list_requests(c, caller(user_id), **told))[0]  # type: ignore[arg-type]
    return [one.id for one in found]


def test_asked_and_paid(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    asked = bank.ask(ADA, 300, remittance="your half of dinner")
    assert (asked.state, asked.direction, asked.counterparty) == (RequestState.OPEN, "outgoing", ADA)
    seen = bank.request(asked.id, "ada")
    assert (seen.direction, seen.counterparty, seen.remittance) == ("incoming", "Bob", "your half of dinner")
    transfer = bank.pay_request(asked.id, ada)
    assert (transfer.counterparty, transfer.request_id) == ("Bob", asked.id)
    # The asker does not see a transfer that is not there yet.
    assert bank.request(asked.id).transfer_id is None
    refused("request-being-paid", lambda: bank.pay_request(asked.id, ada))
    bank.settle()
    paid = bank.request(asked.id)
    assert (paid.state, paid.transfer_id) == (RequestState.PAID, transfer.id)
    assert bank.transfer(transfer.id, "bob").remittance == "your half of dinner"
    assert (bank.booked(ada), bank.booked(bob, "bob")) == (700, 300)
    refused("request-not-open", lambda: bank.pay_request(asked.id, ada))
    told = bank.requests_told(asked.id)
    assert [one.state for one in told] == [RequestState.OPEN, RequestState.PAID]
    assert opened("ada", told[0].debtor.other_name) == "Bob"
    assert opened("bob", told[0].creditor.other_name) == ADA
    assert opened("ada", told[0].debtor.remittance) == "your half of dinner"


def test_to_the_account_that_was_named(bank: Bank) -> None:
    ada, _, savings = bank.open("ada", 1_000), bank.open("bob"), bank.open("bob", kind="savings")
    asked = bank.ask(ADA, 300, creditor_account_id=savings)
    refused("not-found", lambda: bank.ask(ADA, 300, creditor_account_id=ada))
    bank.pay_request(asked.id, ada)
    bank.settle()
    assert bank.booked(savings, "bob") == 300


def test_open_again_when_the_payment_failed(bank: Bank) -> None:
    ada, _ = bank.open("ada", 100), bank.open("bob")
    asked = bank.ask(ADA, 300)
    transfer = bank.pay_request(asked.id, ada)
    bank.settle()
    assert bank.transfer(transfer.id).state is TransferState.REJECTED
    assert bank.request(asked.id, "ada").transfer_id is None
    bank.ledger.post(ada, 200)
    bank.pay_request(asked.id, ada)
    bank.settle()
    assert bank.request(asked.id).state is RequestState.PAID


def test_limits_hold_for_requests_too(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    asked = bank.ask(ADA, 300)
    bank.limit(per_transfer_minor=299)
    refused("limit-exceeded", lambda: bank.pay_request(asked.id, ada))
    assert bank.request(asked.id, "ada").state is RequestState.OPEN


def test_who_may_do_what(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    asked = bank.ask(ADA, 300)
    service = bank.payments

    def do(work: Callable[..., object], user_id: str) -> object:
        return bank.do(lambda c: work(c, caller(user_id), asked.id))  # type: ignore[arg-type,return-value]

    refused("not-found", lambda: bank.request(asked.id, "cleo"))
    refused("not-found", lambda: do(service.decline_request, "cleo"))
    refused("forbidden", lambda: do(service.decline_request, "bob"))
    refused("forbidden", lambda: do(service.cancel_request, "ada"))
    refused("forbidden", lambda: bank.pay_request(asked.id, bob, "bob"))
    refused("not-found", lambda: bank.pay_request(asked.id, bob))
    do(service.decline_request, "ada")
    assert bank.request(asked.id).state is RequestState.DECLINED
    refused("request-not-open", lambda: do(service.cancel_request, "bob"))
    refused("request-not-open", lambda: bank.pay_request(asked.id, ada))
    again = bank.ask(ADA, 300)
    bank.do(lambda c: service.cancel_request(c, caller("bob"), again.id))
    assert bank.request(again.id, "ada").state is RequestState.CANCELLED


def test_time(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    first = bank.ask(ADA, 300, expires_at=NOON + timedelta(hours=1))
    second = bank.ask(ADA, 300)
    refused("invalid-field", lambda: bank.ask(ADA, 300, expires_at=NOON))
    refused("invalid-field", lambda: bank.ask(ADA, 300, expires_at=NOON + timedelta(days=91)))
    bank.clock.now_ms += 3_600_000
    refused("request-expired", lambda: bank.pay_request(first.id, ada))
    bank.settle()
    assert bank.request(first.id).state is RequestState.EXPIRED
    # One that is being paid is not over before that has ended.
    bank.clock.now_ms += SETTINGS.request_wait_ms - 3_600_001
    bank.pay_request(second.id, ada)
    bank.clock.now_ms += 1_000
    bank.payments.do_due()
    assert bank.request(second.id).state is RequestState.OPEN
    bank.settle()
    assert bank.request(second.id).state is RequestState.PAID


def test_an_address_that_nobody_has_yet(bank: Bank) -> None:
    bank.open("bob")
    there, nobody = bank.ask(ADA, 300).model_dump(), bank.ask("dora@example.org", 300).model_dump()
    assert {name for name in there if there[name] != nobody[name]} == {"id", "counterparty"}
    bank.know("dora")
    assert listed(bank, "dora") == [nobody["id"]]
    assert bank.request(nobody["id"]).model_dump() == nobody
    dora = bank.open("dora", 1_000)
    bank.pay_request(nobody["id"], dora, "dora")
    bank.settle()
    assert bank.request(nobody["id"]).state is RequestState.PAID
    assert [one.debtor.user_id for one in bank.requests_told(nobody["id"])] == [None, "dora", "dora"]


def test_oneself_is_not_asked(bank: Bank) -> None:
    refused("invalid-field", lambda: bank.ask("bob@example.org", 300))
    refused("unknown-payee", lambda: bank.ask("@nobody", 300))


def test_lists(bank: Bank) -> None:
    def ask(payer: str, minor: int, user_id: str) -> str:
        bank.clock.now_ms += 1
        return bank.ask(payer, minor, user_id).id

    out = [ask(ADA, n, "bob") for n in range(1, 4)]
    incoming = [ask("bob@example.org", n, "ada") for n in range(1, 4)]
    assert listed(bank, "ada") == [*incoming[::-1], *out[::-1]]
    assert listed(bank, "ada", incoming=True) == out[::-1]
    assert listed(bank, "ada", incoming=False) == incoming[::-1]
    assert listed(bank, "ada", state=RequestState.PAID) == []
    assert listed(bank, "cleo") == []


def test_erasure_takes_the_address_off_what_ended_before_they_came(bank: Bank) -> None:
    asked = bank.ask("dora@example.org", 5)
    bank.do(lambda c: bank.payments.cancel_request(c, caller("bob"), asked.id))
    bank.know("dora")
    assert bank.request(asked.id).counterparty == "dora@example.org"
    bank.erase("dora")
    assert bank.request(asked.id).counterparty is None


def test_erasure_leaves_to_the_ledger_what_it_was_asked_to_post(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    asked = bank.ask(ADA, 300)
    transfer = bank.pay_request(asked.id, ada)
    while bank.transfer(transfer.id).state is not TransferState.CONFIRMED:
        bank.ledger.service.step()
        bank.payments.step()
    # Payments hears of the erasure while the ledger posts.
    with bank.database.begin() as connection:
        bank.payments.erase(connection, "bob")
    assert bank.request(asked.id, "ada").state is RequestState.OPEN
    bank.settle()
    assert bank.transfer(transfer.id).state is TransferState.POSTED
    assert bank.request(asked.id, "ada").state is RequestState.PAID


@pytest.mark.parametrize("gone", ["ada", "bob"])
def test_erasure_ends_what_is_being_paid(bank: Bank, gone: str) -> None:
    ada = bank.open("ada", 1_000)
    asked = bank.ask(ADA, 300)
    # Bob has no account to be paid to.
    transfer = bank.pay_request(asked.id, ada)
    bank.settle()
    assert bank.transfer(transfer.id).state is TransferState.RESERVED
    bank.erase(gone)
    stays, state = ("bob", RequestState.DECLINED) if gone == "ada" else ("ada", RequestState.CANCELLED)
    assert bank.request(asked.id, stays).state is state
    assert bank.requests_told(asked.id)[-1].state is state


def test_a_page_takes_as_many_statements_as_one_request(bank: Bank) -> None:
    def count() -> int:
        seen: list[str] = []
        told = {"state": None, "incoming": None, "cursor": None, "limit": 50}
        with bank.database.read() as connection:
            listen(connection, "before_cursor_execute", lambda *event: seen.append(event[2]))
            bank.payments.list_requests(connection, caller("ada"), **told)  # type: ignore[arg-type]
            bank.payments.list_transfers(connection, caller("ada"), **told)  # type: ignore[arg-type]
        return len(seen)

    ada = bank.open("ada", 1_000)
    bank.ask(ADA, 1, "bob")
    bank.pay(ada, 1, "bob@example.org")
    one = count()
    bank.ask(ADA, 1, "cleo")
    bank.pay(ada, 1, "cleo@example.org")
    assert count() == one


def test_erasure(bank: Bank) -> None:
    bank.open("bob")
    by_ada, to_ada = bank.ask("bob@example.org", 5, "ada", remittance="secret"), bank.ask(ADA, 5)
    bank.erase("ada")
    ended = bank.request(by_ada.id, "bob")
    assert (ended.state, ended.counterparty, ended.remittance) == (RequestState.CANCELLED, None, None)
    declined = bank.request(to_ada.id)
    assert (declined.state, declined.counterparty) == (RequestState.DECLINED, None)
