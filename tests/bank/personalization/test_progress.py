"""How goals stand, as tables. Amounts are whole units here; what they are units of does not matter."""

from datetime import date
from typing import Any

import msgspec
import pytest
from tests.bank.personalization.support import EUR, told
from tests.bank.transactions.support import NOON, NOON_MS

from streambank.bank.events import Budget, Period, SavingsGoal, SpendingGoal
from streambank.bank.personalization.progress import (
    TOLD_MAX,
    Told,
    budget_progress,
    months_left,
    pace,
    remembered,
    savings_progress,
    spending_progress,
)
from streambank.bank.plans import counts_alike

D = date.fromisoformat
BASE: dict[str, Any] = {"goal_id": "g", "name": "n", "currency": EUR, "target_minor": 400}


def budget(*, carry_over: bool = False, starts_on: str = "2026-09-01", **more: Any) -> Budget:
    return Budget(**{**BASE, "period": Period.MONTH, "starts_on": D(starts_on), "carry_over": carry_over, **more})


def saving(**more: Any) -> SavingsGoal:
    usual = {"target_minor": 1_200, "starts_on": D("2026-01-01"), "target_date": D("2027-01-01"), "account_ids": ("a",)}
    return SavingsGoal(**{**BASE, **usual, **more})


def of_month(month: int, amount: int, carried: int = 0) -> Told:
    return Told(amount, 400 + carried, carried, NOON_MS, date(2026, month, 1))


# What was told of which month, the day, and then: amount, carried, target, left, percent.
#
#          Sep        Oct        Nov        Dec
#   starts |----------|----------|----------|
BUDGETS: list[tuple[bool, list[Told], str, tuple[int, int, int, int, int | None]]] = [
    # Nothing was told, and nothing is carried.
    (False, [], "2026-09-10", (0, 0, 400, 400, 0)),
    (True, [], "2026-09-10", (0, 0, 400, 400, 0)),
    # Nothing was spent for two months: they are carried, if so.
    (False, [], "2026-11-10", (0, 0, 400, 400, 0)),
    (True, [], "2026-11-10", (0, 800, 1_200, 1_200, 0)),
    # The month that was told of.
    (False, [of_month(11, 300)], "2026-11-10", (300, 0, 400, 100, 75)),
    (True, [of_month(11, 300, 100)], "2026-11-10", (300, 100, 500, 200, 60)),
    # A month later, and two.
    (False, [of_month(10, 300)], "2026-11-10", (0, 0, 400, 400, 0)),
    (True, [of_month(10, 300)], "2026-11-10", (0, 100, 500, 500, 0)),
    (True, [of_month(10, 300)], "2026-12-10", (0, 500, 900, 900, 0)),
    # What was overspent is taken off; where nothing is left to spend there is no percentage.
    (True, [of_month(10, 700)], "2026-11-10", (0, -300, 100, 100, 0)),
    (True, [of_month(10, 900)], "2026-11-10", (0, -500, -100, -100, None)),
    (True, [of_month(11, 50, -400)], "2026-11-10", (50, -400, 0, -50, None)),
    # Over the target, and under zero by refunds.
    (False, [of_month(11, 500)], "2026-11-10", (500, 0, 400, -100, 125)),
    (False, [of_month(11, -20)], "2026-11-10", (-20, 0, 400, 420, 0)),
    # An entry that is booked into the next month does not hide this one, nor a late one.
    (False, [of_month(11, 300), of_month(12, 10)], "2026-11-10", (300, 0, 400, 100, 75)),
    (False, [of_month(10, 50), of_month(11, 300)], "2026-11-10", (300, 0, 400, 100, 75)),
    (True, [of_month(12, 10)], "2026-11-10", (0, 800, 1_200, 1_200, 0)),
    # Before its first day it stands as it will begin.
    (True, [], "2026-08-10", (0, 0, 400, 400, 0)),
]


@pytest.mark.parametrize(("carry_over", "was_told", "today", "expected"), BUDGETS, ids=range(len(BUDGETS)))
def test_budgets(
    carry_over: bool, was_told: list[Told], today: str, expected: tuple[int, int, int, int, int | None]
) -> None:
    found = budget_progress(budget(carry_over=carry_over), was_told, D(today))
    assert (found.amount_minor, found.carried_minor, found.target_minor, found.left_minor, found.percent) == expected
    assert found.as_of == (NOON if was_told else None)


def test_a_budget_tells_its_period() -> None:
    found = budget_progress(budget(period=Period.WEEK), [], D("2026-11-29"))
    assert (found.period_start, found.period_end) == (D("2026-11-23"), D("2026-11-29"))
    early = budget_progress(budget(starts_on="2027-02-01"), [], D("2026-11-29"))
    assert (early.period_start, early.period_end) == (D("2027-02-01"), D("2027-02-28"))


def test_carrying_goes_by_the_budget_as_it_is_now() -> None:
    found = budget_progress(budget(carry_over=True, target_minor=600), [of_month(10, 300)], D("2026-11-10"))
    assert (found.carried_minor, found.target_minor) == (300, 900)


