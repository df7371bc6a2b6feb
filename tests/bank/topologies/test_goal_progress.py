"""The rules of progress, as tables: what is spent on which day, and the marks that are told."""

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace
from tests.bank.topologies.samples import EUR

from streambank.bank.events import Budget, MoneyError, Period, SavingsGoal, SpendingGoal
from streambank.bank.events.money import INT64_MAX
from streambank.bank.plans import Plan
from streambank.bank.topologies import goal_progress
from streambank.bank.topologies.goal_progress import Standing, begin, change, move_on, spend, target_minor, tell

MONTH = Budget(
    goal_id="g", name="Food", currency=EUR, target_minor=100, starts_on=date(2026, 1, 1), period=Period.MONTH
)
CARRY = replace(MONTH, carry_over=True)
HOLIDAY = SpendingGoal(
    goal_id="g",
    name="Holiday",
    currency=EUR,
    target_minor=100,
    starts_on=date(2026, 1, 10),
    ends_on=date(2026, 2, 10),
)
HOUSE = SavingsGoal(
    goal_id="g", name="House", currency=EUR, target_minor=100, starts_on=date(2026, 1, 1), account_ids=("s",)
)
SECOND = date(2026, 1, 2)


class World:
    """What was spent, and a goal that was defined on a day."""

    def __init__(self, plan: Plan, today: str, history: tuple[tuple[str, int], ...] = ()) -> None:
        self.spent = [(date.fromisoformat(day), minor) for day, minor in history]
        self.plan, self.today = plan, date.fromisoformat(today)
        self.standing = begin(plan, self.between, self.today, 0)

    def between(self, first: date, last: date) -> int:
        return sum(minor for day, minor in self.spent if first <= day <= last)

    def enter(self, day: str, minor: int, *, now: str | None = None, live: bool = True) -> int | None:
        """An entry of the day, recorded on that day or ``now``; the mark that is told."""
        at = date.fromisoformat(day)
        self.today = max(self.today, date.fromisoformat(now or day))
        moved = move_on(self.plan, self.standing, self.between, self.today)
        self.spent.append((at, minor))
        self.standing = spend(self.plan, moved, at, minor)
        if self.standing == moved or not goal_progress.is_present(self.plan, self.standing, at, self.today):
            return None
        self.standing, mark = tell(self.plan, self.standing, live=live)
        return mark

    @property
    def figures(self) -> tuple[str, int, int]:
        assert self.standing.start is not None
        return self.standing.start.isoformat(), self.standing.amount_minor, target_minor(self.plan, self.standing)


#   target 100, marks at 50, 80 and 100
#   January:   30 ... 55 ... 85 ... 70 ... 90 ... 120 | February: 60
#   told:             50     80            (80)   100 |           50
@pytest.mark.parametrize(
    ("plan", "entries", "told"),
    [
        pytest.param(MONTH, [("01-02", 30), ("01-03", 25), ("01-04", 30)], [None, 50, 80], id="one after the other"),
        pytest.param(MONTH, [("01-02", 120)], [100], id="of several the highest"),
        pytest.param(MONTH, [("01-02", 49), ("01-03", 1)], [None, 50], id="reached exactly"),
        pytest.param(MONTH, [("01-02", 60), ("01-03", 10), ("01-04", 10)], [50, None, 80], id="each once"),
        pytest.param(MONTH, [("01-02", 90), ("01-03", -60), ("01-04", 60)], [80, None, None], id="not after a refund"),
        pytest.param(
            replace(MONTH, again_after_refund=True),
            [("01-02", 90), ("01-03", -30), ("01-04", 30), ("01-05", -90), ("01-06", 60)],
            [80, None, 80, None, 50],
            id="again after a refund, those that it took it below",
        ),
        pytest.param(MONTH, [("01-02", 90), ("01-31", 1), ("02-01", 60)], [80, None, 50], id="anew in a new month"),
        pytest.param(MONTH, [("02-01", 10), ("01-31", 90)], [None, None], id="late for a period that is over"),
        pytest.param(MONTH, [("01-02", -60), ("01-03", 100), ("01-04", 20)], [None, None, 50], id="below nothing"),
        pytest.param(replace(MONTH, target_minor=0), [("01-02", -5), ("01-03", 5)], [None, None], id="nothing in all"),
        pytest.param(replace(MONTH, target_minor=0), [("01-02", 1), ("01-03", 1)], [100, None], id="nothing allowed"),
        pytest.param(replace(MONTH, marks=()), [("01-02", 500)], [None], id="no marks"),
        pytest.param(replace(MONTH, marks=(90, 120)), [("01-02", 100), ("01-03", 20)], [90, 120], id="other marks"),
        pytest.param(HOLIDAY, [("01-09", 60), ("01-10", 60), ("02-10", 30)], [None, 50, 80], id="from its first day"),
        pytest.param(HOLIDAY, [("01-10", 60), ("02-11", 60), ("02-12", 1)], [50, None, None], id="to its last"),
        pytest.param(
            replace(MONTH, period=Period.WEEK), [("01-04", 60), ("01-05", 60), ("01-11", 30)], [50, 50, 80], id="weeks"
        ),
        pytest.param(replace(MONTH, period=Period.YEAR), [("01-02", 60), ("12-31", 30)], [50, 80], id="years"),
    ],
)
def test_marks(plan: Plan, entries: list[tuple[str, int]], told: list[int | None]) -> None:
    world = World(plan, "2026-01-02")
    assert [world.enter(f"2026-{day}", minor) for day, minor in entries] == told


