"""No endpoint is forgotten: whatever the API has, a method of the client asks for."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import httpx
from tests.bank.client.bank import Bank
from tests.bank.client.support import ACCOUNT, FakeServer, problem
from tests.bank.client.test_batch import ENTRY, IMPORT

from streambank.bank.client import ApiError, Client, Versioned
from streambank.bank.events import Direction, Role
from streambank.bank.notifications.schemas import ChangeSettings, ChangeWebhook, EmailSettings, NewWebhook
from streambank.bank.payments.schemas import ChangeOrder, NewOrder, NewRequest, NewTransfer, PayRequest
from streambank.bank.payments.schemas import Money as Paid
from streambank.bank.personalization.schemas import (
    BudgetBody,
    PaymentLimitBody,
    PaymentLimitView,
    SavingsGoalBody,
    SpendingGoalBody,
    ThresholdBody,
    WhatIf,
)
from streambank.bank.transactions.schemas import (
    AccountView,
    CategoryBody,
    ChangeAccount,
    ChangeTransaction,
    ImportView,
    OpenAccount,
    RuleBody,
)
from streambank.bank.users.schemas import (
    ClickIn,
    Clicks,
    EmailChange,
    NewApiKey,
    PasswordChange,
    Preferences,
    ProfileChange,
    SignUp,
)

FOR_PAGES = {
    ("post", "/v1/sessions"),
    ("delete", "/v1/sessions/current"),
    ("get", "/unsubscribe"),
    ("post", "/unsubscribe"),
}
"""For browsers: they give and take a cookie, or are where the links in e-mails lead."""

PASSWORD = "green apples on a hill"


class _Thing:
    """What has an id."""

    id = "id-1"


THING: Any = Versioned(_Thing(), 1)
FAKE_ACCOUNT = Versioned(AccountView.model_validate(ACCOUNT), 7)
FAKE_IMPORT = Versioned(ImportView.model_validate(IMPORT), 1)
DAY, MOMENT = date(2026, 1, 1), datetime(2027, 1, 1, tzinfo=UTC)

THRESHOLD = ThresholdBody(currency="EUR", direction=Direction.BELOW, level_minor=1)
BUDGET = BudgetBody(name="B", currency="EUR", target_minor=1)
SAVING = SavingsGoalBody(name="S", currency="EUR", target_minor=1, account_ids=["id-1"])
SPENDING = SpendingGoalBody(name="S", currency="EUR", target_minor=1, ends_on=DAY)
LIMIT = Versioned(PaymentLimitView(currency="EUR", version=1), 1)
EUR_1 = Paid(amount_minor=1, currency="EUR")

CALLS: dict[str, list[Callable[[Client], object]]] = {
    "users": [
        lambda c: c.users.sign_up(SignUp(email="a@example.org", password=PASSWORD, name="A")),
        lambda c: c.users.verify("t"),
        lambda c: c.users.send_verification_mail("a@example.org"),
        lambda c: c.users.ask_for_password_reset("a@example.org"),
        lambda c: c.users.reset_password("t", PASSWORD),
        lambda c: c.users.profile(),
        lambda c: c.users.change_profile(THING, ProfileChange(name="B")),
        lambda c: c.users.preferences(),
        lambda c: c.users.set_preferences(THING, Preferences()),
        lambda c: c.users.change_password(THING, PasswordChange(password=PASSWORD, new_password=PASSWORD)),
        lambda c: c.users.change_email(THING, EmailChange(email="b@example.org", password=PASSWORD)),
        lambda c: c.users.erase(THING, PASSWORD),
        lambda c: c.users.export(),
        lambda c: c.users.report_clicks(Clicks(clicks=[ClickIn(page="p", element="e")])),
        lambda c: list(c.users.sessions()),
        lambda c: c.users.end_session("id-1"),
        lambda c: c.users.make_api_key(
            NewApiKey(name="k", scope="users:read", expires_at=datetime(2027, 1, 1, tzinfo=UTC))
        ),
        lambda c: list(c.users.api_keys()),
        lambda c: c.users.revoke_api_key("id-1"),
        lambda c: c.users.revoke_token("t"),
        lambda c: c.users.public_keys(),
    ],
    "accounts": [
        lambda c: c.accounts.list(),
        lambda c: c.accounts.open(OpenAccount(name="A", currency="EUR")),
        lambda c: c.accounts.get("id-1"),
        lambda c: c.accounts.change(FAKE_ACCOUNT, ChangeAccount(name="B")),
        lambda c: c.accounts.close(FAKE_ACCOUNT),
        lambda c: c.accounts.reopen("id-1"),
        lambda c: c.accounts.balance("id-1"),
        lambda c: c.accounts.statement("id-1", DAY, DAY),
        lambda c: c.accounts.members("id-1"),
        lambda c: c.accounts.share(FAKE_ACCOUNT, "id-1", Role.VIEWER),
        lambda c: c.accounts.unshare(FAKE_ACCOUNT, "id-1"),
    ],
    "transactions": [
        lambda c: list(c.transactions.search()),
        lambda c: c.transactions.record(ENTRY),
        lambda c: list(c.transactions.record_all([ENTRY])),
        lambda c: list(c.transactions.export()),
        lambda c: c.transactions.get("id-1"),
        lambda c: c.transactions.change(THING, ChangeTransaction(notes=None)),
        lambda c: c.transactions.reverse("id-1"),
        lambda c: c.transactions.book("id-1"),
        lambda c: c.transactions.void("id-1"),
        lambda c: c.transactions.tags(),
    ],
    "categories": [
        lambda c: c.categories.list(),
        lambda c: c.categories.add(CategoryBody(name="C")),
        lambda c: c.categories.get("id-1"),
        lambda c: c.categories.replace(THING, CategoryBody(name="C")),
        lambda c: c.categories.remove(THING),
    ],
    "rules": [
        lambda c: c.rules.list(),
        lambda c: c.rules.add(RuleBody(name="R")),
        lambda c: c.rules.preview(RuleBody(name="R")),
        lambda c: c.rules.get("id-1"),
        lambda c: c.rules.replace(THING, RuleBody(name="R")),
        lambda c: c.rules.remove(THING),
        lambda c: list(c.rules.apply("id-1")),
    ],
    "inbox": [
        lambda c: list(c.inbox.list()),
        lambda c: c.inbox.unread_count(),
        lambda c: c.inbox.read("id-1"),
        lambda c: c.inbox.read_all(),
    ],
    "notifications": [
        lambda c: c.notifications.settings(),
        lambda c: c.notifications.set_settings(THING, ChangeSettings(email=EmailSettings(goals=False))),
        lambda c: c.notifications.webhooks(),
        lambda c: c.notifications.add_webhook(NewWebhook(url="https://hooks.example.org/")),
        lambda c: c.notifications.webhook("id-1"),
        lambda c: c.notifications.change_webhook(THING, ChangeWebhook(enabled=False)),
        lambda c: c.notifications.remove_webhook(THING),
        lambda c: c.notifications.rotate_secret("id-1"),
        lambda c: c.notifications.ping("id-1"),
        lambda c: list(c.notifications.deliveries("id-1")),
        lambda c: c.notifications.report_bounce(b"x"),
    ],
    "imports": [
        lambda c: list(c.imports.send("id-1", [ENTRY])),
        lambda c: list(c.imports.list()),
        lambda c: c.imports.get("id-1"),
        lambda c: c.imports.undo(FAKE_IMPORT),
    ],
    "thresholds": [
        lambda c: c.thresholds.list(),
        lambda c: c.thresholds.add(THRESHOLD),
        lambda c: c.thresholds.get("id-1"),
        lambda c: c.thresholds.replace(THING, THRESHOLD),
        lambda c: c.thresholds.remove(THING),
        lambda c: c.thresholds.what_if(WhatIf(**THRESHOLD.model_dump())),
    ],
    "budgets": [
        lambda c: c.budgets.list(),
        lambda c: c.budgets.add(BUDGET),
        lambda c: c.budgets.get("id-1"),
        lambda c: c.budgets.replace(THING, BUDGET),
        lambda c: c.budgets.remove(THING),
    ],
    "goals": [
        lambda c: c.goals.list_savings(),
        lambda c: c.goals.add_savings(SAVING),
        lambda c: c.goals.get_savings("id-1"),
        lambda c: c.goals.replace_savings(THING, SAVING),
        lambda c: c.goals.remove_savings(THING),
        lambda c: c.goals.list_spending(),
        lambda c: c.goals.add_spending(SPENDING),
        lambda c: c.goals.get_spending("id-1"),
        lambda c: c.goals.replace_spending(THING, SPENDING),
        lambda c: c.goals.remove_spending(THING),
    ],
    "limits": [
        lambda c: c.limits.list(),
        lambda c: c.limits.get("EUR"),
        lambda c: c.limits.set(LIMIT, PaymentLimitBody(per_day_count=1)),
        lambda c: c.limits.remove(LIMIT),
    ],
    "views": [
        lambda c: c.views.balances(),
        lambda c: c.views.net_worth(),
        lambda c: c.views.cash_flow(),
        lambda c: c.views.spending(),
        lambda c: list(c.views.recurring()),
        lambda c: c.views.rates(),
        lambda c: next(c.views.stream()),
    ],
    "payments": [
        lambda c: c.payments.pay(NewTransfer(debtor_account_id="a", amount=EUR_1, payee="@ada")),
        lambda c: list(c.payments.list()),
        lambda c: c.payments.get("id-1"),
        lambda c: c.payments.cancel("id-1"),
        lambda c: c.payments.refund("id-1"),
        lambda c: c.payments.schedule(
            NewOrder(debtor_account_id="a", amount=EUR_1, payee="@ada", every="once", starts_on=DAY)
        ),
        lambda c: list(c.payments.orders()),
        lambda c: c.payments.order("id-1"),
        lambda c: c.payments.change_order(THING, ChangeOrder(amount_minor=2)),
        lambda c: c.payments.end_order(THING),
        lambda c: c.payments.ask(NewRequest(payer="@ada", amount=EUR_1)),
        lambda c: list(c.payments.requests()),
        lambda c: c.payments.request("id-1"),
        lambda c: c.payments.pay_request("id-1", PayRequest(debtor_account_id="a")),
        lambda c: c.payments.decline_request("id-1"),
        lambda c: c.payments.cancel_request("id-1"),
        lambda c: c.payments.alias(),
        lambda c: c.payments.set_alias("ada"),
        lambda c: c.payments.remove_alias(),
        lambda c: c.payments.receiving_accounts(),
        lambda c: c.payments.receive_on("EUR", "id-1"),
        lambda c: c.payments.receive_on_the_first("EUR"),
    ],
}


def requests() -> Iterator[httpx.Request]:
    """What each method asks for first."""
    for calls in CALLS.values():
        for call in calls:
            server = FakeServer(answers=[problem(404, "not-found")])
            with server.client() as client, suppress(ApiError):
                call(client)
            yield server.requests[0]


def test_every_method_is_tried() -> None:
    client = Client("http://localhost")
    for name, calls in CALLS.items():
        methods = [m for m, _ in inspect.getmembers(getattr(client, name), inspect.ismethod) if not m.startswith("_")]
        assert len(calls) == len(methods), name


def test_every_endpoint_has_a_method_and_every_method_an_endpoint(bank: Bank) -> None:
    document = httpx.get(f"{bank.url}/openapi.json", trust_env=False).json()
    there = {(method, path) for path, methods in document["paths"].items() for method in methods}
    left = set(there)
    for request in requests():
        fitting = {
            (method, path)
            for method, path in there
            if method.upper() == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/:]+", path), request.url.path)
        }
        exact = {one for one in fitting if "{" not in one[1]} or fitting
        assert len(exact) == 1, request
        left -= exact
    assert left - FOR_PAGES == {("post", "/v1/oauth/token")}, "the client asks for tokens by itself"
