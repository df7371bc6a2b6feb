"""Standing orders: each occurrence once, on its day where its payer is, and after a downtime."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.event import listen
from tests.bank.payments.conftest import NewDatabases
from tests.bank.payments.support import Bank, profile, share
from tests.bank.payments.support import made as made_bank
from tests.bank.transactions.support import TODAY

from streambank.bank.events import USER_PROFILE, Role, TransferState
from streambank.bank.payments import orders, repository, requests
from streambank.bank.payments.models import STANDING_ORDER
from streambank.bank.payments.settings import DAY_MS
from streambank.service.http.problems import Problem

BOB = "bob@example.org"


def until(bank: Bank, moment: str) -> None:
    """Time passes, and everybody works at each moment at which an order is due."""
    end_ms = round(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
    while bank.clock.now_ms < end_ms:
        due_ms = bank.look(lambda c: c.scalar(select(func.min(STANDING_ORDER.c.due_at)))) or end_ms
        bank.wait(max(1, min(due_ms, end_ms) - bank.clock.now_ms))


def made(bank: Bank, order_id: str, user_id: str = "ada") -> list[tuple[str, str, int]]:
    """The transfers of an order: when, in which state, how much."""
    found = [one for one in bank.transfers(user_id) if one.standing_order_id == order_id]
    return [(one.created_at.isoformat()[:16], one.state.value, one.amount.amount_minor) for one in reversed(found)]


def refused(slug: str, work: Callable[[], object]) -> None:
    with pytest.raises(Problem) as found:
        work()
    assert found.value.slug == slug, found.value.detail


def test_once(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    order = bank.order(ada, 300, BOB, every="once", starts_on=date(2026, 11, 25), remittance="rent")
    assert (order.next_on, order.made, order.payee) == (date(2026, 11, 25), 0, BOB)
    until(bank, "2026-11-24T23:59:59.999")
    assert bank.transfers() == []
    until(bank, "2026-11-25T00:00")
    assert made(bank, order.id) == [("2026-11-25T00:00", "posted", 300)]
    ended = bank.get_order(order.id)
    assert (ended.next_on, ended.made) == (None, 1)
    until(bank, "2026-11-28T00:00")
    assert (bank.booked(ada), bank.booked(bob, "bob")) == (700, 300)
    assert bank.transfers("bob")[0].remittance == "rent"
    # Bob learns nothing of the order itself.
    assert bank.transfers("bob")[0].standing_order_id is None


def test_today_is_made_at_once(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    order = bank.order(ada, 300, BOB, every="week", starts_on=TODAY, count=2)
    bank.settle()
    assert made(bank, order.id) == [("2026-11-24T12:00", "posted", 300)]
    until(bank, "2026-12-15T00:00")
    assert [when for when, _, _ in made(bank, order.id)] == ["2026-11-24T12:00", "2026-12-01T00:00"]


def test_monthly_on_the_last_day(bank: Bank) -> None:
    ada, _ = bank.open("ada", 10_000), bank.open("bob")
    order = bank.order(ada, 1, BOB, every="month", starts_on=date(2026, 12, 31), until=date(2027, 4, 30))
    until(bank, "2027-06-01T00:00")
    assert [when[:10] for when, _, _ in made(bank, order.id)] == [
        "2026-12-31",
        "2027-01-31",
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
    ]
    assert bank.get_order(order.id).next_on is None


def test_in_the_payers_time_zone_through_a_change_of_clocks(bank: Bank) -> None:
    bank.know("eve", timezone="Europe/Prague")
    eve, _ = bank.open("eve", 10_000), bank.open("bob")
    order = bank.order(eve, 1, BOB, "eve", every="month", starts_on=date(2027, 2, 28), day=28)
    until(bank, "2027-05-01T00:00")
    assert [when for when, _, _ in made(bank, order.id, "eve")] == [
        "2027-02-27T23:00",
        "2027-03-27T23:00",
        "2027-04-27T22:00",
    ]


def test_who_moves_takes_their_days_along(bank: Bank) -> None:
    bank.know("eve", timezone="Pacific/Auckland")
    eve, _ = bank.open("eve", 10_000), bank.open("bob")
    order = bank.order(eve, 1, BOB, "eve", every="once", starts_on=date(2026, 11, 26))
    bank.publish(USER_PROFILE, "eve", profile("eve", timezone="America/New_York"))
    until(bank, "2026-11-26T04:59")
    assert made(bank, order.id, "eve") == []
    until(bank, "2026-11-26T05:00")
    assert made(bank, order.id, "eve") == [("2026-11-26T05:00", "posted", 1)]


def test_what_was_missed_is_made_up_for_unless_it_is_long_ago(bank: Bank) -> None:
    """Down for four weeks: 8 December (20 days late), 15 (13), 22 (6) and 29 (not late)."""
    ada, _ = bank.open("ada", 10_000), bank.open("bob")
    order = bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1))
    until(bank, "2026-12-01T00:00")
    bank.clock.now_ms += 28 * DAY_MS
    bank.settle()
    assert sorted(made(bank, order.id)) == [
        ("2026-12-01T00:00", "posted", 100),
        ("2026-12-29T00:00", "posted", 100),
        ("2026-12-29T00:00", "posted", 100),
        ("2026-12-29T00:00", "rejected", 100),
        ("2026-12-29T00:00", "rejected", 100),
    ]
    reasons = {one.reason.code for one in bank.transfers() if one.reason is not None}
    assert reasons == {"TM01"}
    assert bank.get_order(order.id).made == 5
    assert bank.get_order(order.id).next_on == date(2027, 1, 5)


def test_what_a_limit_or_missing_funds_stop_is_on_record(bank: Bank) -> None:
    ada, _ = bank.open("ada", 150), bank.open("bob")
    order = bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1), count=4)
    until(bank, "2026-12-01T00:00")
    bank.limit(per_transfer_minor=99)
    until(bank, "2026-12-08T00:00")
    bank.limit()
    until(bank, "2026-12-15T00:00")
    bank.ledger.post(ada, 50)
    until(bank, "2026-12-22T00:00")
    found = {one.created_at.day: one for one in bank.transfers()}
    assert {day: one.state.value for day, one in found.items()} == {
        1: "posted",
        8: "rejected",
        15: "rejected",
        22: "posted",
    }
    assert [found[day].reason.code for day in (8, 15)] == ["AM14", "AM04"]  # type: ignore[union-attr]
    assert bank.states(found[8].id) == ["rejected"]
    assert made(bank, order.id)[1][1] == "rejected"


def test_a_change_counts_from_the_next_time_on(bank: Bank) -> None:
    ada, _ = bank.open("ada", 10_000), bank.open("bob")
    order = bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1), remittance="first")
    until(bank, "2026-12-01T00:00")
    changed = bank.change_order(order.id, amount_minor=250, remittance=None, count=2)
    assert (changed.amount.amount_minor, changed.remittance, changed.next_on) == (250, None, date(2026, 12, 8))
    refused("invalid-field", lambda: bank.change_order(order.id, amount_minor=None))
    until(bank, "2026-12-30T00:00")
    assert [minor for _, _, minor in made(bank, order.id)] == [100, 250]
    refused("standing-order-ended", lambda: bank.change_order(order.id, count=None))


def test_an_end_ends_it(bank: Bank) -> None:
    ada, _ = bank.open("ada", 10_000), bank.open("bob")
    order = bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1))
    bank.end_order(order.id)
    until(bank, "2026-12-02T00:00")
    assert bank.transfers() == []
    refused("standing-order-ended", lambda: bank.end_order(order.id))
    refused("not-found", lambda: bank.get_order(order.id, "bob"))


def test_between_own_accounts_and_to_an_alias(bank: Bank) -> None:
    ada, savings, bob = bank.open("ada", 10_000), bank.open("ada", kind="savings"), bank.open("bob")
    bank.alias("bobby")
    bank.order(ada, 100, None, every="once", starts_on=TODAY, creditor_account_id=savings)
    bank.order(ada, 20, "@bobby", every="once", starts_on=date(2026, 11, 26))
    # Whoever takes the name later is not paid by it.
    bank.alias("ray")
    bank.alias("bobby", "cleo")
    bank.open("cleo")
    until(bank, "2026-11-26T00:00")
    assert (bank.booked(savings), bank.booked(bob, "bob")) == (100, 20)


def test_an_account_that_is_shared_meanwhile_is_limited(bank: Bank) -> None:
    giro, savings = bank.open("ada", 1_000), bank.open("ada")
    bank.limit(per_transfer_minor=50)
    order = bank.order(giro, 100, None, creditor_account_id=savings, every="week", starts_on=TODAY, count=2)
    bank.settle()
    share(bank, "ada", savings, "bob", Role.OWNER)
    until(bank, "2026-12-02T00:00")
    assert [state for _, state, _ in made(bank, order.id)] == ["posted", "rejected"]


@pytest.mark.parametrize(
    "body",
    [
        {"every": "once", "starts_on": date(2026, 11, 23)},
        {"every": "week", "starts_on": TODAY, "day": 3},
        {"every": "week", "starts_on": TODAY, "until": date(2026, 11, 23)},
        {"every": "month", "starts_on": TODAY, "day": 31, "until": date(2026, 11, 29)},
        {"every": "once", "starts_on": date(2200, 1, 1)},
    ],
)
def test_what_makes_no_sense(bank: Bank, body: dict[str, Any]) -> None:
    ada = bank.open("ada", 1_000)
    refused("invalid-field", lambda: bank.order(ada, 1, BOB, **body))


def test_a_restart_makes_none_twice(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob")
    bank.order(ada, 100, BOB, every="week", starts_on=TODAY, count=2)
    bank.payments.do_due()
    bank.payments.close()
    bank.payments = bank.new_service()
    for _ in range(3):
        bank.payments.do_due()
    bank.settle()
    assert bank.booked(bob, "bob") == 100


def test_erasure_takes_the_orders_along(bank: Bank) -> None:
    ada, bob = bank.open("ada", 1_000), bank.open("bob", 1_000)
    bank.alias("ady", "ada")
    bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1))
    paying = bank.order(bob, 100, "@ady", "bob", every="week", starts_on=date(2026, 12, 1))
    bank.erase("ada")
    ended = bank.get_order(paying.id, "bob")
    assert (ended.payee, ended.next_on) == (None, None)
    until(bank, "2026-12-02T00:00")
    assert bank.booked(bob, "bob") == 1_000
    assert bank.transfers("bob") == []


def test_erasure_of_who_has_the_address_ends_it(bank: Bank) -> None:
    ada, _ = bank.open("ada", 1_000), bank.open("bob")
    order = bank.order(ada, 100, BOB, every="week", starts_on=date(2026, 12, 1))
    bank.erase("bob")
    ended = bank.get_order(order.id)
    assert (ended.payee, ended.next_on) == (None, None)
    until(bank, "2026-12-02T00:00")
    assert bank.transfers() == []


def test_what_is_looked_for_often_or_at_erasure_has_an_index(sqlite_databases: NewDatabases) -> None:
    with made_bank(None, *sqlite_databases(), "ada") as bank, bank.database.begin() as connection:
        ran: list[tuple[str, Any]] = []
        listen(connection, "before_cursor_execute", lambda *event: ran.append((event[2], event[3])))
        repository.used(connection, "ada", "EUR", 0, "bob@example.org")
        orders.forget(connection, "ada")
        orders.forget_address(connection, "bob@example.org")
        requests.forget_address(connection, "bob@example.org")
        repository.forget_address(connection, "bob", "bob@example.org")
        plans = [str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", told).all()) for sql, told in list(ran)]
    assert [plan for plan in plans if "SCAN" in plan] == []
    assert "transfer_to_payee" in plans[2]


def test_to_an_address_that_nobody_has(bank: Bank) -> None:
    ada = bank.open("ada", 1_000)
    bank.order(ada, 100, "dora@example.org", every="once", starts_on=TODAY)
    bank.settle()
    assert bank.transfers()[0].state is TransferState.RESERVED
