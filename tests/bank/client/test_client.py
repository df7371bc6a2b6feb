"""The client against the services as they are: every part, over real connections."""

import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tests.bank.client.bank import PASSWORD, Bank

from streambank.bank.client import ApiError, ApiKey, Client, NotLoggedInError, Password, RefreshToken, Versioned
from streambank.bank.events import CreditDebit, Digest, Direction, EntryStatus, Role
from streambank.bank.personalization.schemas import (
    BudgetBody,
    PaymentLimitBody,
    SavingsGoalBody,
    SpendingGoalBody,
    ThresholdBody,
    WhatIf,
)
from streambank.bank.transactions.schemas import (
    AccountView,
    BookTransaction,
    CategoryBody,
    ChangeAccount,
    ChangeTransaction,
    Money,
    NewTransaction,
    OpenAccount,
    ReverseTransaction,
    RuleBody,
    SplitBody,
    TextConditionBody,
)
from streambank.bank.users.schemas import (
    ClickIn,
    Clicks,
    EmailChange,
    NewApiKey,
    PasswordChange,
    Preferences,
    ProfileChange,
    QuietHoursView,
    SignUp,
)
from streambank.service.http.server import HttpServer

TODAY = date(2026, 3, 2)
NEW_PASSWORD = "seven boats went home"


def open_account(client: Client, name: str = "Everyday") -> Versioned[AccountView]:
    return client.accounts.open(OpenAccount(name=name, currency="EUR"))


def entry(account: Versioned[AccountView], minor: int, **more: Any) -> NewTransaction:
    return NewTransaction(
        account_id=account.value.id,
        credit_debit=CreditDebit.CREDIT if minor > 0 else CreditDebit.DEBIT,
        amount=Money(amount_minor=abs(minor), currency="EUR"),
        booking_date=TODAY,
        **more,
    )


def slug_of(error: pytest.ExceptionInfo[ApiError]) -> str:
    return error.value.slug


def test_a_long_lived_client_goes_from_sign_up_to_the_first_account(bank: Bank, email: str) -> None:
    with bank.client(email) as client:
        client.users.sign_up(SignUp(email=email, password=PASSWORD, name="Ada"))
        assert client.log_in() == "users:read users:write"
        assert not client.users.profile().value.email_verified
        client.users.verify(bank.mailed_token(email))
        assert open_account(client).value.role is Role.OWNER
        assert client.users.profile().value.email_verified


def test_who_logs_in_with_a_wrong_password_is_nobody(bank: Bank, ada: Client, email: str) -> None:
    with Client(bank.url, Password(email, "wrong password")) as client, pytest.raises(NotLoggedInError):
        client.accounts.list()


def test_profile_and_preferences(ada: Client) -> None:
    profile = ada.users.profile()
    changed = ada.users.change_profile(profile, ProfileChange(timezone="Europe/Prague"))
    assert (changed.value.name, changed.value.timezone) == ("Ada", "Europe/Prague")
    with pytest.raises(ApiError) as failed:
        ada.users.change_profile(profile, ProfileChange(name="Other"))
    assert (failed.value.status, failed.value.slug) == (412, "version-mismatch")
    wanted = Preferences(quiet_hours=QuietHoursView(from_minute=1320, to_minute=420), digest=Digest.DAILY)
    assert ada.users.set_preferences(ada.users.preferences(), wanted).value == wanted
    ada.users.report_clicks(Clicks(clicks=[ClickIn(page="home", element="button")]))


def test_credentials_change(bank: Bank, ada: Client, email: str) -> None:
    ada.users.change_password(ada.users.profile(), PasswordChange(password=PASSWORD, new_password=NEW_PASSWORD))
    with Client(bank.url, Password(email, NEW_PASSWORD)) as again:
        again.users.change_email(again.users.profile(), EmailChange(email=f"new-{email}", password=NEW_PASSWORD))
        again.users.verify(bank.mailed_token(f"new-{email}"))
        assert again.users.profile().value.email == f"new-{email}"
        again.users.ask_for_password_reset(f"new-{email}")
        again.users.send_verification_mail("nobody@example.org")
        with pytest.raises(ApiError) as failed:
            again.users.reset_password("sbm_" + "x" * 43, PASSWORD)
        assert slug_of(failed) == "bad-token"


def test_tokens_are_taken_back(bank: Bank, ada: Client, email: str) -> None:
    credentials = Password(email, PASSWORD)
    with Client(bank.url, credentials) as client:
        client.log_in()
        client.users.revoke_token(credentials.refresh_token or "")
    with Client(bank.url, RefreshToken(credentials.refresh_token or "")) as client, pytest.raises(NotLoggedInError):
        client.users.profile()


