"""However the work is cut up, by crashes and members, what comes out is the same, and is what a simple model says."""

from contextlib import closing
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.bank.topologies.home import BUDGET, EVERYTHING, FOOD, FUEL, HOLIDAY, HOUSE, Home, at

from streambank.bank.events import (
    GOAL_MARKED,
    GOAL_PROGRESS,
    BalanceChanged,
    Budget,
    GoalMarked,
    GoalProgress,
    Period,
)
from streambank.bank.periods import DAY, next_start, start_of
from streambank.bank.topologies import goals
from streambank.bank.topologies.spent import first_day, first_of_months
from streambank.log import RecordBatch, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.streams import StreamRunner, StreamsConfig
from streambank.streams.testing import TopologyTestDriver


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
