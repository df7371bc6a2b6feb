"""Statements: opening balance, entries, closing balance, by booking date."""

from datetime import date

import pytest
from tests.bank.transactions.support import Bench, caller

from streambank.bank.transactions.schemas import Statement
from streambank.service.http.cursors import encode_cursor
from streambank.service.http.problems import Problem


def statement(
    bench: Bench, account: str, first: str, last: str, cursor: str | None = None, limit: int = 50
) -> Statement:
    period = date.fromisoformat(first), date.fromisoformat(last)
    answer = bench.look(lambda c: bench.service.get_statement(c, caller(), account, *period, cursor, limit))
    assert isinstance(answer.body, Statement)
    return answer.body


@pytest.fixture
def account(bench: Bench) -> str:
    """-------- 100 on Oct 1 -- +20, -5, +7 on Nov 3 -- -2 on Nov 30 -- 50 on Dec 1; recorded in another order."""
    account = bench.open(overdraft_limit_minor=None)
    for minor, day in ((20, "2026-11-03"), (100, "2026-10-01"), (50, "2026-12-01"), (-5, "2026-11-03")):
        bench.post(account, minor, booking_date=day)
    bench.post(account, -999, booking_date="2026-11-10", status="PDNG")
    bench.post(account, -2, booking_date="2026-11-30")
    bench.post(account, 7, booking_date="2026-11-03")
    return account


PERIODS = [
    ("2026-11-01", "2026-11-30", 100, [20, 5, 7, 2], 120),
    ("2026-11-03", "2026-11-03", 100, [20, 5, 7], 122),
    ("2026-10-01", "2026-10-31", 0, [100], 100),
    ("2026-09-01", "2026-09-30", 0, [], 0),
    ("2026-12-02", "2027-12-31", 170, [], 170),
    ("1900-01-01", "2199-12-31", 0, [100, 20, 5, 7, 2, 50], 170),
]


@pytest.mark.parametrize(("first", "last", "opening", "amounts", "closing"), PERIODS)
def test_periods(
    bench: Bench, account: str, first: str, last: str, opening: int, amounts: list[int], closing: int
) -> None:
    made = statement(bench, account, first, last)
    assert (made.opening_minor, made.closing_minor, made.entry_count) == (opening, closing, len(amounts))
    assert [item.amount.amount_minor for item in made.items] == amounts
    assert made.credits_minor - made.debits_minor == closing - opening
    assert made.next is None


def test_pages(bench: Bench, account: str) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        made = statement(bench, account, "2026-11-01", "2026-11-30", cursor, 1)
        assert (made.opening_minor, made.closing_minor, made.entry_count) == (100, 120, 4)
        seen += [item.amount.amount_minor for item in made.items]
        cursor = made.next
        if cursor is None:
            break
    assert seen == [20, 5, 7, 2]


def test_refusals(bench: Bench, account: str) -> None:
    for arguments, status in (
        ((account, "2026-11-02", "2026-11-01"), 422),
        (("nothing", "2026-11-01", "2026-11-01"), 404),
        ((account, "2026-11-01", "2026-11-01", "WzVd"), 400),
        ((account, "2026-11-01", "2026-11-01", encode_cursor("2026-11-01\0", 1)), 400),
    ):
        with pytest.raises(Problem) as refused:
            statement(bench, *arguments)
        assert refused.value.status == status
