"""The personalization service: what people want to be told of, what they plan, and how much they let go out.

Its methods are the use cases. Each works within the caller's database transaction and never commits; what it raises as
a :class:`~streambank.service.http.problems.Problem` is the answer, and leaves everything as it was.
"""

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    GOAL_PROGRESS,
    USER_BALANCE,
    USER_GOALS,
    USER_KEY,
    USER_LIMITS,
    USER_PROFILE,
    Account,
    AccountThresholds,
    GoalProgress,
    Scope,
)
from streambank.bank.personalization import events, goals, limits, repository, thresholds, what_if
from streambank.bank.personalization.context import Context
from streambank.bank.personalization.goals import GoalBody, Kind
from streambank.bank.personalization.repository import UnusableRecordError, checked_id, checked_scope_id
from streambank.bank.personalization.schemas import (
    PaymentLimitBody,
    PaymentLimitList,
    ThresholdBody,
    ThresholdList,
    WhatIf,
    WhatIfAnswer,
)
from streambank.bank.personalization.what_if import Question
from streambank.clock import Clock, system_clock, to_datetime
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.database import Database
from streambank.service.dead_letters import dead_letter
from streambank.service.http import idempotency
from streambank.service.http.answers import Answer, created, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem, unprocessable
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers
from streambank.streams.errors import DeserializationError
from streambank.streams.serde import STRING

logger = structlog.get_logger(__name__)

NAME = "personalization"
"""The service's name, also of its consumer group: dead letters go to ``personalization.dlq``."""

RECEIVES = (USER_KEY, USER_PROFILE, ACCOUNT, ACCOUNT_THRESHOLDS, GOAL_PROGRESS)
"""What its projection reads."""

PUBLISHED = (ACCOUNT_THRESHOLDS, USER_GOALS, USER_LIMITS)

WHAT_IFS_AT_ONCE_MAX = 2
"""Each reads from the log for up to some seconds: more would take the threads that answer everything else."""

WHAT_IF_SPAN = timedelta(days=366)
"""How far back is looked where nothing is said."""

V = TypeVar("V")


