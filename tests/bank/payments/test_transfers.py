"""Transfers through both services: who is paid, who is not, what is told of it and to whom."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select
from tests.bank.payments.conftest import NewDatabases
from tests.bank.payments.support import SETTINGS, Bank, caller, made, profile, share
from tests.bank.transactions.support import NOON, NOON_MS, opened, records

from streambank.bank.events import (
    ACCOUNT,
    TRANSFER_OUTCOME,
    TRANSFER_STATUS,
    USER_PROFILE,
    Role,
    TransferState,
    Verdict,
)
from streambank.bank.payments import accounts
from streambank.bank.payments.models import METADATA
from streambank.bank.payments.settings import DAY_MS
from streambank.service.http.problems import Problem


def refused(slug: str, work: Callable[[], object]) -> str:
    with pytest.raises(Problem) as found:
        work()
    assert found.value.slug == slug, found.value.detail
    return found.value.detail


def faultless(bank: Bank) -> None:
    assert bank.ledger.faults() == []


def test_a_payment_from_end_to_end(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    asked = bank.pay(ada, 300, "Bob@example.org", remittance="for the boat", end_to_end_id="boat-7")
    assert (asked.state, asked.direction, asked.counterparty) == (TransferState.SCREENED, "outgoing", "Bob@example.org")
    bank.settle()
    paid = bank.transfer(asked.id)
    assert (paid.state, paid.counterparty, paid.account_id) == (TransferState.POSTED, "Bob", ada)
    got = bank.transfer(asked.id, "bob")
    assert (got.direction, got.counterparty, got.account_id, got.other_account_id) == ("incoming", "Ada", bob, None)
    assert (got.remittance, got.end_to_end_id, got.reason) == ("for the boat", "boat-7", None)
    assert got.transaction_id == paid.transaction_id is not None
    assert bank.ledger.entry(paid.entry_id or "").counterparty == "Bob"
    assert bank.ledger.entry(got.entry_id or "", "bob").remittance == "for the boat"
    assert (bank.booked(ada), bank.booked(bob, "bob")) == (700, 300)
    assert bank.states(asked.id) == ["screened", "reserved", "confirmed", "posted"]
    faultless(bank)


def test_what_is_told_is_sealed_for_each_side_and_says_nothing_early(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    view = bank.paid(ada, 300, "bob@example.org", remittance="for the boat")
    first, reserved, *_, last = bank.statuses(view.id)
    assert (first.creditor.user_id, first.creditor.account_id, first.creditor.other_name) == (None, None, None)
    assert reserved.creditor.user_id == "bob"
    assert opened("ada", first.debtor.other_name) == "bob@example.org"
    assert opened("ada", last.debtor.other_name) == "Bob"
    assert opened("bob", last.creditor.other_name) == "Ada"
    assert opened("ada", last.debtor.remittance) == opened("bob", last.creditor.remittance) == "for the boat"
    assert "boat" not in str(last)


def test_nobody_else_sees_it(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    bank.open("bob")
    view = bank.pay(ada, 300, "bob@example.org")
    # The payee learns of it once the money is there for them.
    refused("not-found", lambda: bank.transfer(view.id, "bob"))
    bank.settle()
    assert bank.transfer(view.id, "bob").state is TransferState.POSTED
    refused("not-found", lambda: bank.transfer(view.id, "cleo"))
    assert bank.transfers("cleo") == []
    refused("not-found", lambda: bank.cancel(view.id, "cleo"))
    refused("forbidden", lambda: bank.cancel(view.id, "bob"))
    refused("not-found", lambda: bank.refund(view.id, "cleo"))
    refused("forbidden", lambda: bank.refund(view.id, "ada"))


def test_whether_an_address_has_an_account_is_not_told(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    bank.open("bob")
    there = bank.pay(ada, 1, "bob@example.org").model_dump()
    nobody = bank.pay(ada, 1, "bod@example.org").model_dump()
    differ = {name for name in there if there[name] != nobody[name]}
    assert differ == {"id", "counterparty"}


def test_an_address_that_nobody_has_is_paid_once_its_owner_signed_up(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    view = bank.paid(ada, 300, "dora@example.org")
    assert (view.state, bank.available(ada), bank.booked(ada)) == (TransferState.RESERVED, 700, 1_000)
    bank.wait(3 * DAY_MS)
    # Not before the address is verified, and there is an account.
    bank.ledger.know("dora")
    bank.publish(USER_PROFILE, "dora", profile("dora", email_verified=False))
    bank.settle()
    dora = bank.open("dora")
    assert bank.transfer(view.id).state is TransferState.RESERVED
    bank.publish(USER_PROFILE, "dora", profile("dora", email="Dora@Example.org"))
    bank.settle()
    assert bank.transfer(view.id).state is TransferState.POSTED
    assert bank.booked(dora, "dora") == 300
    assert bank.transfer(view.id).counterparty == "Dora"
    faultless(bank)


def test_who_has_no_account_yet_sees_what_waits_for_them(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    bank.open("bob", currency="CZK")
    bank.open("bob", kind="savings")
    view = bank.paid(ada, 300, "bob@example.org")
    assert bank.transfer(view.id, "bob").state is TransferState.RESERVED
    bob = bank.open("bob")
    assert bank.transfer(view.id, "bob").state is TransferState.POSTED
    assert bank.booked(bob, "bob") == 300


def test_what_waits_does_not_tell_that_its_payee_has_signed_up(bank: Bank) -> None:
    view = bank.paid(bank.open("ada", 1_000), 300, "dora@example.org")
    bank.know("dora")
    assert bank.transfer(view.id, "dora").state is TransferState.RESERVED
    assert bank.transfer(view.id) == view


def test_money_does_not_go_to_who_had_the_address_before(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    view = bank.paid(ada, 300, "bob@example.org")
    assert bank.transfer(view.id, "bob").state is TransferState.RESERVED
    bank.know("bob", email="robert@example.org")
    bob = bank.open("bob")
    assert bank.transfer(view.id).state is TransferState.RESERVED
    bank.know("cleo", email="bob@example.org")
    cleo = bank.open("cleo")
    assert bank.transfer(view.id).state is TransferState.POSTED
    assert (bank.booked(bob, "bob"), bank.booked(cleo, "cleo")) == (0, 300)
    refused("not-found", lambda: bank.transfer(view.id, "bob"))


def test_erasure_takes_the_address_off_what_ended_and_ends_what_waits(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    ended, waits = bank.paid(ada, 300, "dora@example.org"), bank.paid(ada, 400, "dora@example.org")
    bank.cancel(ended.id)
    bank.know("dora")
    assert bank.transfer(ended.id).counterparty == "dora@example.org"
    # Asked for, and the ledger has not answered.
    late = bank.pay(ada, 5, "dora@example.org")
    bank.erase("dora")
    assert [bank.transfer(one.id).counterparty for one in (ended, waits, late)] == [None] * 3
    assert [bank.transfer(one.id).state.value for one in (ended, waits, late)] == ["cancelled", "rejected", "rejected"]
    assert bank.available(ada) == 1_000


def test_money_for_who_does_not_come_goes_back(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    view = bank.paid(ada, 300, "dora@example.org")
    bank.wait(SETTINGS.payee_wait_ms - 1)
    assert bank.transfer(view.id).state is TransferState.RESERVED
    bank.wait(1)
    ended = bank.transfer(view.id)
    assert (ended.state, ended.reason.code if ended.reason else "") == (TransferState.EXPIRED, "TM01")
    assert bank.available(ada) == 1_000
    assert bank.states(view.id) == ["screened", "reserved", "cancelling", "expired"]
    # Too late now.
    bank.know("dora")
    dora = bank.open("dora")
    assert (bank.transfer(view.id).state, bank.booked(dora, "dora")) == (TransferState.EXPIRED, 0)


def test_an_alias(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    assert "alias" in refused("unknown-payee", lambda: bank.pay(ada, 5, "@bobby"))
    bank.alias("Bobby")
    refused("alias-taken", lambda: bank.alias("@boBBy", "cleo"))
    refused("alias-taken", lambda: bank.alias("stream.bank", "cleo"))
    refused("invalid-field", lambda: bank.alias("b..", "cleo"))
    view = bank.paid(ada, 5, "@BOBBY")
    assert (view.counterparty, bank.booked(bob, "bob")) == ("Bob", 5)
    bank.alias("ray")
    refused("unknown-payee", lambda: bank.pay(ada, 5, "bobby"))
    bank.alias("Bobby", "cleo")


def test_where_one_is_paid_to(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    savings, first = bank.open("bob", kind="savings"), bank.open("bob")
    # Of two that were opened in one millisecond either may be the first.
    bank.wait(1)
    second = bank.open("bob")
    bank.paid(ada, 1, "bob@example.org")
    assert bank.booked(first, "bob") == 1
    bank.receive(savings)
    bank.paid(ada, 2, "bob@example.org")
    assert bank.booked(savings, "bob") == 2
    bank.receive(second)
    with bank.ledger.database.begin() as connection:
        bank.ledger.service.close_account(connection, caller("bob"), second, None)
    bank.settle()
    bank.paid(ada, 4, "bob@example.org")
    assert bank.booked(first, "bob") == 5
    refused("not-found", lambda: bank.receive(ada))
    refused("account-closed", lambda: bank.receive(second))
    refused("invalid-field", lambda: bank.receive(first, currency="CZK"))


def test_the_first_account_is_the_one_that_was_opened_first(bank: Bank) -> None:
    first = bank.open("bob")
    bank.wait(1_000)
    second = bank.open("bob")
    told = [ACCOUNT.value.deserialize(record.value or b"") for record in records(bank.log, ACCOUNT.name)]
    with bank.database.begin() as connection:
        # To a new database a compacted log tells of each account's last change only, and of the first one's later.
        accounts.forget(connection, first)
        [account] = [one for one in told if one.account_id == first]
        accounts.learn(connection, replace(account, occurred_at=NOON + timedelta(days=1)))
        assert accounts.receiving(connection, "bob", "EUR") == first != second


def test_between_own_accounts(bank: Bank) -> None:
    giro, savings = bank.open("ada", 1_000), bank.open("ada", kind="savings")
    bank.limit(per_transfer_minor=1)
    view = bank.paid(giro, 400, None, creditor_account_id=savings)
    assert (view.state, view.direction, view.other_account_id) == (TransferState.POSTED, "own", savings)
    assert (bank.booked(giro), bank.booked(savings)) == (600, 400)
    assert [one.id for one in bank.transfers()] == [view.id]
    refused("forbidden", lambda: bank.refund(view.id, "ada"))


def test_an_account_that_others_may_pay_from_is_limited_as_they_are(bank: Bank) -> None:
    giro, mine, theirs = bank.open("ada", 1_000), bank.open("ada"), bank.open("bob")
    bank.limit(per_transfer_minor=1)
    share(bank, "ada", mine, "bob", Role.VIEWER)
    assert bank.paid(giro, 5, None, creditor_account_id=mine).state is TransferState.POSTED
    share(bank, "ada", mine, "bob", Role.OWNER)
    # Nobody asked ada for this one.
    share(bank, "bob", theirs, "ada", Role.OWNER)
    for account_id in (mine, theirs):
        refused("limit-exceeded", lambda a=account_id: bank.pay(giro, 5, None, creditor_account_id=a))  # type: ignore[misc]
    own = bank.paid(giro, 1, None, creditor_account_id=mine)
    assert (own.state, own.direction) == (TransferState.POSTED, "own")
    refused("forbidden", lambda: bank.refund(own.id, "ada"))
    given = bank.paid(giro, 1, None, creditor_account_id=theirs)
    assert (given.state, given.direction, given.counterparty) == (TransferState.POSTED, "outgoing", "Bob")
    assert bank.ledger.entry(given.entry_id or "").kind == "TRANSFER"
    assert bank.transfer(given.id, "bob").direction == "incoming"
    bank.refund(given.id)
    bank.settle()
    assert bank.booked(giro) == 994
    faultless(bank)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"payee": "ada@example.org"}, "invalid-field"),
        ({"payee": "nonsense@"}, "invalid-field"),
        ({"payee": None}, "invalid-field"),
        ({"payee": "bob@example.org", "creditor_account_id": "SELF"}, "invalid-field"),
        ({"payee": None, "creditor_account_id": "SELF"}, "invalid-field"),
        ({"payee": None, "creditor_account_id": "BOB"}, "not-found"),
        ({"payee": None, "creditor_account_id": "nowhere"}, "not-found"),
        ({"payee": None, "creditor_account_id": "KORUNA"}, "invalid-field"),
        ({"payee": "bob@example.org", "debtor_account_id": "BOB"}, "not-found"),
        ({"payee": "bob@example.org", "debtor_account_id": "KORUNA"}, "invalid-field"),
        ({"payee": "bob@example.org", "debtor_account_id": "CLOSED"}, "account-closed"),
        ({"payee": "bob@example.org", "currency": "CZK"}, "invalid-field"),
        ({"payee": "bob@example.org", "currency": "XAU"}, "invalid-field"),
    ],
)
def test_what_cannot_be_asked_for(bank: Bank, body: dict[str, str], slug: str) -> None:
    places = {
        "SELF": bank.open("ada", 1_000),
        "BOB": bank.open("bob"),
        "KORUNA": bank.open("ada", currency="CZK"),
        "CLOSED": bank.open("ada"),
    }
    bank.ledger.do(lambda c: bank.ledger.service.close_account(c, caller(), places["CLOSED"], None))
    bank.settle()
    told: dict[str, Any] = {name: places.get(value or "", value) for name, value in body.items()}
    refused(slug, lambda: bank.pay(told.pop("debtor_account_id", None) or places["SELF"], 5, **told))
    assert bank.transfers() == []


def test_a_viewer_does_not_pay(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    for role, slug in ((Role.VIEWER, "forbidden"), (Role.OWNER, None)):
        share(bank, "ada", ada, "cleo", role)
        if slug is not None:
            refused(slug, lambda: bank.pay(ada, 5, "bob@example.org", "cleo"))
    assert bank.paid(ada, 5, "bob@example.org", "cleo").state is TransferState.POSTED


def test_an_account_that_was_opened_a_moment_ago(bank: Bank) -> None:
    account = bank.ledger.open("ada")
    assert "try again" in refused("account-not-known-yet", lambda: bank.pay(account, 5, "bob@example.org"))
    bank.settle()
    bank.pay(account, 5, "bob@example.org")


def test_without_money(bank: Bank) -> None:
    ada = bank.open("ada", 100)
    bank.open("bob")
    view = bank.paid(ada, 101, "bob@example.org")
    assert view.state is TransferState.REJECTED
    assert view.reason is not None
    assert (view.reason.code, view.reason.text) == ("AM04", "there is not enough money on the account")
    assert (bank.available(ada), bank.states(view.id)) == (100, ["screened", "rejected"])
    refused("not-found", lambda: bank.transfer(view.id, "bob"))


class TestCancelling:
    def test_while_the_payee_is_waited_for(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        view = bank.paid(ada, 300, "dora@example.org")
        assert bank.cancel(view.id).state is TransferState.CANCELLING
        bank.settle()
        done = bank.transfer(view.id)
        assert (done.state, done.reason.code if done.reason else "") == (TransferState.CANCELLED, "CUST")
        assert bank.available(ada) == 1_000
        refused("transfer-not-cancellable", lambda: bank.cancel(view.id))

    def test_before_the_ledger_has_answered(self, bank: Bank) -> None:
        ada, bob = bank.open("ada", 1_000), bank.open("bob")
        view = bank.pay(ada, 300, "bob@example.org")
        bank.cancel(view.id)
        bank.settle()
        assert bank.transfer(view.id).state is TransferState.CANCELLED
        assert (bank.available(ada), bank.booked(bob, "bob")) == (1_000, 0)

    def test_not_once_it_is_paid(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        bank.open("bob")
        view = bank.paid(ada, 300, "bob@example.org")
        assert "posted" in refused("transfer-not-cancellable", lambda: bank.cancel(view.id))


class TestRefunds:
    def test_once_in_all(self, bank: Bank) -> None:
        ada, bob = bank.open("ada", 1_000), bank.open("bob")
        view = bank.paid(ada, 300, "bob@example.org")
        bank.limit("bob", per_transfer_minor=1)
        back = bank.refund(view.id)
        refused("already-refunded", lambda: bank.refund(view.id))
        bank.settle()
        assert (bank.booked(ada), bank.booked(bob, "bob")) == (1_000, 0)
        first, second = bank.transfer(view.id), bank.transfer(back.id)
        assert (first.state, first.refunded_by_id) == (TransferState.REFUNDED, back.id)
        assert (second.state, second.refunds_id, second.remittance) == (TransferState.POSTED, view.id, "sorry")
        assert (second.direction, second.counterparty) == ("incoming", "Bob")
        refused("already-refunded", lambda: bank.refund(view.id))
        refused("transfer-is-refund", lambda: bank.refund(back.id, "ada"))
        assert bank.statuses(back.id)[-1].refunds_transfer_id == view.id
        assert bank.states(view.id)[-1] == "refunded"

    def test_to_where_the_payer_is_paid_when_the_account_is_closed(self, bank: Bank) -> None:
        first, second = bank.open("ada", 300), bank.open("ada")
        bank.open("bob")
        view = bank.paid(first, 300, "bob@example.org")
        bank.ledger.do(lambda c: bank.ledger.service.close_account(c, caller(), first, None))
        bank.settle()
        back = bank.refund(view.id)
        bank.settle()
        assert bank.transfer(back.id).state is TransferState.POSTED
        assert (bank.booked(second), bank.transfer(view.id).state) == (300, TransferState.REFUNDED)

    def test_again_when_it_failed(self, bank: Bank) -> None:
        ada, bob = bank.open("ada", 1_000), bank.open("bob")
        view = bank.paid(ada, 300, "bob@example.org")
        bank.ledger.post(bob, -200, "bob")
        failed = bank.refund(view.id)
        bank.settle()
        assert bank.transfer(failed.id, "bob").state is TransferState.REJECTED
        assert bank.transfer(view.id).state is TransferState.POSTED
        bank.ledger.post(bob, 200, "bob")
        again = bank.refund(view.id)
        bank.settle()
        assert bank.transfer(again.id, "bob").state is TransferState.POSTED
        assert bank.booked(ada) == 1_000

    def test_only_what_was_paid(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        view = bank.paid(ada, 300, "cleo@example.org")
        refused("transfer-not-posted", lambda: bank.refund(view.id, "cleo"))


class TestLimits:
    def test_each_is_named(self, bank: Bank) -> None:
        ada = bank.open("ada", 100_000)
        bank.open("bob")
        bank.limit(per_transfer_minor=500, per_day_minor=900, per_day_count=3, new_payee_minor=400)
        assert "per-transfer limit: one transfer is at most 5.00 EUR" in refused(
            "limit-exceeded", lambda: bank.pay(ada, 501, "bob@example.org")
        )
        assert "new-payee limit" in refused("limit-exceeded", lambda: bank.pay(ada, 401, "bob@example.org"))
        bank.pay(ada, 400, "bob@example.org")
        # While the first is still on its way, and however the address is written.
        assert "new-payee limit" in refused("limit-exceeded", lambda: bank.pay(ada, 1, "Bob@Example.org"))
        bank.settle()
        # That an alias is the same person's is not told by a limit either.
        bank.alias("bobby")
        bank.pay(ada, 400, "@bobby")
        assert "per-day limit" in refused("limit-exceeded", lambda: bank.pay(ada, 101, "cleo@example.org"))
        bank.pay(ada, 100, "cleo@example.org")
        bank.limit(per_day_count=3)
        assert "per-day-count limit" in refused("limit-exceeded", lambda: bank.pay(ada, 1, "cleo@example.org"))

    def test_what_failed_does_not_count(self, bank: Bank) -> None:
        ada = bank.open("ada")
        bank.limit(per_day_minor=100, per_day_count=1)
        bank.alias("bobby")
        assert bank.paid(ada, 99, "bob@example.org").state is TransferState.REJECTED
        bank.ledger.post(ada, 400)
        bank.settle()
        view = bank.paid(ada, 100, "@bobby")
        refused("limit-exceeded", lambda: bank.pay(ada, 1, "bob@example.org"))
        bank.cancel(view.id)
        bank.settle()
        bank.pay(ada, 100, "bob@example.org")

    def test_addresses_are_not_tried_out_one_by_one(self, bank: Bank) -> None:
        ada = bank.open("ada", 400)
        bank.limit(per_day_minor=100, per_day_count=2)
        for address in ("bob@example.org", "dora@example.org"):
            view = bank.paid(ada, 100, address)
            bank.cancel(view.id)
            bank.settle()
        assert "per-day-count" in refused("limit-exceeded", lambda: bank.pay(ada, 1, "cleo@example.org"))
        bank.wait(DAY_MS)
        bank.pay(ada, 100, "cleo@example.org")

    def test_a_day_is_the_payers(self, bank: Bank) -> None:
        bank.know("eve", timezone="Pacific/Auckland")
        eve = bank.open("eve", 10_000)
        bank.limit("eve", per_day_count=1)
        # 12:00 UTC is 01:00 of the next day in Auckland, in summer.
        bank.paid(eve, 1, "bob@example.org", "eve")
        bank.wait(22 * 3_600_000 + 3_599_999)
        refused("limit-exceeded", lambda: bank.pay(eve, 1, "bob@example.org", "eve"))
        bank.wait(1)
        bank.pay(eve, 1, "bob@example.org", "eve")

    def test_moving_begins_no_new_day(self, bank: Bank) -> None:
        bank.know("eve", timezone="Europe/Prague")
        eve = bank.open("eve", 10_000)
        bank.limit("eve", per_day_count=1)
        bank.paid(eve, 1, "bob@example.org", "eve")
        # 14:00 UTC, and 1:00 of the next day there.
        bank.wait(2 * 3_600_000)
        bank.know("eve", timezone="Pacific/Guadalcanal")
        refused("limit-exceeded", lambda: bank.pay(eve, 1, "bob@example.org", "eve"))
        bank.wait(DAY_MS)
        bank.pay(eve, 1, "bob@example.org", "eve")

    def test_another_alias_is_no_new_payee(self, bank: Bank) -> None:
        ada = bank.open("ada", 10_000)
        bank.limit(new_payee_minor=100)
        bank.alias("bobby")
        bank.pay(ada, 100, "@bobby")
        bank.alias("ray")
        assert "new-payee" in refused("limit-exceeded", lambda: bank.pay(ada, 1, "@ray"))

    def test_a_payee_is_known_after_a_day(self, bank: Bank) -> None:
        ada = bank.open("ada", 10_000)
        bank.limit(new_payee_minor=100, new_payee_hours=24)
        bank.paid(ada, 100, "bob@example.org")
        bank.wait(DAY_MS - 1)
        refused("limit-exceeded", lambda: bank.pay(ada, 1, "bob@example.org"))
        bank.wait(1)
        bank.pay(ada, 5_000, "bob@example.org")

    def test_without_any_of_ones_own_the_service_has_some(self, bank: Bank) -> None:
        ada = bank.open("ada", 10**9)
        refused("limit-exceeded", lambda: bank.pay(ada, 10_000_01, "bob@example.org"))
        # One that is set replaces its own kind only.
        bank.limit(per_transfer_minor=15_000_00)
        assert "new-payee" in refused("limit-exceeded", lambda: bank.pay(ada, 10_000_01, "bob@example.org"))
        bank.limit(per_transfer_minor=15_000_00, new_payee_minor=15_000_00)
        bank.pay(ada, 10_000_01, "bob@example.org")
        assert "per-day" in refused("limit-exceeded", lambda: bank.pay(ada, 10_000_00, "cleo@example.org"))


class TestScreening:
    @pytest.fixture
    def bank(self, tmp_path: Path, new_databases: NewDatabases) -> Iterator[Bank]:
        with made(tmp_path, *new_databases(), "ada", "bob", screening="topic") as bank:
            yield bank

    def test_nothing_is_held_before_the_answer(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        bank.open("bob")
        view = bank.paid(ada, 300, "bob@example.org")
        assert (view.state, bank.available(ada)) == (TransferState.REQUESTED, 1_000)
        bank.screen(view.id, Verdict.ACCEPTED)
        assert bank.transfer(view.id).state is TransferState.POSTED
        assert bank.states(view.id) == ["requested", "screened", "reserved", "confirmed", "posted"]
        for verdict in (Verdict.REFUSED, Verdict.ACCEPTED):
            bank.screen(view.id, verdict)
        assert bank.booked(ada) == 700

    @pytest.mark.parametrize(("reason", "code"), [(None, "FRAD"), ("AC06", "AC06"), ("what is this", "NARR")])
    def test_refused(self, bank: Bank, reason: str | None, code: str) -> None:
        view = bank.paid(bank.open("ada", 1_000), 300, "bob@example.org")
        bank.screen(view.id, Verdict.REFUSED, reason)
        done = bank.transfer(view.id)
        assert (done.state, done.reason.code if done.reason else "") == (TransferState.REJECTED, code)
        bank.screen(view.id, Verdict.ACCEPTED)
        assert bank.transfer(view.id).state is TransferState.REJECTED

    def test_no_answer_is_a_no(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        view = bank.paid(ada, 300, "bob@example.org")
        bank.wait(SETTINGS.screening_wait_ms - 1)
        assert bank.transfer(view.id).state is TransferState.REQUESTED
        bank.wait(1)
        done = bank.transfer(view.id)
        assert (done.state, done.reason.code if done.reason else "") == (TransferState.REJECTED, "TM01")
        bank.screen(view.id, Verdict.ACCEPTED)
        assert (bank.transfer(view.id).state, bank.available(ada)) == (TransferState.REJECTED, 1_000)

    def test_own_accounts_and_refunds_are_not_screened(self, bank: Bank) -> None:
        ada, other = bank.open("ada", 1_000), bank.open("ada")
        view = bank.paid(ada, 300, None, creditor_account_id=other)
        assert view.state is TransferState.POSTED

    def test_a_transfer_that_is_not_known(self, bank: Bank) -> None:
        bank.screen("made-up", Verdict.ACCEPTED)
        assert bank.payments.saga.ignored["screening"] == 1


def test_what_comes_twice_does_nothing(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    views = [bank.paid(ada, n, payee) for n, payee in ((100, "bob@example.org"), (2_000, "bob@example.org"))]
    views.append(bank.paid(ada, 30, "dora@example.org"))
    bank.cancel(views[2].id)
    bank.settle()
    told = [bank.transfer(view.id) for view in views]
    entries = len(bank.ledger.published())
    bank.repeat()
    bank.repeat(TRANSFER_OUTCOME.name)
    assert [bank.transfer(view.id) for view in views] == told
    assert len(bank.ledger.published()) == entries
    assert (bank.booked(ada), bank.booked(bob, "bob")) == (900, 100)
    assert [len(bank.states(view.id)) for view in views] == [4, 2, 4]


def test_the_ledger_is_silent(bank: Bank) -> None:
    """It is asked again when it should post, and its word is waited for when it should void."""
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    view = bank.pay(ada, 300, "bob@example.org")
    waiting = bank.pay(ada, 20, "dora@example.org")

    def alone(ms: int) -> None:
        bank.clock.now_ms += ms
        while bank.payments.step():
            pass

    alone(SETTINGS.ledger_wait_ms)
    assert bank.transfer(view.id).state is TransferState.CANCELLING
    for _ in range(20):
        alone(DAY_MS)
    assert bank.transfer(view.id).state is TransferState.CANCELLING
    bank.settle()
    for one in (view, waiting):
        done = bank.transfer(one.id)
        assert (done.state, done.reason.code if done.reason else "") == (TransferState.REJECTED, "TM01")
    assert (bank.available(ada), bank.booked(bob, "bob")) == (1_000, 0)
    faultless(bank)


class TestErasure:
    def test_of_the_payer(self, bank: Bank) -> None:
        ada, bob = bank.open("ada", 1_000), bank.open("bob")
        paid = bank.paid(ada, 300, "bob@example.org", remittance="for the boat")
        waits = bank.paid(ada, 20, "dora@example.org")
        bank.erase("ada")
        got = bank.transfer(paid.id, "bob")
        assert (got.state, got.counterparty, got.remittance) == (TransferState.POSTED, None, None)
        assert bank.states(waits.id)[-1] == "rejected"
        assert bank.booked(bob, "bob") == 300
        dump = bank.look(dump_of)
        assert not any(text in dump for text in ("boat", "dora@", "Ada", "ada@"))
        refused("user-erased", lambda: bank.pay(ada, 1, "bob@example.org"))

    def test_of_the_payee(self, bank: Bank) -> None:
        ada = bank.open("ada", 1_000)
        waits = bank.paid(ada, 300, "bob@example.org")
        bank.alias("bobby")
        bank.erase("bob")
        done = bank.transfer(waits.id)
        assert (done.state, done.reason.code if done.reason else "") == (TransferState.REJECTED, "AC04")
        assert (done.counterparty, bank.available(ada)) == (None, 1_000)
        assert not any(text in bank.look(dump_of) for text in ("bobby", "Bob", "bob@"))
        bank.alias("bobby", "cleo")


def dump_of(connection: Connection) -> str:
    """All that the database holds."""
    tables = METADATA.sorted_tables
    return "".join(repr(tuple(row)) for table in tables for row in connection.execute(select(table)))


def test_lists_in_pages(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob", 1_000)
    mine = []
    for n in range(1, 8):
        bank.clock.now_ms += 1
        mine.append(
            bank.paid(ada, n, "bob@example.org").id if n % 2 else bank.paid(bob, n, "ada@example.org", "bob").id
        )
    found, cursor = [], None
    while True:
        page, cursor = bank.look(
            lambda c, at=cursor: bank.payments.list_transfers(c, caller(), None, None, at, 3)  # type: ignore[misc]
        )
        assert len(page) <= 3
        found += [one.id for one in page]
        if cursor is None:
            break
    assert found == mine[::-1]
    assert [one.id for one in bank.transfers(incoming=True)] == mine[1::2][::-1]
    assert [one.id for one in bank.transfers(incoming=False)] == mine[::2][::-1]
    assert bank.transfers(state=TransferState.REJECTED) == []
    assert len(bank.transfers(state=TransferState.POSTED)) == 7


def test_a_profile_may_come_before_its_key(tmp_path: Path, new_databases: NewDatabases) -> None:
    with made(tmp_path, *new_databases(), "ada") as bank:
        ada = bank.open("ada", 1_000)
        bank.publish(USER_PROFILE, "zoe", profile("zoe"))
        bank.settle()
        view = bank.paid(ada, 5, "zoe@example.org")
        assert view.state is TransferState.RESERVED
        bank.know("zoe")
        bank.open("zoe")
        assert bank.transfer(view.id).state is TransferState.POSTED


def test_status_records_carry_their_key(bank: Bank) -> None:
    view = bank.paid(bank.open("ada", 10), 5, "dora@example.org")
    keys = {record.key for record in records(bank.log, TRANSFER_STATUS.name)}
    assert keys == {view.id.encode()}
    assert bank.clock() == NOON_MS