def test_api_keys(bank: Bank, ada: Client) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    made = ada.users.make_api_key(NewApiKey(name="script", scope="transactions:read", expires_at=until))
    assert [key.key_id for key in ada.users.api_keys()] == [made.key_id]
    with Client(bank.url, ApiKey(made.key_id, made.secret)) as script:
        assert script.accounts.list() == []
        with pytest.raises(ApiError) as failed:
            open_account(script)
        assert slug_of(failed) == "insufficient-scope"
    ada.users.revoke_api_key(made.key_id)
    with Client(bank.url, ApiKey(made.key_id, made.secret)) as script, pytest.raises(NotLoggedInError):
        script.accounts.list()


def test_pages_of_sessions_and_public_keys(ada: Client) -> None:
    assert list(ada.users.sessions()) == []
    with pytest.raises(ApiError) as failed:
        ada.users.end_session("018f0000-0000-7000-8000-000000000001")
    assert failed.value.status == 404
    assert ada.users.public_keys().keys


def test_accounts(ada: Client) -> None:
    account = open_account(ada)
    renamed = ada.accounts.change(account, ChangeAccount(name="Daily", overdraft_limit_minor=5_000))
    assert renamed.version == account.version + 1
    assert [one.value.name for one in ada.accounts.list()] == ["Daily"]
    with pytest.raises(ApiError) as failed:
        ada.accounts.change(account, ChangeAccount(name="Other"))
    assert failed.value.status == 412
    unlimited = ada.accounts.change(renamed, ChangeAccount(overdraft_limit_minor=None))
    assert (unlimited.value.overdraft_limit_minor, unlimited.value.name) == (None, "Daily")
    closed = ada.accounts.close(unlimited)
    assert closed.value.closed_at is not None
    assert ada.accounts.reopen(account.value.id).value.closed_at is None
    assert ada.accounts.balance(account.value.id).booked_minor == 0


def test_an_account_is_shared_and_no_longer(bank: Bank, ada: Client, email: str) -> None:
    bank.sign_up(f"bob-{email}", "Bob")
    with bank.client(f"bob-{email}") as bob:
        bob_id = bob.users.profile().value.user_id
        account = open_account(ada)
        shared = ada.accounts.share(account, bob_id, Role.VIEWER)
        assert (shared.value.role, shared.version) == (Role.VIEWER, account.version + 1)
        assert {member.user_id for member in bob.accounts.members(account.value.id).members} >= {bob_id}
        assert bob.accounts.get(account.value.id).value.role is Role.VIEWER
        ada.accounts.unshare(ada.accounts.get(account.value.id), bob_id)
        with pytest.raises(ApiError) as failed:
            bob.accounts.get(account.value.id)
        assert failed.value.status == 404


def test_transactions(ada: Client) -> None:
    account = open_account(ada)
    pay = ada.transactions.record(entry(account, 100_000, counterparty="Employer", remittance="Salary", tags=["pay"]))
    again = ada.transactions.record(entry(account, 5, external_id="x"), key="once")
    assert ada.transactions.record(entry(account, 5, external_id="x"), key="once") == again
    with pytest.raises(ApiError) as failed:
        ada.transactions.record(entry(account, -200_000))
    assert failed.value.status == 409
    food = ada.transactions.record(entry(account, -1_000, counterparty="Baker", force=True))
    edited = ada.transactions.change(food, ChangeTransaction(notes="bread"))
    parts = [SplitBody(amount_minor=400), SplitBody(amount_minor=600, note="cake")]
    split = ada.transactions.change(edited, ChangeTransaction(splits=parts))
    assert (split.value.notes, [part.amount_minor for part in split.value.splits]) == ("bread", [400, 600])
    assert ada.transactions.change(split, ChangeTransaction(notes=None)).value.notes is None
    assert [one.value.id for one in ada.transactions.search(words="baker")] == [food.value.id]
    assert [one.value.id for one in ada.transactions.search(tag="pay", page_items=1)] == [pay.value.id]
    assert [(tag.tag, tag.count) for tag in ada.transactions.tags()] == [("pay", 1)]
    reversal = ada.transactions.reverse(food.value.id, ReverseTransaction(notes="not eaten"))
    assert ada.transactions.get(food.value.id).value.reversed_by_id == reversal.value.id
    everything = list(ada.transactions.export())
    assert [one.id for one in everything] == [pay.value.id, again.value.id, food.value.id, reversal.value.id]
    statement = ada.accounts.statement(account.value.id, TODAY, TODAY)
    assert (statement.opening_minor, statement.credits_minor - statement.debits_minor) == (0, 99_005)


