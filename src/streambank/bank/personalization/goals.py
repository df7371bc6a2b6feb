"""Budgets, savings goals and spending goals: made, changed and removed by their user, who alone sees them.

All of a user's goals are published in one record, at every change. How far they are comes back by ``goal.progress``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import msgspec
from pydantic import BaseModel
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from streambank.bank.days import local_day
from streambank.bank.events import Budget, Goal, GoalKind, GoalProgress, SavingsGoal, SpendingGoal
from streambank.bank.periods import start_of
from streambank.bank.personalization import events, repository
from streambank.bank.personalization.context import Context, currency_of
from streambank.bank.personalization.models import GOAL
from streambank.bank.personalization.progress import (
    Told,
    budget_progress,
    remembered,
    savings_progress,
    spending_progress,
)
from streambank.bank.personalization.repository import Person
from streambank.bank.personalization.schemas import (
    BudgetBody,
    BudgetList,
    BudgetView,
    SavingsGoalBody,
    SavingsGoalList,
    SavingsGoalView,
    SpendingGoalBody,
    SpendingGoalList,
    SpendingGoalView,
)
from streambank.bank.plans import counts_alike
from streambank.clock import to_datetime
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, not_found, unprocessable
from streambank.service.tables import plain_text

AnyGoal: TypeAlias = Budget | SavingsGoal | SpendingGoal
GoalBody: TypeAlias = BudgetBody | SavingsGoalBody | SpendingGoalBody
GoalView: TypeAlias = BudgetView | SavingsGoalView | SpendingGoalView

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""Days beyond these are slips of a finger."""

_encode = msgspec.json.Encoder().encode
_decode_told = msgspec.json.Decoder(tuple[Told, ...]).decode
_NOTHING_TOLD = _encode(())

_STORE_TOLD = update(GOAL).where(GOAL.c.goal_id == bindparam("of_goal")).values(told=bindparam("is_told"))


@dataclass(frozen=True, slots=True)
class Kind:
    """What differs between the kinds of goals. ``goals_max`` bounds the record that has all of a user's."""

    kind: GoalKind
    word: str
    path: str
    goals_max: int
    decode: Callable[[bytes], AnyGoal]
    make: Callable[[Connection, Person, str, date, Any], AnyGoal]
    view: Callable[[Any, Sequence[Told], date, int], GoalView]
    listing: Callable[[Any], BaseModel]


def listed(connection: Connection, user_id: str, kind: Kind, now_ms: int) -> BaseModel:
    """A user's goals of a kind, in the order in which they were made."""
    today = local_day(to_datetime(now_ms), repository.timezone_of(connection, user_id))
    return kind.listing([_view(kind, row, today) for row in _rows(connection, user_id, kind)])


def one(connection: Connection, user_id: str, kind: Kind, goal_id: str, now_ms: int) -> GoalView:
    """One of a user's goals. Raises a problem if it is not there."""
    today = local_day(to_datetime(now_ms), repository.timezone_of(connection, user_id))
    return _view(kind, _own(connection, user_id, kind, goal_id), today)


def create(connection: Connection, context: Context, user_id: str, kind: Kind, body: GoalBody) -> GoalView:
    """Add a goal."""
    person = repository.person(connection, user_id)
    if len(_rows(connection, user_id, kind)) >= kind.goals_max:
        raise conflict("too-many-goals", f"a user has {kind.goals_max} of these at most")
    goal_id, now_ms = context.new_id(), context.clock()
    goal = kind.make(connection, person, goal_id, local_day(to_datetime(now_ms), person.timezone), body)
    row = {
        "goal_id": goal_id,
        "user_id": user_id,
        "kind": kind.kind.value,
        "definition": _encode(goal),
        "told": _NOTHING_TOLD,
        "version": 1,
    }
    connection.execute(insert(GOAL), row)
    _publish(connection, context, person)
    return one(connection, user_id, kind, goal_id, now_ms)