class PersonalizationService:
    """One process's share of the service. Several may run on the same log and database."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        *,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Create the topics the service uses, and tie the database to the log.

        Args:
            database: opened with :data:`streambank.bank.personalization.models.DATABASE`; the caller closes both.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        log.create_topics([topic.config for topic in PUBLISHED])
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        self._log = log
        self._context = Context(Outbox(), clock, random_bytes)
        self._what_ifs = threading.BoundedSemaphore(WHAT_IFS_AT_ONCE_MAX)
        self.relay = OutboxRelay(log, database, service=NAME, outbox_id=outbox_id, clock=clock)
        self.projection = Projection(
            log,
            database,
            self._context.outbox,
            group=NAME,
            subscriptions=[
                Subscription(USER_KEY, self._each(repository.learn_key), self._each_removed(self._erase)),
                Subscription(USER_PROFILE, self._each(repository.learn_profile), _nothing_to_do),
                Subscription(ACCOUNT, self._each(self._learn_account), self._each_removed(self._forget_account)),
                Subscription(ACCOUNT_THRESHOLDS, self._each(self._take_over), self._each_removed(thresholds.end_read)),
                Subscription(GOAL_PROGRESS, self._learn_progress, self._each_removed(goals.forget_progress)),
            ],
        )

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.projection, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Take what is there and publish what came of it; how many were done. For tests."""
        done = self.projection.step(0)
        while published := self.relay.step():
            done += published
        return done

    def close(self) -> None:
        """Leave the group, as :meth:`run` does at its end. For those who call :meth:`step`."""
        self.projection.close()
        self.relay.close()

    # What other services publish

    def _each(self, learn: Callable[[Connection, V], None]) -> Callable[[Connection, Sequence[Received[V]]], None]:
        """Apply records one by one; those that cannot be stored become dead letters, and stop none of the others."""

        def apply(connection: Connection, received: Sequence[Received[V]]) -> None:
            for item in received:
                self._guarded(connection, item.record, partial(learn, connection, item.value))

        return apply

    def _each_removed(self, end: Callable[[Connection, str], None]) -> Callable[[Connection, Sequence[Record]], None]:
        def remove(connection: Connection, tombstones: Sequence[Record]) -> None:
            for record in tombstones:
                self._guarded(connection, record, partial(_end_one, end, connection, record))

        return remove

    def _guarded(self, connection: Connection, record: Record, work: Callable[[], None]) -> None:
        try:
            work()
        except UnusableRecordError as error:
            name = type(error).__name__
            self._context.outbox.add(connection, [dead_letter(NAME, record, exception=name, message=str(error))])
            logger.warning(
                "record cannot be stored, goes to the dead letters",
                group=NAME,
                partition=f"{record.topic}-{record.partition}",
                offset=record.offset,
                reason=str(error),
            )

    def _erase(self, connection: Connection, user_id: str) -> None:
        if repository.is_erased(connection, checked_id(user_id)):
            return
        now_ms = self._context.clock()
        repository.mark_erased(connection, user_id, now_ms)
        thresholds.erase(connection, self._context, user_id)
        goals.erase(connection, user_id)
        limits.erase(connection, user_id)
        idempotency.forget(connection, user_id)
        self._context.outbox.add(connection, events.plans_ended(user_id, now_ms))

    def _learn_account(self, connection: Connection, account: Account) -> None:
        repository.learn_account(connection, account)
        thresholds.end_scope(connection, self._context, account.account_id, unless_of=account.user_id)

    def _forget_account(self, connection: Connection, account_id: str) -> None:
        repository.forget_account(connection, account_id)
        thresholds.end_scope(connection, self._context, account_id)

    def _take_over(self, connection: Connection, told: AccountThresholds) -> None:
        thresholds.take_over(connection, self._context, told)

    def _learn_progress(self, connection: Connection, received: Sequence[Received[GoalProgress]]) -> None:
        goals.learn_progress(connection, [item.value for item in received])

    # Thresholds

    def list_thresholds(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's thresholds."""
        return ok(ThresholdList(items=thresholds.listed(connection, caller.user_id)))

    def get_threshold(self, connection: Connection, caller: Caller, threshold_id: str) -> Answer:
        """One threshold."""
        view = thresholds.one(connection, caller.user_id, threshold_id)
        return ok(view, version=view.version)

    def create_threshold(self, connection: Connection, caller: Caller, body: ThresholdBody) -> Answer:
        """Set a threshold."""
        view = thresholds.create(connection, self._context, caller.user_id, body)
        return created(view, f"/v1/thresholds/{view.id}", version=view.version)

    def replace_threshold(
        self, connection: Connection, caller: Caller, threshold_id: str, body: ThresholdBody, expected: int | None
    ) -> Answer:
        """Change a threshold."""
        view = thresholds.replace(connection, self._context, caller.user_id, threshold_id, body, expected)
        return ok(view, version=view.version)

    def remove_threshold(
        self, connection: Connection, caller: Caller, threshold_id: str, expected: int | None
    ) -> Answer:
        """Take a threshold away."""
        thresholds.remove(connection, self._context, caller.user_id, threshold_id, expected)
        return no_content()

    def question(self, connection: Connection, caller: Caller, body: WhatIf) -> Question:
        """What the caller wants to know of the past; a problem where that is not theirs to know."""
        repository.person(connection, caller.user_id)
        on = thresholds.scope_of(connection, caller.user_id, body)
        to_time = _within_bounds(body.to_time or to_datetime(self._context.clock()), "/to_time")
        from_time = _within_bounds(body.from_time or to_time - WHAT_IF_SPAN, "/from_time")
        if from_time > to_time:
            raise unprocessable("/to_time", "the time that is asked about ends before it begins")
        topic = ACCOUNT_BALANCE if on.scope is Scope.ACCOUNT else USER_BALANCE
        return Question(topic, on.scope_id, on.currency, thresholds.threshold_of("what-if", body), from_time, to_time)

    def what_if(self, question: Question) -> WhatIfAnswer:
        """When a threshold would have fired. Reads from the log, for seconds perhaps: in no transaction, and not on
        the event loop. Raises a problem while others ask."""
        if not self._what_ifs.acquire(blocking=False):
            detail = "others ask the same of the log at this moment: try again"
            raise Problem(503, "busy", detail, headers={"Retry-After": "1"})
        try:
            return what_if.answer(self._log, question)
        finally:
            self._what_ifs.release()

    # Budgets, savings goals and spending goals

    def list_goals(self, connection: Connection, caller: Caller, kind: Kind) -> Answer:
        """The caller's goals of a kind."""
        return ok(goals.listed(connection, caller.user_id, kind, self._context.clock()))

    def get_goal(self, connection: Connection, caller: Caller, kind: Kind, goal_id: str) -> Answer:
        """One goal."""
        view = goals.one(connection, caller.user_id, kind, goal_id, self._context.clock())
        return ok(view, version=view.version, volatile=True)

    def create_goal(self, connection: Connection, caller: Caller, kind: Kind, body: GoalBody) -> Answer:
        """Add a goal."""
        view = goals.create(connection, self._context, caller.user_id, kind, body)
        return created(view, f"{kind.path}/{view.id}", version=view.version)

    def replace_goal(
        self,
        connection: Connection,
        caller: Caller,
        kind: Kind,
        goal_id: str,
        body: GoalBody,
        expected: int | None,
    ) -> Answer:
        """Change a goal."""
        view = goals.replace(connection, self._context, caller.user_id, kind, goal_id, body, expected)
        return ok(view, version=view.version)

    def remove_goal(
        self, connection: Connection, caller: Caller, kind: Kind, goal_id: str, expected: int | None
    ) -> Answer:
        """Give a goal up."""
        goals.remove(connection, self._context, caller.user_id, kind, goal_id, expected)
        return no_content()

    # Payment limits

    def list_limits(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's payment limits."""
        return ok(PaymentLimitList(items=limits.listed(connection, caller.user_id)))

    def get_limit(self, connection: Connection, caller: Caller, currency: str) -> Answer:
        """The limits of one currency."""
        view = limits.one(connection, caller.user_id, currency)
        return ok(view, version=view.version)

    def put_limit(
        self, connection: Connection, caller: Caller, currency: str, body: PaymentLimitBody, expected: int | None
    ) -> Answer:
        """Set the limits of a currency."""
        view = limits.put(connection, self._context, caller.user_id, currency, body, expected)
        return ok(view, version=view.version)

    def remove_limit(self, connection: Connection, caller: Caller, currency: str, expected: int | None) -> Answer:
        """Take the limits of a currency away."""
        view = limits.put(connection, self._context, caller.user_id, currency, None, expected)
        return no_content(version=view.version)


def _nothing_to_do(_connection: Connection, _tombstones: Sequence[Record]) -> None:
    """A profile's tombstone: the key's, which comes with it, says that the user was erased."""


def _end_one(end: Callable[[Connection, str], None], connection: Connection, record: Record) -> None:
    end(connection, _key_of(record))


def _key_of(record: Record) -> str:
    if record.key is None:
        raise UnusableRecordError("a tombstone without a key")
    try:
        return checked_scope_id(STRING.deserialize(record.key))
    except DeserializationError as error:
        raise UnusableRecordError(str(error)) from error


def _within_bounds(moment: datetime, pointer: str) -> datetime:
    if not goals.FIRST_DAY.year <= moment.year <= goals.LAST_DAY.year:
        raise unprocessable(pointer, f"years from {goals.FIRST_DAY.year} to {goals.LAST_DAY.year} are taken")
    return moment
