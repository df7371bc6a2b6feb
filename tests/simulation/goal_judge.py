"""Reads what the bank publishes of goals, and holds it against the model."""

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from tests.simulation.goals import Course, Fact, Progress, day_of, period_of
from tests.simulation.model import Books
from tests.simulation.plans import Goal
from tests.simulation.reader import Read, Reader
from tests.simulation.verdict import require

from streambank.bank.events import GOAL_MARKED, GOAL_PROGRESS, USER_GOALS, Budget, GoalProgress, SavingsGoal, UserGoals
from streambank.ids import derived_id

Mark = tuple[str, str, int, str]
"""A goal, its period, the mark, and the entry that led to it."""


class GoalJudge:
    """Follows the goals of a run. ``facts`` are the booked entries so far, by user."""

    def __init__(self, reader: Reader, books: Books, facts: defaultdict[str, list[Fact]]) -> None:
        self._reader = reader
        self._books = books
        self._facts = facts
        self._plans: dict[str, dict[str, UserGoals]] = defaultdict(dict)
        self._last: dict[str, set[Goal]] = {}
        self._courses: dict[str, Course] = {}
        self._due: set[Mark] = set()
        self._told: set[Mark] = set()
        self._causes: dict[str, Fact] = {}
        self._named: Counter[str] = Counter()

    def observe(self) -> None:
        """Read on, and judge what is new. An entry counts once the ledger has published it, which was judged before."""
        for read in self._reader.new(USER_GOALS):
            self._planned(read)
        for read in self._reader.new(GOAL_PROGRESS):
            self._progressed(read)
        for read in self._reader.new(GOAL_MARKED):
            self._marked(read.value)
        missing = self._due - self._told
        require(not missing, f"marks that goals came to, and nobody was told of: {missing}")

    def check_planned(self, user: str) -> None:
        """A user was answered: what they plan is what was published last."""
        wanted, found = set(self._books.plans.goals_of(user)), self._last.get(user, set())
        require(found == wanted, f"{user} plans {wanted}, and {found} are published")

    def _planned(self, read: Read) -> None:
        user, plans = read.key, read.value
        if plans is None:
            require(user in self._books.erased, f"the plans of {user} end, who was not erased")
            self._last[user] = set()
            return
        goals = {goal.goal_id: goal_of(user, goal) for goal in (*plans.budgets, *plans.savings)}
        if self._reader.is_new(read):
            right = self._books.plans.may_be_planned(user, set(goals.values()))
            require(right, f"{user} does not plan that: {goals}")
        self._last[user] = set(goals.values())
        for goal_id in goals:
            self._plans[goal_id][derived_id("goal-progress", goal_id, plans.event_id)] = plans

    def _progressed(self, read: Read) -> None:
        told: GoalProgress | None = read.value
        if told is None:
            self._courses.pop(read.key, None)
            return
        found = Progress(told.amount_minor, told.carried_minor, told.period_start)
        plans = self._plans[told.goal_id].get(told.event_id)
        course = self._courses.get(told.goal_id)
        if plans is not None:
            goal = next(goal_of(plans.user_id, one) for one in _all(plans) if one.goal_id == told.goal_id)
            if course is None:
                course = self._courses[told.goal_id] = Course(goal, plans.recorded_at, found)
                course.begin()
            else:
                course.planned(goal, plans.recorded_at, found)
        else:
            require(course is not None, f"progress of what nobody plans: {told}")
            assert course is not None
            self._moved(course, found, told)
        require(
            told.target_minor == course.goal.target + found.carried, f"{told} has another target than {course.goal}"
        )

    def _moved(self, course: Course, found: Progress, told: GoalProgress) -> None:
        fact = self._cause(course.goal, told)
        before, zone = course.progress, self._books.zones[fact.user]
        if before.start is not None:
            present, _ = period_of(course.goal, day_of(fact.recorded_at, zone))
            require(found.start == max(before.start, present), f"{told} is not of the period that {fact} came in")
        expected, mark = course.moved(fact, found.start, zone)
        require(found == expected, f"{told} is not {expected}, which {fact} makes of {before} in {course.goal}")
        if mark is not None:
            self._due.add((told.goal_id, f"{found.start}", mark, fact.entry_id))

    def _cause(self, goal: Goal, told: GoalProgress) -> Fact:
        """The entry that progress follows from: each has an id of its own with each goal."""
        facts = self._facts[goal.user]
        for fact in facts[self._named[goal.goal_id] :]:
            self._causes[derived_id("goal-progress", goal.goal_id, fact.entry_id)] = fact
        self._named[goal.goal_id] = len(facts)
        require(told.event_id in self._causes, f"progress that follows from nothing: {told}")
        return self._causes[told.event_id]

    def _marked(self, told: Any) -> None:
        what = (told.goal_id, f"{told.period_start}", told.mark, told.entry.entry_id)
        require(what in self._due, f"a mark that no goal came to: {told}")
        require(what not in self._told, f"a mark is told twice: {told}")
        self._told.add(what)

    # When all is quiet.

    def conclude(self) -> dict[str, Progress]:
        """Each goal that somebody has is where its sums are; by its id."""
        mine = {goal_id: goal for goal_id, goal in self._books.plans.goals.items() if not self._is_gone(goal)}
        for goal_id, goal in mine.items():
            self.check_planned(goal.user)
            course = self._courses.get(goal_id)
            require(course is not None, f"nothing is told of {goal}")
            assert course is not None
            require(course.goal == goal, f"{goal} was told of as {course.goal}")
            zone = self._books.zones[goal.user]
            facts = self._facts[goal.user]
            expected = course.sums(facts, zone)
            require(course.progress == expected, f"{goal} ends at {course.progress}, not at {expected}")
            if course.progress.start is not None and facts:
                latest = max(fact.recorded_at for fact in facts)
                first, _ = period_of(goal, day_of(latest, zone))
                require(course.progress.start >= first, f"{goal} stays at {course.progress} while it is {latest}")
        others = [c.goal for c in self._courses.values() if c.goal.goal_id not in mine and not self._is_gone(c.goal)]
        require(not others, f"goals that nobody has: {others}")
        return {goal_id: self._courses[goal_id].progress for goal_id in mine}

    def _is_gone(self, goal: Goal) -> bool:
        return goal.user in self._books.erased


def _all(plans: UserGoals) -> tuple[Budget | SavingsGoal, ...]:
    return *plans.budgets, *plans.savings


def goal_of(user: str, goal: Budget | SavingsGoal) -> Goal:
    """The goal as it was published."""
    common = Goal(
        goal_id=goal.goal_id,
        user=user,
        currency=goal.currency.value,
        target=goal.target_minor,
        marks=goal.marks,
        again=goal.again_after_refund,
    )
    if isinstance(goal, SavingsGoal):
        return replace(common, accounts=tuple(sorted(goal.account_ids)))
    return replace(
        common,
        period=goal.period.value,
        carry_over=goal.carry_over,
        categories=tuple(sorted(goal.category_ids)),
    )
