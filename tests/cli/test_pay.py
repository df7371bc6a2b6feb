"""Payments from the command line: Ann, and somebody whom she pays."""

import json
from typing import Any

import pytest
from tests.cli.conftest import Person
from tests.cli.support import wait_until

from streambank.bank.client import Client
from streambank.bank.payments.states import as_mermaid
from streambank.bank.transactions.schemas import OpenAccount


@pytest.fixture
def payee(ann: Person) -> str:
    """The address of somebody with an account."""
    email = ann.email.replace("ann", "ben")
    ann.bank.sign_up(email, "Ben")
    with ann.bank.client(email) as client:
        client.accounts.open(OpenAccount(name="Ben's", currency="EUR"))
    return email


def listed(ann: Person, *what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ann.done("pay", *what, "-o", "json"))
    return found


def becomes(ann: Person, transfer_id: str, state: str) -> dict[str, Any]:
    """The transfer, once it is in that state."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [json.loads(ann.done("pay", "show", transfer_id, "-o", "json"))]
        return bool(found[0]["state"] == state)

    wait_until(there, f"{transfer_id} is {state}")
    return found[0]


def test_a_payment_there_and_back(ann: Person, payee: str) -> None:
    sent = json.loads(
        ann.done(
            "pay", "send", payee, "12.50", "--from", "everyday", "--text", "Pizza", "--reference", "r-1", "-o", "json"
        )
    )
    assert (sent["amount"], sent["counterparty"]) == ({"amount_minor": 1250, "currency": "EUR"}, payee)
    paid = becomes(ann, sent["id"], "posted")
    assert (paid["counterparty"], paid["remittance"], paid["end_to_end_id"]) == ("Ben", "Pizza", "r-1")
    row = ann.done("pay", "ls", "out").splitlines()[1]
    assert all(part in row for part in ("-12.50 EUR", "Ben", "Pizza", "posted", sent["id"]))
    assert ann.done("pay", "ls", "in").splitlines()[1:] == []
    shown = ann.done("pay", "show", sent["id"])
    assert "with" in shown
    assert "held until" not in shown
    with ann.bank.client(payee) as client:
        client.payments.refund(sent["id"])
    becomes(ann, sent["id"], "refunded")
    assert "+" not in ann.done("pay", "ls", "in")
    assert "12.50 EUR" in ann.done("pay", "ls", "in")


def test_a_payment_that_waits_is_cancelled(ann: Person) -> None:
    sent = json.loads(ann.done("pay", "send", "nobody@example.org", "5", "--from", "Everyday", "-o", "json"))
    becomes(ann, sent["id"], "reserved")
    assert "held until" in ann.done("pay", "show", sent["id"])
    ann.done("pay", "cancel", sent["id"])
    becomes(ann, sent["id"], "cancelled")
    assert "the payer cancelled it" in ann.done("pay", "ls")
    assert "cannot be cancelled any more" in ann("pay", "cancel", sent["id"]).stderr


def test_to_an_account_of_ones_own(ann: Person) -> None:
    ann.done("account", "open", "Savings", "--currency", "EUR", "--kind", "savings")
    sent = json.loads(ann.done("pay", "send", "Savings", "5", "--from", "Everyday", "-o", "json"))
    assert sent["direction"] == "own"
    becomes(ann, sent["id"], "posted")


def test_requests(ann: Person, payee: str) -> None:
    with ann.bank.client(payee) as ben:
        ask_ann(ben, ann.email)
        wait_until(lambda: len(listed(ann, "requests", "in")) == 1, "Ann is asked")
        [asked] = listed(ann, "requests", "in")
        assert "asked by Ben" in ann.done("pay", "requests")
        sent = json.loads(ann.done("pay", "request", "pay", asked["id"], "--from", "Everyday", "-o", "json"))
        becomes(ann, sent["id"], "posted")
        wait_until(lambda: listed(ann, "requests") == [], "it is paid")
        assert [one["state"] for one in listed(ann, "requests", "--all")] == ["paid"]
        ask_ann(ben, ann.email)
        [asked] = listed(ann, "requests", "in")
        assert "declined" in ann("pay", "request", "decline", asked["id"]).stderr
    made = ann.done("pay", "request", "new", payee, "3", "--to", "Everyday", "--text", "Tea", "-o", "json")
    [mine] = json.loads(made)
    assert "you ask" in ann.done("pay", "requests", "out")
    assert "cancelled" in ann("pay", "request", "cancel", mine["id"]).stderr


def ask_ann(ben: Client, email: str) -> None:
    from streambank.bank.payments.schemas import Money, NewRequest

    ben.payments.ask(NewRequest(payer=email, amount=Money(amount_minor=700, currency="EUR")))


def test_standing_orders(ann: Person) -> None:
    new = ("pay", "schedule", "new", "dora@example.org", "25", "--from", "Everyday", "--every", "month")
    [order] = json.loads(ann.done(*new, "--starts", "2099-01-31", "--count", "3", "-o", "json"))
    assert (order["day"], order["count"], order["next_on"]) == (31, 3, "2099-01-31")
    row = ann.done("pay", "schedule", "ls").splitlines()[1]
    assert all(part in row for part in ("dora@example.org", "25.00 EUR", "Everyday", "month, day 31", "2099-01-31"))
    ann.done("pay", "schedule", "change", order["id"], "30.50")
    assert [one["amount"]["amount_minor"] for one in listed(ann, "schedule", "ls")] == [3050]
    assert "ended" in ann("pay", "schedule", "end", order["id"]).stderr
    assert listed(ann, "schedule", "ls") == []
    assert [one["id"] for one in listed(ann, "schedule", "ls", "--all")] == [order["id"]]
    assert ann(*new, "--starts", "2020-01-01").code == 1


def test_an_alias(ann: Person) -> None:
    assert "you have no alias" in ann("pay", "alias").stderr
    name = f"a{ann.email.partition('@')[0]}"
    assert ann.done("pay", "alias", f"@{name}").strip() == f"@{name}"
    assert ann.done("pay", "alias").strip() == f"@{name}"
    assert ann("pay", "alias", name, "--remove").code == 2
    ann.done("pay", "alias", "--remove")
    assert ann.done("pay", "alias") == ""


def test_the_states(ann: Person) -> None:
    assert ann.call("pay", "states").stdout == as_mermaid()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("send", "ben@", "5", "--from", "Everyday"), 1, "malformed"),
        (("send", "@nobody-at-all", "5", "--from", "Everyday"), 1, "nobody has this alias"),
        (("send", "x@example.org", "-5", "--from", "Everyday"), 2, ""),
        (("send", "x@example.org", "0", "--from", "Everyday"), 2, "amount_minor"),
        (("send", "x@example.org", "5", "--from", "Nowhere"), 1, "no account 'Nowhere'"),
        (("send", "Nowhere", "5", "--from", "Everyday"), 1, "no account 'Nowhere'"),
        (("show", "no-such"), 1, "no such transfer"),
        (("ls", "-n", "-1"), 2, "less than 0"),
    ],
)
def test_what_cannot_be(ann: Person, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = ann("pay", *arguments)
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr
