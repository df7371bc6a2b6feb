"""The goals topology on a log in memory: what comes in by four topics, and the progress and the marks that come out."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.bank.topologies.samples import EUR, entry

from streambank.bank.events import (
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    GOAL_MARKED,
    GOAL_PROGRESS,
    USER_GOALS,
    USER_PROFILE,
    BalanceChanged,
    Budget,
    CategoryPart,
    Currency,
    EntryCategorised,
    EntryStatus,
    GoalMarked,
    GoalProgress,
    Origin,
    Period,
    SavingsGoal,
    SpendingGoal,
    UserGoals,
    UserProfile,
)
from streambank.bank.events.money import INT64_MAX
from streambank.bank.topologies import goals
from streambank.bank.topologies.goal_keeping import STORES
from streambank.bank.topologies.periods import DAY, next_start, start_of
from streambank.bank.topologies.spent import first_day, first_of_months
from streambank.log import RecordBatch, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig
from streambank.streams.testing import TopologyTestDriver

CZK = Currency("CZK")
FOOD, FUEL = "food", "fuel"
BUDGET = Budget(
    goal_id="budget",
    name="Food",
    currency=EUR,
    target_minor=100,
    starts_on=date(2026, 3, 1),
    period=Period.MONTH,
    category_ids=(FOOD,),
)
EVERYTHING = replace(BUDGET, goal_id="all", category_ids=())
HOLIDAY = SpendingGoal(
    goal_id="holiday",
    name="Holiday",
    currency=EUR,
    target_minor=100,
    starts_on=date(2026, 3, 5),
    ends_on=date(2026, 3, 20),
)
HOUSE = SavingsGoal(
    goal_id="house",
    name="House",
    currency=EUR,
    target_minor=100,
    starts_on=date(2026, 3, 1),
    account_ids=("savings", "deposit"),
)


def at(text: str) -> datetime:
    """A moment of March 2026, UTC: its day and perhaps time, or a full date."""
    full = text if text.count("-") == 2 else f"2026-03-{text}"
    return datetime.fromisoformat(full if "T" in full else f"{full}T12:00").replace(tzinfo=UTC)


class Home:
    """Anna, her accounts and her goals."""

    def __init__(self, folder: Path | None = None, **settings: Any) -> None:
        self.driver = TopologyTestDriver(goals.build(), folder=folder, **settings)
        self.numbers = itertools.count(1)

    def enter(
        self, when: str, signed_minor: int, category: str | None = None, *, now: str | None = None, **fields: Any
    ) -> BalanceChanged:
        """An entry that happened then, and was recorded then or ``now``."""
        account_id = fields.pop("account_id", "giro")
        change = replace(
            entry(next(self.numbers), signed_minor, account_id=account_id),
            occurred_at=at(when),
            recorded_at=at(now or when),
            booking_date=at(when).date(),
            category=category,
            **fields,
        )
        self.driver.pipe(BALANCE_CHANGED, account_id, change)
        return change

    def categorise(self, change: BalanceChanged, *after: tuple[str | None, int]) -> None:
        """Share an entry out anew."""
        number = next(self.numbers)
        event = EntryCategorised(
            user_id=change.user_id,
            occurred_at=change.occurred_at,
            recorded_at=change.recorded_at,
            event_id=f"categorised-{number}",
            entry_id=change.entry_id,
            account_id=change.account_id,
            currency=change.currency,
            booking_date=change.booking_date,
            before=(CategoryPart(category=change.category, signed_minor=change.signed_minor),),
            after=tuple(CategoryPart(category=category, signed_minor=minor) for category, minor in after),
            origin=change.origin,
            kind=change.kind,
        )
        self.driver.pipe(ENTRY_CATEGORISED, change.account_id, event)

    def plan(self, when: str, *plans: Budget | SavingsGoal | SpendingGoal, user_id: str = "anna") -> None:
        event = UserGoals(
            user_id=user_id,
            occurred_at=at(when),
            recorded_at=at(when),
            event_id=f"goals-{next(self.numbers)}",
            budgets=tuple(plan for plan in plans if isinstance(plan, Budget)),
            savings=tuple(plan for plan in plans if isinstance(plan, SavingsGoal)),
            spending=tuple(plan for plan in plans if isinstance(plan, SpendingGoal)),
        )
        self.driver.pipe(USER_GOALS, user_id, event)

    def live_in(self, timezone: str) -> None:
        profile = UserProfile(
            user_id="anna",
            occurred_at=at("01"),
            recorded_at=at("01"),
            event_id="p",
            email="anna@example.org",
            name="Anna",
            timezone=timezone,
        )
        self.driver.pipe(USER_PROFILE, "anna", profile)

    def progress(self) -> dict[str, GoalProgress | None]:
        """How far each goal that has moved since the last look is."""
        return {key: value for key, value, _ in self.driver.read(GOAL_PROGRESS)}

    def amounts(self) -> dict[str, tuple[int, int]]:
        """Of each goal that has moved since the last look, amount and target."""
        moved = self.progress()
        return {key: (value.amount_minor, value.target_minor) for key, value in moved.items() if value is not None}

    def marks(self) -> list[tuple[str, int, str]]:
        """The marks told since the last look."""
        marks = self.driver.read(GOAL_MARKED)
        assert {user_id for user_id, _, _ in marks} <= {"anna"}
        return [(mark.goal_id, mark.mark, mark.entry.entry_id) for _, mark, _ in marks]

    def kept(self) -> dict[str, int]:
        """How many rows each store has."""
        return {spec.name: len(self.driver.store(spec.name)) for spec in STORES}


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
    with closing(Home(on_error="dead-letter").driver) as driver:
        home = Home.__new__(Home)
        home.driver, home.numbers = driver, itertools.count(1)
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


# However the work is cut up, by crashes and into transactions, on the log in memory or in a folder, the outputs are the
# same.


@cache
def events(*, again: bool = True) -> list[tuple[Any, str, Any]]:
    home = Home()
    written: list[tuple[Any, str, Any]] = []
    home.driver.pipe = lambda topic, key, value, *_, **__: written.append((topic, key, value))  # type: ignore[method-assign]
    home.live_in("Europe/Prague")
    home.enter("2026-02-20", -30, FOOD)
    home.plan("01", replace(BUDGET, carry_over=True, again_after_refund=again), EVERYTHING, HOUSE, HOLIDAY)
    for day in range(2, 28):
        home.enter(f"{day:02}", -17, FOOD if day % 3 else FUEL)
        if day % 7 == 0:
            home.enter(f"{day:02}", 60, FOOD, kind="REFUND")
            home.enter(f"{day:02}", 45, account_id="savings", kind="INTERNAL_TRANSFER")
            home.categorise(home.enter(f"{day:02}", -9), (FOOD, -4), (FUEL, -5))
    home.enter("2026-04-02", -90, FOOD)
    home.driver.close()
    return written


def outputs(log: Any) -> tuple[list[Any], list[Any]]:
    """Progress and marks in the log, each partition's in order, without their offsets."""
    found = []
    for topic in (GOAL_PROGRESS, GOAL_MARKED):
        parts = [log.read(TopicPartition(topic.name, n), 0, 10_000) for n in range(topic.partitions)]
        found.append([list(zip(part.keys, part.values, part.timestamps, strict=True)) for part in parts])
    return found[0], found[1]


