"""The model of what people set and plan: what was answered, and the change whose answer has not come."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.simulation.crossings import Level

NEW = ""
"""Stands for the id of what nobody has been told the id of."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold as its user knows it."""

    user: str
    scope_id: str
    level: Level
    version: int = 1


@dataclass(frozen=True, slots=True)
class Goal:
    """A budget, by week or by month; or a savings goal, on accounts. Amounts are minor units, marks percents.

    ``categories`` and ``accounts`` are sorted.
    """

    goal_id: str
    user: str
    currency: str
    target: int
    marks: tuple[int, ...]
    again: bool
    period: str | None = None
    carry_over: bool = False
    categories: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


@dataclass(slots=True)
class Plans:
    """What all people want. ``setting`` and ``planning``: by user what they want changed: from what, to what."""

    thresholds: dict[str, Threshold] = field(default_factory=dict)
    setting: dict[str, tuple[Threshold | None, Threshold | None]] = field(default_factory=dict)
    goals: dict[str, Goal] = field(default_factory=dict)
    planning: dict[str, tuple[Goal | None, Goal | None]] = field(default_factory=dict)

    def thresholds_of(self, user: str) -> list[Threshold]:
        """A user's thresholds."""
        return [threshold for threshold in self.thresholds.values() if threshold.user == user]

    def goals_of(self, user: str) -> list[Goal]:
        """A user's goals."""
        return [goal for goal in self.goals.values() if goal.user == user]

    def may_be_set(self, scope_id: str, user: str, levels: set[Level]) -> bool:
        """Whether these may be all levels of an account or a total now."""
        known = {one.level for one in self.thresholds.values() if one.scope_id == scope_id}
        if levels == known:
            return True
        before, after = self.setting.get(user, (None, None))
        if scope_id not in (one.scope_id for one in (before, after) if one is not None):
            return False
        known -= {before.level} if before is not None else set()
        return _with_one_more(
            levels, known, None if after is None else after.level, lambda level: replace(level, threshold_id=NEW)
        )

    def may_be_planned(self, user: str, goals: set[Goal]) -> bool:
        """Whether these may be all that a user plans now."""
        known = set(self.goals_of(user))
        if goals == known:
            return True
        if user not in self.planning:
            return False
        before, after = self.planning[user]
        known -= {before} if before is not None else set()
        return _with_one_more(goals, known, after, lambda goal: replace(goal, goal_id=NEW))


T = TypeVar("T", Level, Goal)


def _with_one_more(found: set[T], known: set[T], more: T | None, nameless: Callable[[T], T]) -> bool:
    """Whether ``found`` is ``known`` with one more; where that is new, whatever its id."""
    others = found - known
    if known - found:
        return False
    if more is None:
        return not others
    if len(others) != 1:
        return False
    [other] = others
    return more in (other, nameless(other))