@pytest.mark.parametrize(
    ("plan", "history", "figures"),
    [
        pytest.param(MONTH, (("2026-02-01", 70), ("2026-01-31", 5)), ("2026-02-01", 70, 100), id="this month counts"),
        pytest.param(CARRY, (("2026-02-01", 70), ("2026-01-31", 5)), ("2026-02-01", 70, 195), id="carried over"),
        pytest.param(CARRY, (("2026-01-31", 180),), ("2026-02-01", 0, 20), id="overspent in January"),
        pytest.param(
            replace(CARRY, starts_on=date(2026, 2, 3)),
            (("2026-01-31", 180), ("2026-02-01", 7)),
            ("2026-02-01", 7, 100),
            id="nothing of before it starts, but its first period whole",
        ),
        pytest.param(
            replace(CARRY, starts_on=date(2020, 1, 1)),
            (("2025-12-01", 40),),
            ("2026-02-01", 0, 100 + 11 * 100 + 60 + 100),
            id="carried from as far back as is known",
        ),
        pytest.param(
            replace(CARRY, starts_on=date(2020, 1, 1), period=Period.WEEK),
            (("2026-01-05", 40),),
            ("2026-02-02", 0, 100 + 3 * 100 + 60),
            id="weeks are known from the month before",
        ),
        pytest.param(
            replace(MONTH, starts_on=date(2026, 4, 20)), (("2026-02-01", 70),), ("2026-04-01", 0, 100), id="not begun"
        ),
        pytest.param(
            HOLIDAY,
            (("2026-01-09", 1), ("2026-01-10", 2), ("2026-02-03", 4)),
            ("2026-01-10", 6, 100),
            id="a spending goal that has begun before",
        ),
    ],
)
def test_what_a_new_goal_starts_with(
    plan: Plan, history: tuple[tuple[str, int], ...], figures: tuple[str, int, int]
) -> None:
    assert World(plan, "2026-02-03", history).figures == figures


def test_a_new_goal_tells_no_marks_of_before() -> None:
    world = World(MONTH, "2026-01-05", (("2026-01-02", 85),))
    assert [world.enter("2026-01-06", 5), world.enter("2026-01-07", 10)] == [None, 100]


def test_what_is_read_in_moves_it_and_is_not_told() -> None:
    world = World(MONTH, "2026-01-05")
    assert world.enter("2026-01-06", 85, live=False) is None
    assert world.figures == ("2026-01-01", 85, 100)
    assert [world.enter("2026-01-07", 5), world.enter("2026-01-08", 10)] == [None, 100]


#   target 100, carried over; periods that nothing happens in pass too
#   January: 30  |  February: -  |  March: 130  |  April: 90
#   target:  100 |                  270         |  240
def test_what_is_left_is_carried_over() -> None:
    world = World(CARRY, "2026-01-02")
    assert world.enter("2026-01-02", 30) is None
    assert world.enter("2026-03-05", 130) is None
    assert world.figures == ("2026-03-01", 130, 270)
    assert world.enter("2026-03-06", 10) == 50
    assert world.enter("2026-04-01", 90) is None
    assert world.figures == ("2026-04-01", 90, 100 + 270 - 140)


def test_what_is_late_changes_what_was_carried_over() -> None:
    world = World(CARRY, "2026-01-02")
    world.enter("2026-02-01", 90)
    assert world.figures == ("2026-02-01", 90, 200)
    assert world.enter("2026-01-31", 90) is None
    assert world.figures == ("2026-02-01", 90, 110)
    assert world.enter("2025-12-31", 50) is None
    assert world.figures == ("2026-02-01", 90, 110)
    # What that made of it is told with the next entry of the present.
    assert world.enter("2026-02-02", 1) == 80
    assert World(MONTH, "2026-02-01", (("2026-02-01", 9),)).enter("2026-01-31", 90) is None


def test_what_is_dated_ahead_counts_when_its_period_has_come() -> None:
    world = World(MONTH, "2026-01-20")
    assert world.enter("2026-02-01", 85, now="2026-01-31") is None
    assert world.figures == ("2026-01-01", 0, 100)
    assert world.enter("2026-02-02", 1) == 80
    assert world.figures == ("2026-02-01", 86, 100)


def test_a_period_never_goes_back() -> None:
    world = World(MONTH, "2026-02-01")
    world.enter("2026-02-01", 60)
    # The user has flown west: there it is January still.
    world.today = date(2026, 1, 31)
    assert world.enter("2026-01-31", 60, now="2026-01-31") is None
    assert world.figures == ("2026-02-01", 60, 100)