def replace(
    connection: Connection,
    context: Context,
    user_id: str,
    kind: Kind,
    goal_id: str,
    body: GoalBody,
    expected: int | None,
) -> GoalView:
    """Change a goal. Where it counts something else then, how far it is has to be told anew."""
    person = repository.person(connection, user_id)
    row = _own(connection, user_id, kind, goal_id)
    check_version(row.version, expected)
    before = kind.decode(row.definition)
    body = body.model_copy(update={"starts_on": body.starts_on or before.starts_on})
    goal = kind.make(connection, person, goal_id, before.starts_on, body)
    told = row.told if counts_alike(before, goal) else _NOTHING_TOLD
    changed = {"definition": _encode(goal), "told": told, "version": row.version + 1}
    connection.execute(update(GOAL).where(GOAL.c.goal_id == goal_id).values(changed))
    _publish(connection, context, person)
    return one(connection, user_id, kind, goal_id, context.clock())


def remove(
    connection: Connection, context: Context, user_id: str, kind: Kind, goal_id: str, expected: int | None
) -> None:
    """Give a goal up."""
    person = repository.person(connection, user_id)
    row = _own(connection, user_id, kind, goal_id)
    check_version(row.version, expected)
    connection.execute(delete(GOAL).where(GOAL.c.goal_id == goal_id))
    _publish(connection, context, person)


def erase(connection: Connection, user_id: str) -> None:
    """Forget all of an erased user's goals."""
    connection.execute(delete(GOAL).where(GOAL.c.user_id == user_id))


def learn_progress(connection: Connection, news: Sequence[GoalProgress]) -> None:
    """How far goals are. News of goals that are not there any more is passed over."""
    ids = {plain_text(one.goal_id) for one in news}
    found = select(GOAL.c.goal_id, GOAL.c.told).where(GOAL.c.goal_id.in_(ids))
    told = {row.goal_id: _decode_told(row.told) for row in connection.execute(found)}
    for one_news in news:
        if one_news.goal_id in told:
            told[one_news.goal_id] = remembered(told[one_news.goal_id], one_news)
    if told:
        rows = [{"of_goal": goal_id, "is_told": _encode(of_goal)} for goal_id, of_goal in sorted(told.items())]
        connection.execute(_STORE_TOLD, rows)


def forget_progress(connection: Connection, goal_id: str) -> None:
    """What was told of a goal counts no more."""
    connection.execute(update(GOAL).where(GOAL.c.goal_id == goal_id).values(told=_NOTHING_TOLD))


def _publish(connection: Connection, context: Context, person: Person) -> None:
    rows = connection.execute(select(GOAL).where(GOAL.c.user_id == person.user_id).order_by(GOAL.c.goal_id))
    goals = [KINDS[GoalKind(row.kind)].decode(row.definition) for row in rows]
    record = events.goals_changed(person.user_id, person.key, goals, event_id=context.new_id(), now_ms=context.clock())
    context.outbox.add(connection, [record])


def _rows(connection: Connection, user_id: str, kind: Kind) -> list[Row[Any]]:
    own = select(GOAL).where(GOAL.c.user_id == user_id, GOAL.c.kind == kind.kind.value)
    return list(connection.execute(own.order_by(GOAL.c.goal_id)))


def _own(connection: Connection, user_id: str, kind: Kind, goal_id: str) -> Row[Any]:
    own = select(GOAL).where(GOAL.c.user_id == user_id, GOAL.c.kind == kind.kind.value, GOAL.c.goal_id == goal_id)
    row = connection.execute(own).one_or_none()
    if row is None:
        raise not_found(kind.word)
    return row


def _view(kind: Kind, row: Row[Any], today: date) -> GoalView:
    return kind.view(kind.decode(row.definition), _decode_told(row.told), today, row.version)


# The kinds


def _common(goal_id: str, starts_on: date, body: GoalBody) -> dict[str, Any]:
    """The fields that all goals have, once they are known to be right."""
    if not FIRST_DAY <= starts_on <= LAST_DAY:
        raise unprocessable("/starts_on", f"a goal starts between {FIRST_DAY} and {LAST_DAY}")
    for i, (before, after) in enumerate(zip(body.marks, body.marks[1:], strict=False), start=1):
        if after <= before:
            raise unprocessable(f"/marks/{i}", "marks have to ascend, each named once")
    return {
        "goal_id": goal_id,
        "name": body.name,
        "currency": currency_of(body.currency),
        "target_minor": body.target_minor,
        "starts_on": starts_on,
        "marks": tuple(body.marks),
        "again_after_refund": body.again_after_refund,
    }


