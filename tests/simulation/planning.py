"""What people want to be told of, and what they plan: set, changed and taken away, one thing at a time.

Who is answered may count on it from then on: what the service answers is in the log by then.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.bank import Answered
from tests.simulation.crossings import Level
from tests.simulation.judge import Judge
from tests.simulation.model import AccountModel, Books
from tests.simulation.plans import NEW, Goal, Plans, Threshold
from tests.simulation.processes import Personalization

from streambank.bank.events import Direction, Period
from streambank.bank.personalization.goals import BUDGETS, SAVINGS, Kind
from streambank.bank.personalization.schemas import BudgetBody, SavingsGoalBody, ThresholdBody

if TYPE_CHECKING:
    from tests.simulation.people import Person

THRESHOLDS_MAX = 8
GOALS_MAX = 4
"""Of a person."""

UNKNOWN = "unknown-account"
"""What somebody is answered who is faster than the news of an account that they opened a moment ago."""


class Planner:
    """That side of a person. Raises WrongAnswerError for an answer that cannot be."""

    def __init__(self, person: "Person", books: Books, judge: Judge, random: Random) -> None:
        self._person = person
        self._judge = judge
        self._books = books
        self._plans: Plans = books.plans
        self._random = random

    def act(self, account: AccountModel) -> None:
        """Begin to set, change or take away a threshold or a goal."""
        if self._random.random() < 0.6:
            self._set_something(account)
        else:
            self._plan_something(account)

    # Thresholds

    def _set_something(self, account: AccountModel) -> None:
        mine = self._plans.thresholds_of(account.user)
        choice = self._random.random()
        if mine and (choice < 0.3 or len(mine) >= THRESHOLDS_MAX):
            known = self._random.choice(mine)
            if self._random.random() < 0.5:
                self._remove_threshold(known)
            else:
                self._change_threshold(known)
        else:
            self._set_threshold(account)

    def _set_threshold(self, account: AccountModel) -> None:
        of_total = self._random.random() < 0.3
        scope_id = f"{account.user}:{account.currency}" if of_total else account.account_id
        present = self._books.total(account.user, account.currency) if of_total else account.booked
        wanted = Threshold(account.user, scope_id, self._level(NEW, present))
        body = _threshold_body(wanted)

        def settle(answer: Answered) -> None:
            level = replace(wanted.level, threshold_id=answer.body["id"])
            self._plans.thresholds[level.threshold_id] = replace(wanted, level=level)

        self._set((None, wanted), lambda s, c: s.create_threshold(c, self._person.caller(), body), settle)

    def _change_threshold(self, known: Threshold) -> None:
        level = self._level(known.level.threshold_id, known.level.level)
        wanted = replace(known, level=level, version=known.version + 1)
        body = _threshold_body(wanted)

        def settle(_answer: Answered) -> None:
            self._plans.thresholds[level.threshold_id] = wanted

        def work(service: Any, connection: Any) -> Any:
            caller = self._person.caller()
            return service.replace_threshold(connection, caller, level.threshold_id, body, known.version)

        self._set((known, wanted), work, settle)

    def _remove_threshold(self, known: Threshold) -> None:
        threshold_id = known.level.threshold_id

        def settle(_answer: Answered) -> None:
            del self._plans.thresholds[threshold_id]

        def work(service: Any, connection: Any) -> Any:
            return service.remove_threshold(connection, self._person.caller(), threshold_id, known.version)

        self._set((known, None), work, settle)

    def _set(
        self, change: tuple[Threshold | None, Threshold | None], work: Any, settle: Callable[[Answered], None]
    ) -> None:
        user = self._person.user_id
        self._plans.setting[user] = change

        def settled(answer: Answered) -> None:
            self._person.expect(answer, f"{change}", {UNKNOWN} if change[0] is None else set())
            self._judge.observe()
            del self._plans.setting[user]
            if answer.problem is None:
                settle(answer)
            for scope_id in {one.scope_id for one in change if one is not None}:
                self._judge.check_set(user, scope_id)

        self._person.begin("sets thresholds", f"{change}", work, settled, Personalization)

    def _level(self, threshold_id: str, near: int) -> Level:
        level = near + self._random.randrange(-20_00, 20_00)
        return Level(threshold_id, self._random.random() < 0.7, level, self._random.choice((0, 0, 0, 50_00)))

    # Goals

    def _plan_something(self, account: AccountModel) -> None:
        mine = self._plans.goals_of(account.user)
        choice = self._random.random()
        if mine and (choice < 0.3 or len(mine) >= GOALS_MAX):
            known = self._random.choice(mine)
            if self._random.random() < 0.5:
                self._plan(known, None)
            else:
                self._plan(known, replace(known, target=self._random.randrange(1, 2_000_00), again=not known.again))
        else:
            self._plan(None, self._goal(account))

    def _goal(self, account: AccountModel) -> Goal:
        common = Goal(
            goal_id=NEW,
            user=account.user,
            currency=account.currency,
            target=self._random.randrange(1, 3_000_00),
            marks=self._random.choice(((50, 80, 100), (100,), (1, 10, 50, 80, 100, 200))),
            again=self._random.random() < 0.3,
        )
        if self._random.random() < 0.4:
            others = [a.account_id for a in self._books.of(account.user) if a.currency == account.currency]
            return replace(common, accounts=self._some(others, 1))
        categories = self._books.categories.get(account.user, [])
        return replace(
            common,
            period=self._random.choice(("week", "week", "month")),
            carry_over=self._random.random() < 0.5,
            categories=self._some(categories, 0),
        )

    def _some(self, ids: list[str], least: int) -> tuple[str, ...]:
        return tuple(sorted(self._random.sample(ids, self._random.randint(least, len(ids)))))

    def _plan(self, known: Goal | None, wanted: Goal | None) -> None:
        user = self._person.user_id
        self._plans.planning[user] = known, wanted
        goal = known or wanted
        assert goal is not None
        kind = SAVINGS if goal.accounts else BUDGETS

        def settle(answer: Answered) -> None:
            self._person.expect(answer, f"{known} to {wanted}", {UNKNOWN} if known is None else set())
            self._judge.observe()
            del self._plans.planning[user]
            if answer.problem is None:
                if wanted is None:
                    del self._plans.goals[goal.goal_id]
                else:
                    goal_id = wanted.goal_id or answer.body["id"]
                    self._plans.goals[goal_id] = replace(wanted, goal_id=goal_id)
            self._judge.goals.check_planned(user)

        def work(service: Any, connection: Any) -> Any:
            caller = self._person.caller()
            if wanted is None:
                return service.remove_goal(connection, caller, kind, goal.goal_id, None)
            if known is None:
                return service.create_goal(connection, caller, kind, _goal_body(kind, wanted))
            return service.replace_goal(connection, caller, kind, known.goal_id, _goal_body(kind, wanted), None)

        self._person.begin("plans", f"{known} to {wanted}", work, settle, Personalization)


def _threshold_body(wanted: Threshold) -> ThresholdBody:
    level = wanted.level
    is_total = ":" in wanted.scope_id
    return ThresholdBody(
        account_id=None if is_total else wanted.scope_id,
        currency=wanted.scope_id.rpartition(":")[2] if is_total else None,
        direction=Direction.BELOW if level.below else Direction.ABOVE,
        level_minor=level.level,
        rearm_margin_minor=level.margin,
    )


def _goal_body(kind: Kind, goal: Goal) -> BudgetBody | SavingsGoalBody:
    common: dict[str, Any] = {
        "name": "Something nice",
        "currency": goal.currency,
        "target_minor": goal.target,
        "marks": list(goal.marks),
        "again_after_refund": goal.again,
    }
    if kind is SAVINGS:
        return SavingsGoalBody(**common, account_ids=list(goal.accounts))
    return BudgetBody(
        **common,
        period=Period(goal.period),
        category_ids=list(goal.categories),
        carry_over=goal.carry_over,
    )
