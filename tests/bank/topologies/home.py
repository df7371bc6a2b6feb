"""A user with goals, to test the topology with."""

import itertools
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

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
    GoalProgress,
    Period,
    SavingsGoal,
    SpendingGoal,
    UserGoals,
    UserProfile,
)
from streambank.bank.topologies import goals
from streambank.bank.topologies.goal_keeping import STORES
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
