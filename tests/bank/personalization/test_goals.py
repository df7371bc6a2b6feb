"""Budgets, savings goals and spending goals: what is published, what comes back, and whose they are."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.bank.personalization.support import BODIES, EUR, Bench, account, caller, profile, refusal, told, write
from tests.bank.transactions.support import opened

from streambank.bank.events import (
    ACCOUNT,
    GOAL_PROGRESS,
    USER_GOALS,
    USER_PROFILE,
    Budget,
    GoalKind,
    Period,
    SavingsGoal,
    SpendingGoal,
    UserGoals,
)
from streambank.bank.events.personal import is_sealed
from streambank.bank.personalization.schemas import CATEGORIES_MAX, GOAL_ACCOUNTS_MAX
from streambank.bank.reading import latest
from streambank.clock import to_millis

D = date.fromisoformat
KINDS = list(BODIES)


def published(bench: Bench) -> UserGoals:
    """The last record."""
    bench.settle()
    return latest(bench.log, USER_GOALS)["ada"]


def test_all_of_a_users_goals_are_published_together_and_sealed(bench: Bench) -> None:
    budget = bench.goal(
        "budgets", category_ids=["c1", "c2"], carry_over=True, marks=[10, 110], again_after_refund=True, period="week"
    )
    saving = bench.goal("savings")
    spending = bench.goal("spending", category_ids=["c3"])
    event = published(bench)
    common = {"name": event.budgets[0].name, "currency": EUR, "target_minor": 40_000}
    assert event.budgets == (
        Budget(
            **common,
            goal_id=budget.id,
            starts_on=D("2026-11-23"),
            period=Period.WEEK,
            category_ids=("c1", "c2"),
            carry_over=True,
            marks=(10, 110),
            again_after_refund=True,
        ),
    )
    [saved], [spent] = event.savings, event.spending
    assert isinstance(saved, SavingsGoal)
    assert (saved.goal_id, saved.account_ids, saved.target_date) == (saving.id, ("everyday",), D("2027-05-24"))
    assert isinstance(spent, SpendingGoal)
    assert (spent.goal_id, spent.starts_on, spent.ends_on) == (spending.id, D("2026-11-24"), D("2026-12-05"))
    names = [goal.name for goal in (*event.budgets, *event.savings, *event.spending)]
    assert all(is_sealed(name) for name in names)
    assert [opened("ada", name) for name in names] == ["Food", "Bike", "Rome"]


@pytest.mark.parametrize("which", KINDS)
def test_a_goal_is_changed_and_given_up(bench: Bench, which: str) -> None:
    kind = BODIES[which][0]
    made = bench.goal(which)
    assert (made.version, made.name) == (1, BODIES[which][2]["name"])
    assert bench.goal_now(which, made.id) == made
    changed = bench.change_goal(which, made.id, 1, name="Other", target_minor=7)
    assert (changed.id, changed.version, changed.name, changed.target_minor) == (made.id, 2, "Other", 7)
    assert changed.starts_on == made.starts_on
    assert refusal(lambda: bench.change_goal(which, made.id, 1))[:2] == (412, "version-mismatch")
    assert bench.goals(which) == [changed]
    for work in (
        lambda: bench.goal_now(which, made.id, "bob"),
        lambda: bench.do(lambda c: bench.service.remove_goal(c, caller("bob"), kind, made.id, None)),
        lambda: bench.do(lambda c: bench.service.remove_goal(c, caller(), kind, "nowhere", None)),
    ):
        assert refusal(work) == (404, "not-found", [])
    assert bench.goals(which, "bob") == []
    bench.do(lambda c: bench.service.remove_goal(c, caller(), kind, made.id, 2))
    event = published(bench)
    assert (event.budgets, event.savings, event.spending) == ((), (), ())
    assert len(bench.published(USER_GOALS)) == 3


def test_a_goal_is_of_its_kind(bench: Bench) -> None:
    made = bench.goal("budgets")
    assert refusal(lambda: bench.goal_now("savings", made.id))[0] == 404


REFUSED: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("budgets", {"currency": "ZZZ"}, "invalid-field", ["/currency"]),
    ("budgets", {"currency": "XAU"}, "invalid-field", ["/currency"]),
    ("budgets", {"marks": [50, 50]}, "invalid-field", ["/marks/1"]),
    ("budgets", {"marks": [50, 80, 20]}, "invalid-field", ["/marks/2"]),
    ("budgets", {"starts_on": "1066-10-14"}, "invalid-field", ["/starts_on"]),
    ("budgets", {"category_ids": ["a", "b", "a"]}, "invalid-field", ["/category_ids/2"]),
    ("savings", {"account_ids": ["everyday", "cleos"]}, "unknown-account", ["/account_ids/1"]),
    ("savings", {"account_ids": ["everyday", "everyday"]}, "invalid-field", ["/account_ids/1"]),
    ("savings", {"account_ids": ["dollars"]}, "currency-mismatch", ["/account_ids/0"]),
    ("savings", {"target_date": "2026-11-24"}, "invalid-field", ["/target_date"]),
    ("savings", {"target_date": "2300-01-01"}, "invalid-field", ["/target_date"]),
    ("spending", {"ends_on": "2026-11-23"}, "invalid-field", ["/ends_on"]),
    ("spending", {"ends_on": "2300-01-01"}, "invalid-field", ["/ends_on"]),
    ("spending", {"category_ids": ["a", "a"]}, "invalid-field", ["/category_ids/1"]),
]


@pytest.mark.parametrize(("which", "body", "slug", "fields"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_planned(bench: Bench, which: str, body: dict[str, Any], slug: str, fields: list[str]) -> None:
    assert refusal(lambda: bench.goal(which, **body)) == (422, slug, fields)
    assert bench.goals(which) == []
    made = bench.goal(which)
    assert refusal(lambda: bench.change_goal(which, made.id, **body)) == (422, slug, fields)


def test_who_shares_an_account_does_not_save_on_it(bench: Bench) -> None:
    assert refusal(lambda: bench.goal("savings", "bob")) == (422, "unknown-account", ["/account_ids/0"])


@pytest.mark.parametrize("which", KINDS)
def test_there_are_only_so_many(bench: Bench, which: str) -> None:
    made = [bench.goal(which) for _ in range(BODIES[which][0].goals_max)]
    assert refusal(lambda: bench.goal(which))[:2] == (409, "too-many-goals")
    assert [one.id for one in bench.goals(which)] == [one.id for one in made]


def test_progress_comes_back_from_the_log(bench: Bench) -> None:
    budget, saving, spending = (bench.goal(which) for which in KINDS)
    assert (budget.progress.amount_minor, budget.progress.as_of, saving.progress) == (0, None, None)
    november = {"period_start": D("2026-11-01"), "period_end": D("2026-11-30")}
    bench.hear(GOAL_PROGRESS, budget.id, told(budget.id, 32_000, **november))
    bench.hear(GOAL_PROGRESS, saving.id, told(saving.id, 60_000, kind=GoalKind.SAVINGS))
    bench.hear(GOAL_PROGRESS, spending.id, told(spending.id, 9_000, kind=GoalKind.SPENDING))
    bench.hear(GOAL_PROGRESS, "unheard-of", told("unheard-of", 1))
    bench.hear(GOAL_PROGRESS, "a\x00b", told("a\x00b", 1))
    found = bench.goal_now("budgets", budget.id).progress
    assert (found.amount_minor, found.percent, found.left_minor) == (32_000, 80, 8_000)
    assert (found.period_start, found.period_end) == (D("2026-11-01"), D("2026-11-30"))
    found = bench.goal_now("savings", saving.id).progress
    assert (found.amount_minor, found.percent, found.needed_per_month_minor, found.status) == (
        60_000,
        50,
        10_000,
        "ahead",
    )
    found = bench.goal_now("spending", spending.id).progress
    assert (found.amount_minor, found.percent, found.days_left, found.status) == (9_000, 10, 12, "running")
    # It has no version of its own.
    assert bench.goal_now("budgets", budget.id).version == 1


def test_a_change_of_what_is_counted_has_to_be_told_anew(bench: Bench) -> None:
    made = bench.goal("budgets")
    bench.hear(GOAL_PROGRESS, made.id, told(made.id, 100, period_start=D("2026-11-01")))
    assert bench.change_goal("budgets", made.id, target_minor=50_000).progress.amount_minor == 100
    assert bench.change_goal("budgets", made.id, category_ids=["c"]).progress.amount_minor == 0
    bench.hear(GOAL_PROGRESS, made.id, told(made.id, 40, period_start=D("2026-11-01")))
    assert bench.goal_now("budgets", made.id).progress.amount_minor == 40
    bench.hear(GOAL_PROGRESS, made.id, None)
    assert bench.goal_now("budgets", made.id).progress.amount_minor == 0


def test_a_month_ends_when_it_does_where_the_user_is(bench: Bench) -> None:
    """23:30 UTC on the last of November is December in Prague, and November where the time zone is not known."""
    ada, cleo = bench.goal("budgets"), bench.goal("budgets", "cleo")
    bench.clock.now_ms = to_millis(datetime(2026, 11, 30, 23, 30, tzinfo=UTC))
    assert bench.goal_now("budgets", ada.id).progress.period_start == D("2026-12-01")
    assert bench.goal_now("budgets", cleo.id, "cleo").progress.period_start == D("2026-11-01")
    bench.hear(USER_PROFILE, "ada", profile("ada", "America/New_York"))
    assert bench.goal_now("budgets", ada.id).progress.period_start == D("2026-11-01")
    assert bench.goal("budgets").starts_on == D("2026-11-01")


def test_an_account_of_a_goal_stays_in_it_when_it_is_closed(bench: Bench) -> None:
    made = bench.goal("savings")
    bench.hear(ACCOUNT, "everyday", account("everyday", closed_at=bench.published(ACCOUNT)[0].occurred_at))  # type: ignore[union-attr]
    assert bench.goal_now("savings", made.id).account_ids == ["everyday"]


def test_the_record_of_a_user_with_everything_fits_into_the_log(bench: Bench) -> None:
    """The longest names, the most categories and accounts, of as many goals as there may be."""
    long, many = "n" * 100, [f"{n:036d}" for n in range(CATEGORIES_MAX)]
    for account_id in many[:GOAL_ACCOUNTS_MAX]:
        write(bench.log, ACCOUNT, account_id, account(account_id))
    bench.settle()
    for _ in range(50):
        bench.goal("budgets", name=long, category_ids=many)
        bench.goal("spending", name=long, category_ids=many)
        bench.goal("savings", name=long, account_ids=many[:GOAL_ACCOUNTS_MAX])
    event = published(bench)
    assert (len(event.budgets), len(event.savings), len(event.spending)) == (50, 50, 50)
    assert len(USER_GOALS.value.serialize(event)) < 1_000_000
