"""How entries end. Time goes downwards; sums are booked / pending debits / pending credits.

hold -80        0 / 80 / 0
booked as -90   -90 / 0 / 0      one journal transaction: the hold's end and the booked entry
"""

from datetime import date, timedelta

import pytest
from tests.bank.transactions.support import NOON, Bench, caller, signed

from streambank.bank.events import EntryStatus
from streambank.service.http.problems import Problem

PENDING = {"status": "PDNG"}


def sums(bench: Bench, account: str) -> tuple[int, int, int]:
    found = bench.balance(account)
    return found.booked_minor, found.pending_debits_minor, found.pending_credits_minor


def refusal(work: object) -> tuple[int, str]:
    with pytest.raises(Problem) as refused:
        work()  # type: ignore[operator]
    return refused.value.status, refused.value.slug


@pytest.mark.parametrize(
    ("held", "booked", "after"),
    [
        (-80, None, (20, 0, 0)),
        (-80, 90, (10, 0, 0)),
        (-80, 1, (99, 0, 0)),
        (30, None, (130, 0, 0)),
        (30, 45, (145, 0, 0)),
    ],
)
def test_booking(bench: Bench, held: int, booked: int | None, after: tuple[int, int, int]) -> None:
    account = bench.open()
    bench.post(account, 100)
    hold = bench.post(account, held, counterparty="Shell", tags=["car"], notes="tank", **PENDING)
    entry = bench.book(hold.id, amount_minor=booked, booking_date=date(2026, 11, 26))
    assert sums(bench, account) == after
    assert signed(entry) == (held if booked is None else (booked if held > 0 else -booked))
    assert (entry.state, entry.counterparty, entry.tags, entry.notes) == ("booked", "Shell", ["car"], "tank")
    assert entry.booking_date == date(2026, 11, 26)
    assert bench.entry(hold.id).state == "ended"
    bench.settle()
    _, opened, ended, final = bench.published()
    assert [e.status for e in (opened, ended, final)] == [EntryStatus.PENDING, EntryStatus.PENDING, EntryStatus.BOOKED]
    assert (ended.signed_minor, ended.reverses_entry_id) == (-held, opened.entry_id)
    assert ended.transaction_id == final.transaction_id != opened.transaction_id
    assert bench.faults() == []


def test_what_was_held_can_be_booked_though_the_account_is_overdrawn_meanwhile(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 100)
    hold = bench.post(account, -80, **PENDING)
    bench.post(account, -150, force=True)
    assert refusal(lambda: bench.book(hold.id, amount_minor=81)) == (409, "insufficient-funds")
    bench.book(hold.id)
    assert sums(bench, account) == (-130, 0, 0)


def test_voiding(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 100)
    for held in (-80, 7):
        hold = bench.post(account, held, **PENDING)
        ended = bench.void(hold.id)
        assert (ended.state, ended.reverses_id, signed(ended)) == ("ended", hold.id, -held)
        assert bench.entry(hold.id).reversed_by_id == ended.id
    assert sums(bench, account) == (100, 0, 0)
    assert bench.faults() == []