@cache
def undisturbed() -> tuple[list[Any], list[Any]]:
    with TopologyTestDriver(goals.build()) as driver:
        for topic, key, value in events():
            driver.pipe(topic, key, value)
        return outputs(driver.log)


def test_the_history_does_something() -> None:
    progress, marks = (sum(map(len, parts)) for parts in undisturbed())
    assert progress > 60
    assert marks > 8


@pytest.mark.parametrize("crash", ["crash", "crash_before_commit", "rebalance"])
def test_crashes_repeat_and_lose_nothing(crash: str, tmp_path: Path) -> None:
    with TopologyTestDriver(goals.build(), folder=tmp_path / "log") as driver:
        for topic, key, value in events():
            driver.write(topic, key, value)
            getattr(driver, crash)()
            driver.run()
        assert outputs(driver.log) == undisturbed()


def test_a_replay_repeats_the_same_marks() -> None:
    """However it meets the entries of several topics: what was planned late is then there from the beginning."""
    with closing(EmbeddedLog.open(None)) as log:
        with TopologyTestDriver(goals.build(), log=log) as driver:
            for topic, key, value in events(again=False):
                driver.pipe(topic, key, value)
        first = mark_ids(log)
        with closing(StreamRunner(goals.build(), log, StreamsConfig(application_id="again"))) as runner:
            while runner.step():
                pass
        assert len(first) == len(set(first)) > 6
        assert set(mark_ids(log)) == set(first)
        assert len(mark_ids(log)) > len(first)


