"""Which events the service makes: all thresholds of a scope, all goals and all limits of a user, at every change."""

from collections.abc import Sequence

import msgspec
from iso4217 import Currency

from streambank.bank.events import (
    ACCOUNT_THRESHOLDS,
    USER_GOALS,
    USER_LIMITS,
    AccountThresholds,
    Budget,
    PaymentLimit,
    SavingsGoal,
    Scope,
    SpendingGoal,
    Threshold,
    UserGoals,
    UserLimits,
)
from streambank.bank.events.personal import seal
from streambank.clock import to_datetime
from streambank.service.outbox import OutgoingRecord, outgoing


def thresholds_changed(
    user_id: str,
    scope: Scope,
    scope_id: str,
    currency: Currency,
    thresholds: Sequence[Threshold],
    *,
    event_id: str,
    now_ms: int,
) -> OutgoingRecord:
    """All thresholds on an account or a total, as they are now."""
    now = to_datetime(now_ms)
    event = AccountThresholds(
        user_id=user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        scope=scope,
        scope_id=scope_id,
        currency=currency,
        thresholds=tuple(thresholds),
    )
    return outgoing(ACCOUNT_THRESHOLDS, scope_id, event, now_ms)


def thresholds_ended(scope_id: str, now_ms: int) -> OutgoingRecord:
    """The tombstone of a scope whose user was erased."""
    return OutgoingRecord(ACCOUNT_THRESHOLDS.name, ACCOUNT_THRESHOLDS.key.serialize(scope_id), None, None, now_ms)


def goals_changed(
    user_id: str,
    key: bytes,
    goals: Sequence[Budget | SavingsGoal | SpendingGoal],
    *,
    event_id: str,
    now_ms: int,
) -> OutgoingRecord:
    """All that a user plans, as it is now; names are sealed with the user's ``key``."""
    now = to_datetime(now_ms)
    sealed = [msgspec.structs.replace(goal, name=seal(key, user_id, goal.name)) for goal in goals]
    event = UserGoals(
        user_id=user_id,
        occurred_at=now,
        recorded_at=now,
        event_id=event_id,
        budgets=tuple(goal for goal in sealed if isinstance(goal, Budget)),
        savings=tuple(goal for goal in sealed if isinstance(goal, SavingsGoal)),
        spending=tuple(goal for goal in sealed if isinstance(goal, SpendingGoal)),
    )
    return outgoing(USER_GOALS, user_id, event, now_ms)


def limits_changed(user_id: str, limits: Sequence[PaymentLimit], *, event_id: str, now_ms: int) -> OutgoingRecord:
    """All of a user's payment limits, as they are now."""
    now = to_datetime(now_ms)
    event = UserLimits(user_id=user_id, occurred_at=now, recorded_at=now, event_id=event_id, limits=tuple(limits))
    return outgoing(USER_LIMITS, user_id, event, now_ms)


def plans_ended(user_id: str, now_ms: int) -> list[OutgoingRecord]:
    """The tombstones of an erased user's goals and limits."""
    return [
        OutgoingRecord(topic.name, topic.key.serialize(user_id), None, None, now_ms)
        for topic in (USER_GOALS, USER_LIMITS)
    ]