#        Jan 1                    today                     Jan 1
#        |------------------------|-------------------------|       1,200 in 365 days
#                           |<- slack ->|                          31 days: about 102
#                   behind  |  on track |  ahead
SAVINGS: list[tuple[int, str, tuple[int, int | None, int | None, str]]] = [
    # saved, today: left, expected by now, needed per month, status
    (0, "2026-01-01", (1_200, 0, 100, "on-track")),
    (103, "2026-01-01", (1_097, 0, 92, "ahead")),
    (0, "2026-02-01", (1_200, 101, 110, "on-track")),
    (0, "2026-02-02", (1_200, 105, 110, "behind")),
    (600, "2026-07-02", (600, 598, 100, "on-track")),
    (490, "2026-07-02", (710, 598, 119, "behind")),
    (710, "2026-07-02", (490, 598, 82, "ahead")),
    (1_199, "2027-01-01", (1, 1_200, 1, "on-track")),
    (1_000, "2026-12-31", (200, 1_196, 200, "behind")),
    (1_000, "2027-02-01", (200, 1_200, 200, "overdue")),
    (1_200, "2026-03-01", (0, 193, 0, "reached")),
    (1_500, "2027-02-01", (0, 1_200, 0, "reached")),
    (-50, "2026-07-02", (1_250, 598, 209, "behind")),
]


@pytest.mark.parametrize(("saved", "today", "expected"), SAVINGS)
def test_savings(saved: int, today: str, expected: tuple[int, int | None, int | None, str]) -> None:
    found = savings_progress(saving(), [Told(saved, 1_200, 0, NOON_MS)], D(today))
    assert found is not None
    assert (found.left_minor, found.expected_minor, found.needed_per_month_minor, found.status) == expected
    assert (found.amount_minor, found.percent, found.as_of) == (saved, max(saved * 100 // 1_200, 0), NOON)


def test_savings_without_a_date_and_without_news() -> None:
    found = savings_progress(saving(target_date=None), [Told(300, 1_200, 0, NOON_MS)], D("2026-07-02"))
    assert found is not None
    assert (found.expected_minor, found.needed_per_month_minor, found.status) == (None, None, "saving")
    assert savings_progress(saving(), [], D("2026-07-02")) is None


def test_who_saves_on_the_last_of_each_month_is_never_behind() -> None:
    goal = saving()
    for day in range(365):
        today = date.fromordinal(D("2026-01-01").toordinal() + day)
        saved = 100 * (today.month - 1)
        found = savings_progress(goal, [Told(saved, 1_200, 0, NOON_MS)], today)
        assert found is not None
        assert found.status == "on-track", today


def test_a_short_goal_is_judged_in_a_third_of_its_time() -> None:
    short = saving(starts_on=D("2026-06-01"), target_date=D("2026-07-01"))
    found = [savings_progress(short, [Told(0, 1_200, 0, NOON_MS)], D(f"2026-06-{day}")) for day in (11, 12)]
    assert [one.status for one in found if one is not None] == ["on-track", "behind"]


@pytest.mark.parametrize(
    ("target", "today", "months"),
    [("2026-12-31", "2026-11-24", 1), ("2026-11-30", "2026-11-24", 1), ("2027-11-01", "2026-11-24", 12)],
)
def test_months_left(target: str, today: str, months: int) -> None:
    assert months_left(D(target), D(today)) == months


def test_the_pace_of_a_goal_of_no_time() -> None:
    assert pace(100, D("2026-01-01"), D("2026-01-01"), D("2026-01-02")) == 100


SPENDING = [
    (0, "2026-06-20", (900, 0, 12, "ahead-of-time")),
    (300, "2026-07-01", (600, 33, 12, "running")),
    (900, "2026-07-12", (0, 100, 1, "running")),
    (1_000, "2026-07-13", (-100, 111, 0, "over")),
]


@pytest.mark.parametrize(("spent", "today", "expected"), SPENDING)
def test_spending(spent: int, today: str, expected: tuple[int, int, int, str]) -> None:
    goal = SpendingGoal(**{**BASE, "target_minor": 900}, starts_on=D("2026-07-01"), ends_on=D("2026-07-12"))
    was_told = [Told(spent, 900, 0, NOON_MS, D("2026-07-01"))] if spent else []
    found = spending_progress(goal, was_told, D(today))
    assert (found.left_minor, found.percent, found.days_left, found.status) == expected
    assert found.as_of == (NOON if spent else None)


def test_what_is_remembered() -> None:
    memory: tuple[Told, ...] = ()
    for month, amount in ((9, 1), (11, 2), (10, 3), (11, 4), (12, 5), (8, 6)):
        memory = remembered(memory, told("g", amount, period_start=date(2026, month, 1)))
    assert [(one.period_start, one.amount_minor) for one in memory] == [
        (D("2026-10-01"), 3),
        (D("2026-11-01"), 4),
        (D("2026-12-01"), 5),
    ]
    assert len(memory) == TOLD_MAX
    assert remembered(remembered((), told("g", 1)), told("g", 2)) == (Told(2, 40_000, 0, NOON_MS),)
    assert msgspec.json.decode(msgspec.json.encode(memory), type=tuple[Told, ...]) == memory


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({"name": "m", "target_minor": 1, "marks": (7,), "again_after_refund": True}, True),
        ({"category_ids": ("c",)}, False),
        ({"period": Period.WEEK}, False),
        ({"starts_on": D("2026-09-02")}, False),
        ({"carry_over": True}, False),
    ],
)
def test_what_changes_the_counting(changes: dict[str, Any], alike: bool) -> None:
    assert counts_alike(budget(), msgspec.structs.replace(budget(), **changes)) is alike


def test_a_date_does_not_change_what_was_saved() -> None:
    assert counts_alike(saving(), saving(target_date=None))
    assert not counts_alike(saving(), saving(account_ids=("b",)))


def test_another_end_leaves_what_was_spent() -> None:
    trip = SpendingGoal(**BASE, starts_on=D("2026-01-10"), ends_on=D("2026-02-10"))
    assert counts_alike(trip, msgspec.structs.replace(trip, ends_on=D("2026-03-10"), again_after_refund=True))
    assert not counts_alike(trip, msgspec.structs.replace(trip, starts_on=D("2026-01-01")))
    assert not counts_alike(trip, saving())