def mark_ids(log: EmbeddedLog) -> list[str]:
    parts: list[RecordBatch] = [log.read(TopicPartition(GOAL_MARKED.name, n), 0, 10_000) for n in range(4)]
    marks: list[GoalMarked] = [GOAL_MARKED.value.deserialize(v or b"") for part in parts for v in part.values]
    return [mark.mark_id for mark in marks]


# A model that keeps a list of all that was spent, against the topology, which keeps sums.

STEP = st.tuples(
    st.integers(0, 9),  # days since the step before
    st.integers(-5, 45),  # how late the entry is; below nothing: dated ahead
    st.integers(-60, 60).filter(bool),
    st.sampled_from([None, FOOD, FUEL]),
    st.sampled_from([None, "REFUND", "INTERNAL_TRANSFER"]),
    st.sampled_from(["enter", "enter", "enter", "categorise", "plan", "crash"]),
)
PLANS = st.lists(
    st.tuples(
        st.sampled_from(Period), st.booleans(), st.sampled_from([(), (FOOD,), (FOOD, FUEL)]), st.integers(-40, 20)
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=1, max_size=14), drawn=PLANS)
def test_the_sums_are_those_of_a_list(steps: list[tuple[Any, ...]], drawn: list[tuple[Any, ...]]) -> None:
    home, today = Home(), date(2026, 1, 20)
    spent: list[tuple[date, str | None, int, bool]] = []
    last: BalanceChanged | None = None
    defined, latest = None, dict[str, GoalProgress | None]()
    plans = [
        replace(
            BUDGET,
            goal_id=f"b{n}",
            period=period,
            carry_over=carry,
            category_ids=categories,
            starts_on=today + ahead * DAY,
        )
        for n, (period, carry, categories, ahead) in enumerate(drawn)
    ]
    for days, late, signed, category, kind, what in steps:
        today += timedelta(days=days)
        day = today - late * DAY
        if what == "crash":
            home.driver.crash()
        elif what == "plan":
            home.plan(today.isoformat(), *plans)
            defined = defined or today
        elif what == "categorise" and last is not None:
            other = FUEL if last.category != FUEL else FOOD
            home.categorise(replace(last, recorded_at=at(today.isoformat())), (other, last.signed_minor))
            if last.kind != "INTERNAL_TRANSFER":
                spent += [
                    (last.booking_date, last.category, last.signed_minor, False),
                    (last.booking_date, other, -last.signed_minor, False),
                ]
            last = None
        else:
            last = home.enter(day.isoformat(), signed, category, now=today.isoformat(), kind=kind)
            if kind != "INTERNAL_TRANSFER":
                spent.append((day, category, -signed, signed < 0 or kind == "REFUND"))
        latest |= home.progress()
    home.plan(today.isoformat(), *plans, HOLIDAY)
    latest |= home.progress()
    for plan in plans:
        progress = latest[plan.goal_id]
        assert progress is not None
        assert (progress.amount_minor, progress.carried_minor) == expected(plan, defined or today, today, spent)
    home.driver.close()


def expected(
    plan: Budget, defined: date, today: date, spent: list[tuple[date, str | None, int, bool]]
) -> tuple[int, int]:
    """Amount and what is carried, from the list."""

    def of(first: date, last: date) -> int:
        return sum(
            minor
            for day, category, minor, in_all in spent
            if first <= day <= last and (category in plan.category_ids if plan.category_ids else in_all)
        )

    start, carried = start_of(plan.period, plan.starts_on), 0
    while start < (first_day(defined) if plan.period is Period.WEEK else first_of_months(defined)):
        start = next_start(plan.period, start)
    while (following := next_start(plan.period, start)) <= today:
        carried += plan.target_minor - of(start, following - DAY) if plan.carry_over else 0
        start = following
    return of(start, next_start(plan.period, start) - DAY), carried
