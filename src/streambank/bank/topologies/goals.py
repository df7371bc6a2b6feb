"""goals: how far budgets, saving and spending goals are, and the marks that they come to.

balance.changed --booked entries, with their account's balance, by user--> |
entry.categorised ----------------------------------------------- by user--> | a user's goals --> goal.progress
user.goals ----------------------------------------------------------------> |                --> goal.marked
user.profile (the time zone) ----------------------------------------------> |

An entry counts on the day that :func:`~streambank.bank.days.entry_day` says, in the time zone that the user has as it
arrives. Which entries are spending is said in :mod:`streambank.bank.spending`; the rules of progress in
:mod:`.goal_progress`. A budget is of the very categories that it names: who wants those under one too names them.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import msgspec
from iso4217 import Currency

from streambank.bank.events import (
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    GOAL_MARKED,
    GOAL_PROGRESS,
    USER_GOALS,
    USER_PROFILE,
    BalanceChanged,
    EntryCategorised,
    EntrySummary,
    GoalMarked,
    UserGoals,
    UserProfile,
)
from streambank.bank.events.money import within_int64
from streambank.bank.spending import ALL, spent_in_all, spent_in_category
from streambank.bank.topologies.entries import is_booked
from streambank.bank.topologies.goal_keeping import STORES, Cause, Entered, Keeper, Told
from streambank.streams import LONG, STRING, ProcessorContext, Record, StoreSpec, StreamBuilder, Topology

HELD = StoreSpec("goal-account-balance", STRING, LONG)


class Movement(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A booked entry as goals need it, with what its account holds after it."""

    user_id: str
    recorded_at: datetime
    entry: EntrySummary
    currency: Currency
    booking_date: date
    category: str | None = None
    is_reversal: bool = False
    balance_minor: int


def build() -> Topology:
    """The topology."""
    builder = StreamBuilder()
    booked = builder.stream(BALANCE_CHANGED).filter(is_booked).process_values(move, name="goal-account", stores=[HELD])
    movements = booked.select_key(by_user).repartition(name="goal-movement")
    categorised = builder.stream(ENTRY_CATEGORISED).select_key(by_user).repartition(name="goal-categorised")
    plans, profiles = builder.table(USER_GOALS).to_stream(), builder.table(USER_PROFILE).to_stream()

    told = movements.process_values(on_movement, name="goals-moved", stores=STORES)
    told = told.merge(categorised.process_values(on_categorised, name="goals-categorised", stores=STORES))
    told = told.merge(plans.process_values(on_plans, name="goals-planned", stores=STORES))
    told = told.merge(profiles.process_values(on_profile, name="goals-at-home", stores=STORES))
    told.flat_map(progress_of).to(GOAL_PROGRESS)
    told.flat_map_values(marks_of).to(GOAL_MARKED)
    return builder.build()


def move(record: Record[str, BalanceChanged], context: ProcessorContext[str, Movement]) -> None:
    """Add an entry to its account's balance, and forward both."""
    held, change = context.store(HELD.name), record.value
    balance_minor = within_int64((held.get(record.key) or 0) + change.signed_minor)
    held.put(record.key, balance_minor)
    movement = Movement(
        user_id=change.user_id,
        recorded_at=change.recorded_at,
        entry=change.summary,
        currency=change.currency,
        booking_date=change.booking_date,
        category=change.category,
        is_reversal=change.reverses_entry_id is not None,
        balance_minor=balance_minor,
    )
    context.forward(record.key, movement)


def by_user(_account_id: str, event: Movement | EntryCategorised) -> str:
    """Whose entry it is."""
    return event.user_id


def on_movement(record: Record[str, Movement], context: ProcessorContext[str, Told]) -> None:
    """An entry was booked."""
    movement, entry = record.value, record.value.entry
    spent = {ALL: spent_in_all(entry.signed_minor, entry.kind, is_reversal=movement.is_reversal)}
    if movement.category is not None:
        spent[movement.category] = spent_in_category(entry.signed_minor, entry.kind)
    cause = Cause(entry.entry_id, entry.occurred_at, movement.recorded_at)
    entered = Entered(cause, entry, movement.currency, movement.booking_date, spent, movement.balance_minor)
    enter(record.key, entered, context)


def on_categorised(record: Record[str, EntryCategorised], context: ProcessorContext[str, Told]) -> None:
    """An entry counts into other categories. What was spent in all stays as it is."""
    event, spent = record.value, dict[str, int]()
    for parts, sign in ((event.before, -1), (event.after, 1)):
        for part in parts:
            if part.category is not None:
                minor = spent_in_category(part.signed_minor, event.kind)
                spent[part.category] = spent.get(part.category, 0) + sign * minor
    entry = EntrySummary(
        entry_id=event.entry_id,
        account_id=event.account_id,
        signed_minor=sum(part.signed_minor for part in event.after),
        occurred_at=event.occurred_at,
        kind=event.kind,
        origin=event.origin,
    )
    cause = Cause(event.event_id, event.occurred_at, event.recorded_at)
    enter(record.key, Entered(cause, entry, event.currency, event.booking_date, spent), context)


def enter(user_id: str, entered: Entered, context: ProcessorContext[str, Told]) -> None:
    """Hold an entry against its user's goals; of who was erased nothing is kept."""
    keeper = Keeper(user_id, context)
    if not keeper.person.erased:
        context.forward(user_id, keeper.enter(entered))


def on_plans(record: Record[str, Any], context: ProcessorContext[str, Told]) -> None:
    """Somebody plans something; a tombstone: they were erased."""
    plans: UserGoals | None = record.value
    keeper = Keeper(record.key, context)
    if not keeper.person.erased:
        context.forward(record.key, keeper.forget() if plans is None else keeper.plan(plans))


def on_profile(record: Record[str, Any], context: ProcessorContext[str, Told]) -> None:
    """Somebody may have moved to another time zone; a tombstone: they were erased."""
    profile: UserProfile | None = record.value
    keeper = Keeper(record.key, context)
    if keeper.person.erased:
        return
    if profile is None:
        context.forward(record.key, keeper.forget())
    else:
        keeper.move(profile)


def progress_of(_user_id: str, told: Told) -> Iterable[tuple[str, Any]]:
    """How far goals are, each a GoalProgress under its own key; a tombstone for one that is no more."""
    yield from ((progress.goal_id, progress) for progress in told.progress)
    yield from ((goal_id, None) for goal_id in told.ended)


def marks_of(told: Told) -> Iterable[GoalMarked]:
    """The marks to tell."""
    return told.marks
