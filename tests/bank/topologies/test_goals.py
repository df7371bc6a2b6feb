"""The goals topology on a log in memory: what comes in by four topics, and the progress and the marks that come out."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace
from tests.bank.topologies.home import BUDGET, CZK, EVERYTHING, FOOD, FUEL, HOLIDAY, HOUSE, Home
from tests.bank.topologies.samples import EUR

from streambank.bank.events import (
    GOAL_MARKED,
    GOAL_PROGRESS,
    USER_GOALS,
    USER_PROFILE,
    EntryStatus,
    Origin,
)
from streambank.bank.events.money import INT64_MAX


@pytest.fixture
def home() -> Iterator[Home]:
    home = Home()
    yield home
    home.driver.close()


def test_a_budget_is_followed_and_its_marks_are_told(home: Home) -> None:
    home.plan("01", BUDGET)
    assert home.amounts() == {"budget": (0, 100)}
    home.enter("02", -45, FOOD)
    home.driver.crash()
    crossing = home.enter("03", -40, FOOD, counterparty="sealed:1:x", remittance="sealed:1:y", kind="CARD_PAYMENT")
    home.enter("04", -200, FUEL)
    home.driver.crash()
    home.enter("05", -5, FOOD)
    ((user_id, mark, _),) = home.driver.read(GOAL_MARKED)
    assert (user_id, mark.goal_id, mark.name, mark.mark) == ("anna", "budget", "Food", 80)
    assert (mark.amount_minor, mark.target_minor, mark.currency) == (85, 100, EUR)
    assert (mark.period_start, mark.period_end) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (mark.entry.entry_id, mark.entry.counterparty) == (crossing.entry_id, "sealed:1:x")
    assert (mark.occurred_at, mark.recorded_at) == (crossing.occurred_at, crossing.recorded_at)
    assert [value.amount_minor for _, value, _ in home.driver.read(GOAL_PROGRESS) if value] == [45, 85, 90]


def test_what_is_spent_in_all(home: Home) -> None:
    home.plan("01", EVERYTHING)
    for signed, category, kind in (
        (-10, FOOD, "CARD_PAYMENT"),
        (-20, None, None),
        (500, None, "SALARY"),
        (5, FOOD, "REFUND"),
        (-300, None, "INTERNAL_TRANSFER"),
        (900, None, "OPENING"),
        (-1, None, "ADJUSTMENT"),
    ):
        home.enter("02", signed, category, kind=kind)
    assert home.amounts() == {"all": (25, 100)}


def test_an_entry_that_is_taken_back_counts_no_more(home: Home) -> None:
    home.plan("01", BUDGET, EVERYTHING)
    spent = home.enter("02", -85, FOOD)
    home.enter("03", 85, FOOD, reverses_entry_id=spent.entry_id)
    assert home.amounts() == {"budget": (0, 100), "all": (0, 100)}
    assert home.marks() == [("budget", 80, spent.entry_id), ("all", 80, spent.entry_id)]
    home.enter("04", -85, FOOD)
    assert home.marks() == []


def test_a_goal_knows_what_was_before_it_and_tells_nothing_of_it(home: Home) -> None:
    home.enter("2026-02-27", -7, FOOD)
    home.enter("01", -50, FOOD)
    home.enter("06", -35, FOOD)
    home.enter("02", 60, account_id="savings", kind="INTERNAL_TRANSFER")
    home.enter("02", -60, kind="INTERNAL_TRANSFER")
    home.driver.crash()
    home.plan("07", BUDGET, EVERYTHING, HOLIDAY, HOUSE)
    assert home.amounts() == {"budget": (85, 100), "all": (85, 100), "holiday": (35, 100), "house": (60, 100)}
    assert home.marks() == []
    crossing = home.enter("08", -15, FOOD)
    assert home.marks() == [
        ("budget", 100, crossing.entry_id),
        ("all", 100, crossing.entry_id),
        ("holiday", 50, crossing.entry_id),
    ]


def test_entries_of_before_that_arrive_after_a_goal_are_not_told(home: Home) -> None:
    home.plan("05", BUDGET, HOUSE)
    home.enter("04", -60, FOOD)
    home.enter("04", 60, account_id="savings")
    assert home.amounts() == {"budget": (60, 100), "house": (60, 100)}
    assert home.marks() == []
    home.enter("04", -25, FOOD, now="06")
    assert [(goal, mark) for goal, mark, _ in home.marks()] == [("budget", 80)]


def test_what_is_named_twice_counts_once(home: Home) -> None:
    home.plan(
        "01", replace(BUDGET, category_ids=(FOOD, FUEL, FOOD)), replace(HOUSE, account_ids=("savings", "savings"))
    )
    home.enter("02", -10, FOOD)
    home.enter("02", 20, account_id="savings")
    assert home.amounts() == {"budget": (10, 100), "house": (20, 100)}


def test_savings_are_what_the_accounts_hold(home: Home) -> None:
    home.plan("01", HOUSE)
    home.enter("02", 30, account_id="savings")
    half = home.enter("03", 25, account_id="deposit", kind="OPENING")
    home.enter("04", 500)
    home.enter("05", -10, account_id="savings")
    assert home.amounts() == {"house": (45, 100)}
    assert home.marks() == [("house", 50, half.entry_id)]
    home.enter("06", 90, account_id="savings", currency=EUR, status=EntryStatus.PENDING)
    assert home.amounts() == {}


def test_an_account_of_another_currency_is_not_added_up(home: Home) -> None:
    home.enter("02", 90, account_id="deposit", currency=CZK)
    home.enter("02", 20, account_id="savings")
    home.plan("03", HOUSE)
    assert home.amounts() == {"house": (20, 100)}


def test_currencies_are_apart(home: Home) -> None:
    czech = replace(BUDGET, goal_id="czech", currency=CZK)
    home.plan("01", BUDGET, czech)
    home.progress()
    home.enter("02", -60, FOOD)
    assert home.amounts() == {"budget": (60, 100)}
    home.enter("02", -70, FOOD, currency=CZK)
    assert home.amounts() == {"czech": (70, 100)}
    assert [goal for goal, _, _ in home.marks()] == ["budget", "czech"]


def test_history_moves_goals_and_is_not_told(home: Home) -> None:
    home.plan("01", BUDGET, HOUSE)
    home.enter("02", -60, FOOD, origin=Origin.IMPORT)
    home.enter("02", 60, account_id="savings", origin=Origin.IMPORT)
    home.categorise(home.enter("03", -25, origin=Origin.IMPORT), (FOOD, -25))
    assert home.amounts() == {"budget": (85, 100), "house": (60, 100)}
    assert home.marks() == []
    live = home.enter("04", -15, FOOD)
    assert home.marks() == [("budget", 100, live.entry_id)]


def test_other_categories(home: Home) -> None:
    home.plan("01", BUDGET, replace(BUDGET, goal_id="fuel", category_ids=(FUEL,)), EVERYTHING)
    spent = home.enter("02", -90, FOOD)
    home.progress()
    home.marks()
    home.categorise(spent, (FOOD, -30), (FUEL, -55), (None, -5))
    assert home.amounts() == {"budget": (30, 100), "fuel": (55, 100)}
    assert home.marks() == [("fuel", 50, spent.entry_id)]
    moved = home.enter("03", -70, FOOD, kind="INTERNAL_TRANSFER")
    home.categorise(moved, (FUEL, -70))
    assert home.amounts() == {}


def test_a_new_month_starts_again_for_all_goals_at_once(home: Home) -> None:
    home.plan("01", replace(BUDGET, carry_over=True), EVERYTHING, HOLIDAY)
    home.enter("30", -60, FOOD)
    home.progress()
    home.marks()
    home.enter("2026-04-01", -1, FUEL)
    moved = home.progress()
    assert {key: (p.amount_minor, p.target_minor, p.carried_minor) for key, p in moved.items() if p} == {
        "budget": (0, 140, 40),
        "all": (1, 100, 0),
    }
    assert {p.period_start for p in moved.values() if p} == {date(2026, 4, 1)}
    again = home.enter("2026-04-02", -70, FOOD)
    assert home.marks() == [("budget", 50, again.entry_id), ("all", 50, again.entry_id)]


def test_late_entries_of_a_period_that_is_over_tell_nothing(home: Home) -> None:
    home.plan("01", replace(BUDGET, carry_over=True))
    home.enter("2026-04-01", -90, FOOD)
    assert home.amounts() == {"budget": (90, 200)}
    home.enter("31", -95, FOOD, now="2026-04-02")
    assert home.amounts() == {"budget": (90, 105)}
    assert home.marks() == []


# New York is four hours behind, so that 02:00 on 1 April is 22:00 on 31 March there.
#
#   UTC           1 April 02:00    04:00     05:00 (moved to Prague, then back)
#   New York     31 March          1 April
def test_months_are_those_of_the_users_time_zone(home: Home) -> None:
    home.live_in("America/New_York")
    home.plan("01", BUDGET)
    home.enter("2026-04-01T02:00", -60, FOOD)
    assert home.amounts() == {"budget": (60, 100)}
    home.enter("2026-04-01T04:00", -70, FOOD)
    assert home.amounts() == {"budget": (70, 100)}
    assert [mark for _, mark, _ in home.marks()] == [50, 50]


def test_a_move_to_another_time_zone_tells_no_mark_again(home: Home) -> None:
    home.live_in("Pacific/Auckland")
    home.plan("01", BUDGET)
    home.enter("31T12:00", -60, FOOD)
    assert home.marks() != []
    home.live_in("America/New_York")
    home.driver.crash()
    # In Auckland it was April already; here it is March again, which is over.
    home.enter("31T13:00", -60, FOOD)
    home.enter("2026-04-01T12:00", -10, FOOD)
    assert home.amounts() == {"budget": (70, 100)}
    assert home.marks() == []


def test_a_goal_that_is_removed_ends_and_may_come_again(home: Home) -> None:
    home.plan("01", BUDGET, HOUSE)
    told = home.enter("02", -60, FOOD)
    assert home.marks() == [("budget", 50, told.entry_id)]
    home.plan("03", HOUSE)
    assert home.progress()["budget"] is None
    home.enter("04", -10, FOOD)
    assert home.progress() == {}
    home.plan("05", BUDGET, HOUSE)
    assert home.amounts() == {"budget": (70, 100)}
    assert home.marks() == []
    home.enter("06", -10, FOOD)
    assert [mark for _, mark, _ in home.marks()] == [80]


def test_what_stays_as_it_is_planned_is_not_published_again(home: Home) -> None:
    home.plan("01", BUDGET, HOUSE)
    home.progress()
    home.plan("02", BUDGET, HOUSE, HOLIDAY)
    assert home.progress().keys() == {"holiday"}
    home.plan("03", replace(BUDGET, target_minor=50), HOUSE, HOLIDAY)
    assert home.amounts() == {"budget": (0, 50)}


@pytest.mark.parametrize("topic", [USER_PROFILE, USER_GOALS])
def test_nothing_is_kept_of_who_was_erased(home: Home, topic: Any) -> None:
    home.live_in("Europe/Prague")
    home.plan("01", BUDGET, HOUSE)
    home.enter("02", -60, FOOD)
    home.enter("03", -60, FUEL, currency=CZK)
    home.progress()
    assert home.kept()["goal-spent"] == 4
    home.driver.pipe(topic, "anna", None)
    assert home.progress() == {"budget": None, "house": None}
    home.driver.crash()
    # What is late of them is left alone, and so is what comes after it.
    home.marks()
    home.enter("04", -60, FOOD)
    home.plan("05", BUDGET)
    home.driver.pipe(USER_PROFILE, "anna", None)
    home.driver.pipe(USER_GOALS, "anna", None)
    assert home.kept() == {"goal-people": 1, "goal-standings": 0, "goal-spent": 0, "goal-categories": 0}
    assert (home.progress(), home.marks()) == ({}, [])
    ((_, person),) = home.driver.store("goal-people").items()
    assert (person.erased, person.plans, person.timezone) == (True, None, "UTC")


def test_users_have_nothing_to_do_with_each_other(home: Home) -> None:
    home.plan("01", BUDGET)
    home.plan("01", replace(BUDGET, goal_id="bobs"), user_id="bob")
    home.progress()
    home.enter("02", -60, FOOD, user_id="bob", account_id="bobs")
    assert home.amounts() == {"bobs": (60, 100)}
    ((user_id, mark, _),) = home.driver.read(GOAL_MARKED)
    assert (user_id, mark.user_id) == ("bob", "bob")


def test_a_sum_beyond_64_bits_is_a_dead_letter_and_the_rest_goes_on() -> None:
    home = Home(on_error="dead-letter")
    with closing(home.driver) as driver:
        home.plan("01", BUDGET)
        home.enter("02", -INT64_MAX, FOOD)
        home.enter("03", -1, FOOD, account_id="other")
        home.enter("04", 2, FOOD, account_id="other")
        assert home.amounts() == {"budget": (INT64_MAX - 2, 100)}
        assert len(driver.dead_letters) == 1


@pytest.mark.parametrize(
    ("again", "target", "ids"), [(False, 100, 1), (True, 100, 2), (False, 120, 1)], ids=["once", "again", "changed"]
)
def test_ids_of_marks(home: Home, again: bool, target: int, ids: int) -> None:
    """Told anew since the goal was removed between, a mark is the same; told again after a refund it is another."""
    found = set()
    plan = replace(BUDGET, again_after_refund=again, target_minor=target)
    home.plan("01", plan)
    for day in ("02", "04"):
        home.enter(day, -60, FOOD)
        found |= {mark.mark_id for _, mark, _ in home.driver.read(GOAL_MARKED)}
        home.enter(day, 60, FOOD)
        if not again:
            home.plan(day)
            home.plan(day, plan)
    assert len(found) == ids