def _ids(pointer: str, what: str, ids: Sequence[str]) -> tuple[str, ...]:
    for i, one_id in enumerate(ids):
        if one_id in ids[:i]:
            raise unprocessable(f"{pointer}/{i}", f"{what} is named twice")
    return tuple(ids)


def _make_budget(connection: Connection, person: Person, goal_id: str, day: date, body: BudgetBody) -> Budget:
    starts_on = body.starts_on or start_of(body.period, day)
    return Budget(
        **_common(goal_id, starts_on, body),
        period=body.period,
        category_ids=_ids("/category_ids", "a category", body.category_ids),
        carry_over=body.carry_over,
    )


def _make_savings(
    connection: Connection, person: Person, goal_id: str, day: date, body: SavingsGoalBody
) -> SavingsGoal:
    starts_on = body.starts_on or day
    common = _common(goal_id, starts_on, body)
    if body.target_date is not None and not starts_on < body.target_date <= LAST_DAY:
        raise unprocessable(
            "/target_date", f"the date has to be after {starts_on}, when the goal starts, and by {LAST_DAY}"
        )
    for i, account_id in enumerate(_ids("/account_ids", "an account", body.account_ids)):
        currency = repository.own_account(connection, person.user_id, account_id, f"/account_ids/{i}").currency
        if currency is not common["currency"]:
            detail = f"the account is in {currency.value}, and the goal in {body.currency}"
            raise unprocessable(f"/account_ids/{i}", detail, "currency-mismatch")
    return SavingsGoal(**common, account_ids=tuple(body.account_ids), target_date=body.target_date)


def _make_spending(
    connection: Connection, person: Person, goal_id: str, day: date, body: SpendingGoalBody
) -> SpendingGoal:
    starts_on = body.starts_on or day
    common = _common(goal_id, starts_on, body)
    if not starts_on <= body.ends_on <= LAST_DAY:
        raise unprocessable("/ends_on", f"the last day is between {starts_on}, when the goal starts, and {LAST_DAY}")
    return SpendingGoal(
        **common, ends_on=body.ends_on, category_ids=_ids("/category_ids", "a category", body.category_ids)
    )


def _shown(goal: Goal, version: int) -> dict[str, Any]:
    return {
        "id": goal.goal_id,
        "name": goal.name,
        "currency": goal.currency.value,
        "target_minor": goal.target_minor,
        "starts_on": goal.starts_on,
        "marks": list(goal.marks),
        "again_after_refund": goal.again_after_refund,
        "version": version,
    }


def _view_budget(goal: Budget, told: Sequence[Told], today: date, version: int) -> BudgetView:
    return BudgetView(
        **_shown(goal, version),
        period=goal.period,
        category_ids=list(goal.category_ids),
        carry_over=goal.carry_over,
        progress=budget_progress(goal, told, today),
    )


def _view_savings(goal: SavingsGoal, told: Sequence[Told], today: date, version: int) -> SavingsGoalView:
    return SavingsGoalView(
        **_shown(goal, version),
        account_ids=list(goal.account_ids),
        target_date=goal.target_date,
        progress=savings_progress(goal, told, today),
    )


def _view_spending(goal: SpendingGoal, told: Sequence[Told], today: date, version: int) -> SpendingGoalView:
    return SpendingGoalView(
        **_shown(goal, version),
        ends_on=goal.ends_on,
        category_ids=list(goal.category_ids),
        progress=spending_progress(goal, told, today),
    )


BUDGETS = Kind(
    GoalKind.BUDGET,
    "budget",
    "/v1/budgets",
    50,
    msgspec.json.Decoder(Budget).decode,
    _make_budget,
    _view_budget,
    lambda items: BudgetList(items=items),
)
SAVINGS = Kind(
    GoalKind.SAVINGS,
    "savings goal",
    "/v1/savings-goals",
    50,
    msgspec.json.Decoder(SavingsGoal).decode,
    _make_savings,
    _view_savings,
    lambda items: SavingsGoalList(items=items),
)
SPENDING = Kind(
    GoalKind.SPENDING,
    "spending goal",
    "/v1/spending-goals",
    50,
    msgspec.json.Decoder(SpendingGoal).decode,
    _make_spending,
    _view_spending,
    lambda items: SpendingGoalList(items=items),
)
KINDS: Mapping[GoalKind, Kind] = {kind.kind: kind for kind in (BUDGETS, SAVINGS, SPENDING)}