def test_a_pending_entry_is_booked_or_voided(ada: Client) -> None:
    account = open_account(ada)
    first, second = (
        ada.transactions.record(entry(account, 1_000, status=EntryStatus.PENDING)).value.id for _ in range(2)
    )
    booked = ada.transactions.book(first, BookTransaction(amount_minor=900))
    assert (booked.value.state, booked.value.amount.amount_minor) == ("booked", 900)
    ada.transactions.void(second)
    assert list(ada.transactions.search(account_id=account.value.id, state="pending")) == []


def test_lists_and_statements_have_all_pages(ada: Client) -> None:
    account = open_account(ada)
    lines = [entry(account, n, external_id=f"x-{n}") for n in range(1, 451)]
    results = list(ada.transactions.record_all(lines))
    assert [result.status for result in results] == ["created"] * 450
    assert [result.status for result in ada.transactions.record_all(lines[:3])] == ["duplicate"] * 3
    found = [one.value.amount.amount_minor for one in ada.transactions.search(account_id=account.value.id)]
    assert found == list(range(450, 0, -1))
    statement = ada.accounts.statement(account.value.id, TODAY, TODAY)
    assert (len(statement.items), statement.entry_count, statement.next) == (450, 450, None)


def test_a_broken_line_says_what_is_wrong(ada: Client) -> None:
    account = open_account(ada)
    good = entry(account, 1, external_id="good")
    results = list(ada.transactions.record_all([good, b'{"account_id": 7}', b"?", entry(account, 2)]))
    assert [(result.line, result.status) for result in results] == [
        (1, "created"),
        (2, "problem"),
        (3, "problem"),
        (4, "problem"),
    ]
    errors = [result.error for result in results if result.error is not None]
    assert errors[1].slug == "malformed-line"
    assert errors[2].errors[0].pointer == "/external_id"


def test_categories_and_rules(ada: Client) -> None:
    account = open_account(ada)
    ada.transactions.record(entry(account, 1_000, remittance="Salary of March"))
    before = {one.value.name for one in ada.categories.list()}
    work = ada.categories.add(CategoryBody(name="Work"))
    work = ada.categories.replace(work, CategoryBody(name="Job"))
    assert {one.value.name for one in ada.categories.list()} - before == {"Job"}
    body = RuleBody(
        name="Pay",
        texts=[TextConditionBody(field="any", op="contains", value="salary")],
        category_id=work.value.id,
    )
    assert ada.rules.preview(body).would_change == 1
    rule = ada.rules.add(body)
    assert [step.changed for step in ada.rules.apply(rule.value.id)] == [1]
    assert [one.value.category_id for one in ada.transactions.search(category_id=work.value.id)] == [work.value.id]
    stopped = ada.rules.replace(rule, body.model_copy(update={"enabled": False}))
    assert not ada.rules.get(rule.value.id).value.enabled
    assert [one.value.id for one in ada.rules.list()] == [rule.value.id]
    ada.rules.remove(stopped)
    ada.categories.remove(ada.categories.get(work.value.id))


def planned(*plans: Versioned[Any]) -> list[tuple[int, Any]]:
    """The plans without how far they are, which comes a moment later."""
    return [(plan.version, plan.value.model_copy(update={"progress": None})) for plan in plans]


