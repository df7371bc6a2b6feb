"""What a person does at one moment, and what becomes of it where the bank refuses."""

import json
from datetime import date

import httpx
import pytest

from streambank.bank.client import ApiError, ApiKey, Client, Patience
from streambank.bank.demo import Deed, Entry, Payment, Purpose, person
from streambank.bank.demo.life import Planned
from streambank.bank.events import Origin
from streambank.cli.demo.acting import Asked, Outcome, act
from streambank.cli.demo.customer import Customer

ONE, TWO = person(1, 1), person(1, 2)
PLAN = Planned(account=ONE.checking, tag="rent", signed_minor=-500, minute=0, kind="RENT", category="housing")
ENTRY = Entry(ONE, PLAN, date(2026, 3, 1), 1_772_000_000_000, Origin.LIVE)
PAYMENT = Payment(ONE, TWO, 700, "Caf\u00e9", "shared/2026-03-01/restaurants-0", is_asked=False)
WISH = Payment(TWO, ONE, 900, "Cinema", "shared/2026-03-01/leisure-0", is_asked=True)

Answer = tuple[int, object]


def problem(status: int, slug: str) -> Answer:
    return status, {"type": f"/problems/{slug}", "status": status, "title": slug, "detail": slug}


def acted(deeds: list[Deed], asked: list[Asked], /, **answers: Answer) -> tuple[Outcome, list[tuple[str, object]]]:
    """What came of it, and the requests, where the bank answers so: by the last word of the path."""
    sent: list[tuple[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/oauth/token"):
            return httpx.Response(200, json={"access_token": "a", "expires_in": 600, "scope": ""})
        lines = [json.loads(line) for line in request.content.splitlines()]
        sent.append((request.url.path, lines[0] if len(lines) == 1 else lines))
        name = request.url.path.rpartition("/")[2].replace("payment-requests", "requests").rpartition(":")[2]
        status, body = answers[name]
        if name == "batch" and status == 200:
            return httpx.Response(200, content=b"\n".join(json.dumps(line).encode() for line in body))  # type: ignore[attr-defined]
        return httpx.Response(status, json=body, headers={"ETag": '"v1"'})

    client = Client(
        "http://127.0.0.1:1",
        ApiKey("k", "s"),
        transport=httpx.MockTransport(answer),
        sleep=lambda _: None,
        patience=Patience(attempts_max=1),
    )
    customer = Customer(ONE, client, {Purpose.CHECKING: "acc"}, {"housing": "cat"})
    return act(customer, deeds, asked), sent


def booked(*statuses: str) -> Answer:
    return 200, [{"line": n, "status": status, "id": "e"} for n, status in enumerate(statuses, start=1)]


def line_problem(slug: str) -> Answer:
    return 200, [{"line": 1, "status": "problem", "problem": problem(409, slug)[1]}]


TRANSFER = {
    "id": "t", "direction": "outgoing", "state": "requested", "amount": {"amount_minor": 700, "currency": "EUR"},
    "account_id": "acc", "other_account_id": None, "counterparty": None, "remittance": None, "end_to_end_id": None,
    "reason": None, "created_at": "2026-03-01T00:00:00Z", "changed_at": "2026-03-01T00:00:00Z",
    "expires_at": "2026-03-01T00:00:00Z", "transaction_id": None, "entry_id": None, "refunds_id": None,
    "refunded_by_id": None, "standing_order_id": None, "request_id": None, "version": 1,
}  # fmt: skip
REQUEST = {
    "id": "r", "direction": "outgoing", "state": "open", "amount": {"amount_minor": 900, "currency": "EUR"},
    "counterparty": None, "remittance": None, "transfer_id": None, "created_at": "2026-03-01T00:00:00Z",
    "expires_at": "2026-03-01T00:00:00Z", "version": 1,
}  # fmt: skip


def test_entries_go_in_one_request_and_say_all_that_is_known() -> None:
    outcome, sent = acted([ENTRY, ENTRY], [], batch=booked("created", "duplicate"))
    assert (outcome.entries, outcome.payments, outcome.refused, outcome.has_left) == (1, 0, [], False)
    ((path, lines),) = sent
    assert path == "/v1/transactions:batch"
    assert isinstance(lines, list)
    assert lines[0] == {
        "account_id": "acc",
        "credit_debit": "DBIT",
        "amount": {"amount_minor": 500, "currency": ONE.country.currency.value},
        "booking_date": "2026-02-25",
        "external_id": "2026-03-01/rent",
        "occurred_at": "2026-02-25T06:13:20Z",
        "kind": "RENT",
        "end_to_end_id": "2026-03-01/rent",
        "category_id": "cat",
    }


def test_payments_are_made_asked_for_and_answered() -> None:
    outcome, sent = acted(
        [PAYMENT, WISH], [Asked(PAYMENT, "r1")], transfers=(201, TRANSFER), requests=(201, REQUEST), pay=(201, TRANSFER)
    )
    assert (outcome.payments, outcome.asked, outcome.refused) == (2, [Asked(WISH, "r")], [])
    euros = ONE.country.currency.value
    assert sent == [
        (
            "/v1/transfers",
            {
                "debtor_account_id": "acc",
                "amount": {"amount_minor": 700, "currency": euros},
                "payee": TWO.email,
                "remittance": "Caf\u00e9",
                "end_to_end_id": "shared/2026-03-01/restaurants-0",
            },
        ),
        (
            "/v1/payment-requests",
            {"payer": TWO.email, "amount": {"amount_minor": 900, "currency": euros}, "remittance": "Cinema"},
        ),
        ("/v1/payment-requests/r1:pay", {"debtor_account_id": "acc"}),
    ]


@pytest.mark.parametrize(
    ("answers", "refused", "has_left"),
    [
        # An account that was closed: this entry only. One that is known with other words is there.
        ({"batch": line_problem("account-closed"), "transfers": (201, TRANSFER)}, [ENTRY], False),
        ({"batch": line_problem("external-id-taken"), "transfers": (201, TRANSFER)}, [], False),
        # A payment beyond a limit: this payment only.
        ({"batch": booked("created"), "transfers": problem(422, "limit-exceeded")}, [PAYMENT], False),
        # Somebody who was forgotten: whatever is left to do.
        ({"batch": problem(403, "user-erased")}, [ENTRY, PAYMENT], True),
        ({"batch": booked("created"), "transfers": problem(403, "user-erased")}, [PAYMENT], True),
    ],
)
def test_who_is_refused_what(answers: dict[str, Answer], refused: list[Deed], has_left: bool) -> None:
    outcome, _ = acted([ENTRY, PAYMENT], [], **answers)
    assert outcome.refused == refused
    assert outcome.has_left is has_left


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_bank_that_is_busy_or_fails_is_an_error(status: int) -> None:
    with pytest.raises(ApiError):
        acted([ENTRY], [], batch=problem(status, "busy"))