@pytest.mark.parametrize(
    ("changes", "carried", "told"),
    [
        pytest.param({"name": "Groceries"}, 70, (50, 80), id="another name"),
        pytest.param({"target_minor": 300}, 70, (), id="another target: its marks are to come"),
        pytest.param({"target_minor": 10}, 70, (50, 80, 100), id="a target that is passed already"),
        pytest.param({"marks": (10, 90)}, 70, (10,), id="other marks"),
        pytest.param({"again_after_refund": True}, 70, (50, 80), id="marks again"),
        pytest.param({"carry_over": False}, 0, (50, 80, 100), id="nothing carried over any more"),
        pytest.param({"starts_on": date(2026, 2, 1)}, 0, (50, 80, 100), id="another start"),
    ],
)
def test_a_goal_that_is_changed(changes: dict[str, Any], carried: int, told: tuple[int, ...]) -> None:
    world = World(CARRY, "2026-01-02", (("2026-01-02", 30),))
    world.enter("2026-02-01", 100)
    world.enter("2026-02-02", 40)
    assert (world.standing.amount_minor, world.standing.carried_minor, world.standing.told) == (140, 70, (50, 80))
    changed = change(CARRY, replace(CARRY, **changes), world.standing, world.between, date(2026, 2, 3), 7)
    assert (changed.amount_minor, changed.carried_minor, changed.told) == (140, carried, told)
    assert changed.defined_ms == (0 if "name" in changes else 7)


#   spent:  | 40 (January) | 30 (June) | today, in July | 20 (dated ahead)
#   of January and the like only whole months are known, of the months before last year nothing
@pytest.mark.parametrize(
    ("changes", "amount", "told"),
    [
        pytest.param({"again_after_refund": True}, 70, (50,), id="marks again"),
        pytest.param({"name": "Trip", "target_minor": 80}, 70, (50, 80), id="another target"),
        pytest.param({"ends_on": date(2026, 8, 10)}, 90, (50, 80), id="a later end adds what lies behind the former"),
        pytest.param({"ends_on": date(2026, 6, 14)}, 40, (), id="an earlier end takes away what lies behind it"),
        pytest.param({"starts_on": date(2026, 6, 1)}, 30, (), id="another start counts anew"),
    ],
)
def test_what_is_not_known_any_more_stays_counted(changes: dict[str, Any], amount: int, told: tuple[int, ...]) -> None:
    plan = replace(HOLIDAY, ends_on=date(2026, 7, 20))
    world = World(plan, "2026-01-10")
    for day, minor in (("2026-01-15", 40), ("2026-06-15", 30), ("2026-08-01", 20)):
        world.enter(day, minor, now=min(day, "2026-07-01"))
    del world.spent[0]
    changed = change(plan, replace(plan, **changes), world.standing, world.between, date(2026, 7, 1), 7)
    assert (changed.amount_minor, changed.told, changed.defined_ms) == (amount, told, 7)


def test_another_date_or_marks_again_leave_what_is_saved() -> None:
    standing = begin(HOUSE, 85, SECOND, 0)
    for changes in ({"target_date": date(2027, 1, 1)}, {"again_after_refund": True}):
        assert change(HOUSE, replace(HOUSE, **changes), standing, 85, SECOND, 7) == replace(standing, defined_ms=7)


#   saved:  30     60     40 (withdrawn)   60     100
#   told:          50                      -      100
@pytest.mark.parametrize(("again", "told"), [(False, [None, 50, None, None, 100]), (True, [None, 50, None, 50, 100])])
def test_savings(again: bool, told: list[int | None]) -> None:
    plan = replace(HOUSE, again_after_refund=again)
    standing, found = begin(plan, 0, SECOND, 0), []
    for saved in (30, 60, 40, 60, 100):
        standing, mark = tell(plan, replace(standing, amount_minor=saved), live=True)
        found.append(mark)
    assert found == told


def test_savings_that_are_there_already_are_not_told() -> None:
    standing = begin(HOUSE, 85, SECOND, 0)
    assert tell(HOUSE, replace(standing, amount_minor=90), live=True)[1] is None
    assert tell(HOUSE, replace(standing, amount_minor=100), live=True)[1] == 100
    assert goal_progress.period_end(HOUSE, standing) is None


def test_a_goal_of_another_kind_begins_anew() -> None:
    standing = Standing(goal_id="g", amount_minor=99, defined_ms=3, told=(50, 80))
    world = World(MONTH, "2026-01-05", (("2026-01-02", 60),))
    assert change(HOUSE, MONTH, standing, world.between, SECOND, 0) == world.standing


def test_sums_beyond_64_bits_are_refused() -> None:
    world = World(MONTH, "2026-01-02")
    world.enter("2026-01-02", INT64_MAX)
    with pytest.raises(MoneyError):
        world.enter("2026-01-03", 1)