def test_plans(ada: Client) -> None:
    account = open_account(ada).value.id
    # The service hears of the account a moment later.
    assert ada.fresh.thresholds.list() == []
    body = ThresholdBody(account_id=account, direction=Direction.BELOW, level_minor=100)
    threshold = ada.thresholds.add(body)
    threshold = ada.thresholds.replace(threshold, body.model_copy(update={"level_minor": 200}))
    assert ada.thresholds.get(threshold.value.id) == threshold
    assert ada.thresholds.list() == [threshold]
    assert ada.thresholds.what_if(WhatIf(**body.model_dump())).count == 0
    ada.thresholds.remove(threshold)
    food = BudgetBody(name="Food", currency="EUR", target_minor=40_000)
    budget = ada.budgets.add(food)
    budget = ada.budgets.replace(budget, food.model_copy(update={"name": "Meals"}))
    assert planned(*ada.budgets.list()) == planned(ada.budgets.get(budget.value.id)) == planned(budget)
    ada.budgets.remove(budget)
    bike = SavingsGoalBody(name="Bike", currency="EUR", target_minor=90_000, account_ids=[account])
    saving = ada.goals.replace_savings(ada.goals.add_savings(bike), bike.model_copy(update={"target_minor": 80_000}))
    assert planned(*ada.goals.list_savings()) == planned(ada.goals.get_savings(saving.value.id)) == planned(saving)
    ada.goals.remove_savings(saving)
    rome = SpendingGoalBody(name="Rome", currency="EUR", target_minor=90_000, ends_on=date(2099, 5, 1))
    spending = ada.goals.replace_spending(ada.goals.add_spending(rome), rome.model_copy(update={"name": "Paris"}))
    assert (
        planned(*ada.goals.list_spending()) == planned(ada.goals.get_spending(spending.value.id)) == planned(spending)
    )
    ada.goals.remove_spending(spending)
    before = ada.limits.get("EUR")
    limit = ada.limits.set(before, PaymentLimitBody(per_day_count=3))
    assert ada.limits.list() == [limit]
    with pytest.raises(ApiError) as failed:
        ada.limits.remove(before)
    assert slug_of(failed) == "version-mismatch"
    ada.limits.remove(limit)
    assert ada.limits.list() == []


def test_an_import_is_sent_and_undone(ada: Client) -> None:
    account = open_account(ada)
    lines = [entry(account, n, external_id=f"x-{n}") for n in (1, 2)]
    [first] = ada.imports.send(account.value.id, lines)
    [second] = ada.imports.send(account.value.id, [*lines, entry(account, 3, external_id="x-3")])
    assert (first.value.booked, second.value.booked, second.value.duplicates) == (2, 1, 2)
    assert [one.value.id for one in ada.imports.list(page_items=1)] == [second.value.id, first.value.id]
    undone = ada.imports.undo(ada.imports.get(first.value.id))
    assert undone.value.reversed == 2
    assert ada.accounts.balance(account.value.id).booked_minor == 3


def test_a_fresh_read_of_another_service_sees_a_new_user(bank: Bank, email: str) -> None:
    with bank.client(email) as client:
        client.users.sign_up(SignUp(email=email, password=PASSWORD, name="Ada"))
        client.users.verify(bank.mailed_token(email))
        assert client.fresh.categories.list(), "the service has not heard of them yet"


def test_an_export_and_an_erasure(bank: Bank, ada: Client, email: str) -> None:
    assert ada.users.export().profile.email == email
    with pytest.raises(ApiError) as failed:
        ada.users.erase(ada.users.profile(), "wrong password")
    assert failed.value.status == 403
    ada.users.erase(ada.users.profile(), PASSWORD)
    with bank.client(email) as client, pytest.raises(NotLoggedInError):
        client.log_in()


def test_threads_share_a_client(bank: Bank, ada: Client, email: str) -> None:
    account = open_account(ada)
    credentials = Password(email, PASSWORD)
    with Client(bank.url, credentials) as client, ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: client.transactions.record(entry(account, n)).value.id, range(1, 25)))
    assert len(set(made)) == 24
    assert ada.accounts.balance(account.value.id).booked_minor == sum(range(1, 25))


def test_a_server_that_starts_again_is_waited_for() -> None:
    async def answer(request: Request) -> Response:
        return JSONResponse({"keys": []})

    app = Starlette(routes=[Route("/.well-known/jwks.json", answer)])
    first = HttpServer(app, name="first")
    first.start()
    with Client(first.url) as client:
        client.users.public_keys()
        first.close()
        second = HttpServer(app, name="second", port=first.port)
        later = threading.Timer(0.2, second.start)
        later.start()
        try:
            assert client.users.public_keys().keys == []
        finally:
            later.join()
            second.close()


def test_no_secret_is_in_what_the_libraries_below_log(
    bank: Bank, ada: Client, email: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = Password(email, PASSWORD)
    with Client(bank.url, credentials) as client:
        client.accounts.list()
        token = client._connection.tokens.get()
        with pytest.raises(ApiError) as failed:
            client.accounts.get("nothing")
        with pytest.raises(ApiError):
            client.users.erase(client.users.profile(), "wrong password")
    secrets = [token, PASSWORD, "wrong password", credentials.refresh_token or "-"]
    told = [record.getMessage() for record in caplog.records]
    told.append("".join(traceback.format_exception(failed.value)))
    assert told
    assert not [text for text in told if any(secret in text for secret in secrets)]