def test_a_hold_ends_once(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    first, second = (bench.post(account, -5, **PENDING) for _ in range(2))
    bench.book(first.id)
    ended = bench.void(second.id)
    for entry_id in (first.id, second.id):
        assert refusal(lambda entry_id=entry_id: bench.book(entry_id)) == (409, "entry-ended")
        assert refusal(lambda entry_id=entry_id: bench.void(entry_id)) == (409, "entry-ended")
    booked = bench.post(account, 5)
    assert refusal(lambda: bench.void(booked.id)) == (409, "entry-not-pending")
    assert refusal(lambda: bench.void(ended.id)) == (409, "entry-not-pending")
    assert sums(bench, account) == (0, 0, 0)


def test_booking_more_than_was_held_needs_cover_for_the_rest(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 100)
    hold = bench.post(account, -80, **PENDING)
    assert refusal(lambda: bench.book(hold.id, amount_minor=101)) == (409, "insufficient-funds")
    assert sums(bench, account) == (100, 80, 0)
    bench.book(hold.id, amount_minor=101, force=True)
    assert sums(bench, account) == (-1, 0, 0)


def test_expiry(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 100)
    soon = bench.post(account, -30, expires_at=NOON + timedelta(hours=1), **PENDING)
    later = bench.post(account, -20, expires_at=NOON + timedelta(days=7), **PENDING)
    never = bench.post(account, -10, **PENDING)
    assert bench.service.expire() == 0
    bench.clock.now_ms += 3_600_000
    assert bench.service.expire() == 1
    assert bench.service.expire() == 0
    assert [bench.entry(e.id).state for e in (soon, later, never)] == ["ended", "pending", "pending"]
    assert sums(bench, account) == (100, 30, 0)
    assert refusal(lambda: bench.book(soon.id)) == (409, "entry-ended")
    assert bench.entry(later.id).expires_at == NOON + timedelta(days=7)
    assert bench.faults() == []


def test_reversal(bench: Bench) -> None:
    account = bench.open()
    bench.post(account, 100)
    entry = bench.post(account, -30, counterparty="Shop", remittance="twice", tags=["x"])
    back = bench.reverse(entry.id, notes="booked twice")
    assert (signed(back), back.reverses_id, back.notes, back.counterparty) == (30, entry.id, "booked twice", "Shop")
    assert bench.entry(entry.id).reversed_by_id == back.id
    assert sums(bench, account) == (100, 0, 0)
    assert refusal(lambda: bench.reverse(entry.id)) == (409, "already-reversed")
    assert refusal(lambda: bench.reverse(back.id)) == (409, "entry-is-reversal")
    hold = bench.post(account, -5, **PENDING)
    assert refusal(lambda: bench.reverse(hold.id)) == (409, "entry-pending")
    bench.settle()
    assert [(e.account_seq, e.signed_minor, e.reverses_entry_id) for e in bench.published()][2] == (3, 30, entry.id)
    assert bench.faults() == []


def test_reversing_a_credit_that_is_spent(bench: Bench) -> None:
    account = bench.open()
    credit = bench.post(account, 100)
    bench.post(account, -60)
    assert refusal(lambda: bench.reverse(credit.id)) == (409, "insufficient-funds")
    bench.reverse(credit.id, force=True)
    assert sums(bench, account) == (-60, 0, 0)


def test_reversing_what_was_booked_from_a_hold(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    booked = bench.book(bench.post(account, -30, **PENDING).id, amount_minor=33)
    bench.reverse(booked.id)
    assert sums(bench, account) == (0, 0, 0)
    assert bench.faults() == []


def test_parts_go_along(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    parts = [{"amount_minor": 10}, {"amount_minor": 20, "note": "rest"}]
    hold = bench.post(account, -30, **PENDING)
    bench.edit(hold.id, splits=parts)
    booked = bench.book(hold.id)
    assert [(part.amount_minor, part.note) for part in booked.splits] == [(10, None), (20, "rest")]
    assert [part.amount_minor for part in bench.reverse(booked.id).splits] == [10, 20]
    other = bench.post(account, -30, **PENDING)
    bench.edit(other.id, splits=parts)
    assert bench.book(other.id, amount_minor=31).splits == []
    assert bench.faults() == []


def test_only_owners_settle(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    hold, entry = bench.post(account, -5, **PENDING), bench.post(account, 5)
    for work in (
        lambda: bench.void(hold.id, "bob"),
        lambda: bench.book(hold.id, "bob"),
        lambda: bench.reverse(entry.id, "bob"),
    ):
        assert refusal(work) == (404, "not-found")
    assert refusal(lambda: bench.void("nothing")) == (404, "not-found")
    assert caller().user_id == "ada"
