"""A personalization service put together for tests, with people and accounts, and short ways to use it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection, MetaData, select
from sqlalchemy.engine import URL
from tests.bank.transactions.support import NOON, NOON_MS, Ticker, know, records

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ACCOUNT_THRESHOLDS,
    USER_BALANCE,
    USER_PROFILE,
    Account,
    AccountMember,
    AccountThresholds,
    Balance,
    Currency,
    EntrySummary,
    GoalKind,
    GoalProgress,
    Origin,
    Role,
    Scope,
    Threshold,
    UserProfile,
    total_id,
)
from streambank.bank.personalization.goals import BUDGETS, SAVINGS, SPENDING, Kind
from streambank.bank.personalization.models import DATABASE
from streambank.bank.personalization.schemas import (
    BudgetBody,
    PaymentLimitBody,
    PaymentLimitView,
    SavingsGoalBody,
    SpendingGoalBody,
    ThresholdBody,
    ThresholdList,
    ThresholdView,
    WhatIf,
    WhatIfAnswer,
)
from streambank.bank.personalization.service import PersonalizationService
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem
from streambank.streams import Topic

EUR, USD = Currency("EUR"), Currency("USD")
SCOPES = frozenset({"personalization:read", "personalization:write"})

T = TypeVar("T")


def caller(user_id: str = "ada") -> Caller:
    return Caller(user_id, SCOPES, "test", "t", 0)


def write(log: EventLog, topic: Topic[str, Any], key: str, value: Any, at_ms: int = NOON_MS) -> None:
    """One record, as another service or topology writes it; None: a tombstone."""
    producer = log.producer()
    with producer.transaction() as transaction:
        topic.write(transaction, key, value, at_ms)
    producer.close()


def account(
    account_id: str,
    owner_id: str = "ada",
    currency: Currency = EUR,
    *members: str,
    closed_at: datetime | None = None,
) -> Account:
    return Account(
        user_id=owner_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="a",
        account_id=account_id,
        name="Everyday",
        currency=currency,
        members=tuple(AccountMember(user_id=member, role=Role.OWNER) for member in members),
        closed_at=closed_at,
    )


def profile(user_id: str, timezone: str) -> UserProfile:
    return UserProfile(
        user_id=user_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="p",
        email="a@example.org",
        name="A",
        timezone=timezone,
    )


def others_record(
    scope_id: str, *thresholds: Threshold, event_id: str = "x", user_id: str = "ada", currency: Currency = EUR
) -> AccountThresholds:
    """What another writes to the topic of thresholds."""
    return AccountThresholds(
        user_id=user_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id=event_id,
        scope=Scope.TOTAL if scope_id == total_id(user_id, currency) else Scope.ACCOUNT,
        scope_id=scope_id,
        currency=currency,
        thresholds=thresholds,
    )


def balance(
    number: int,
    before: int,
    after: int,
    *,
    days_ago: float = 1,
    origin: Origin = Origin.LIVE,
    scope: Scope = Scope.ACCOUNT,
    scope_id: str = "everyday",
) -> Balance:
    """The balance after the entry of that number."""
    at = NOON - timedelta(days=days_ago)
    entry = EntrySummary(
        entry_id=f"{scope_id}/{number}",
        account_id="everyday",
        signed_minor=after - before,
        occurred_at=at,
        origin=origin,
    )
    return Balance(
        user_id="ada",
        occurred_at=at,
        recorded_at=NOON,
        scope=scope,
        scope_id=scope_id,
        currency=EUR,
        before_minor=before,
        after_minor=after,
        entry_count=number,
        entry=entry,
    )


def told(goal_id: str, amount_minor: int, **more: Any) -> GoalProgress:
    """What the goals topology says of a goal."""
    return GoalProgress(
        **{
            "user_id": "ada",
            "occurred_at": NOON,
            "recorded_at": NOON,
            "event_id": "g",
            "goal_id": goal_id,
            "kind": GoalKind.BUDGET,
            "currency": EUR,
            "target_minor": 40_000,
            "amount_minor": amount_minor,
            **more,
        }
    )


BUDGET: dict[str, Any] = {"name": "Food", "currency": "EUR", "target_minor": 40_000}
SAVING: dict[str, Any] = {
    "name": "Bike",
    "currency": "EUR",
    "target_minor": 120_000,
    "account_ids": ["everyday"],
    "target_date": "2027-05-24",
}
HOLIDAY: dict[str, Any] = {"name": "Rome", "currency": "EUR", "target_minor": 90_000, "ends_on": "2026-12-05"}
BODIES: dict[str, tuple[Kind, Any, dict[str, Any]]] = {
    "budgets": (BUDGETS, BudgetBody, BUDGET),
    "savings": (SAVINGS, SavingsGoalBody, SAVING),
    "spending": (SPENDING, SpendingGoalBody, HOLIDAY),
}


class Bench:
    """A service and what is around it; each call is a transaction of its own."""

    def __init__(self, log: EventLog, database: Database, clock: Ticker) -> None:
        self.log = log
        self.database = database
        self.clock = clock
        log.create_topics([ACCOUNT_BALANCE.config, USER_BALANCE.config])
        self.service = PersonalizationService(log, database, clock=clock, random_bytes=Random(1).randbytes)

    def do(self, work: Callable[[Connection], T]) -> T:
        with self.database.begin() as connection:
            return work(connection)

    def look(self, work: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return work(connection)

    def settle(self) -> None:
        """Step until nothing is left to do. The first step may only join the group."""
        self.service.step()
        while self.service.step():
            pass

    def hear(self, topic: Topic[str, Any], key: str, value: Any) -> None:
        """Let the service take a record."""
        write(self.log, topic, key, value)
        self.settle()

    def threshold(self, user_id: str = "ada", **body: Any) -> ThresholdView:
        asked = ThresholdBody(**{"account_id": "everyday", "direction": "below", "level_minor": 10_000, **body})
        return viewed(self.do(lambda c: self.service.create_threshold(c, caller(user_id), asked)), ThresholdView)

    def thresholds(self, user_id: str = "ada") -> list[ThresholdView]:
        answer = self.look(lambda c: self.service.list_thresholds(c, caller(user_id)))
        return viewed(answer, ThresholdList).items

    def remove(self, threshold_id: str, expected: int | None = None, user_id: str = "ada") -> None:
        self.do(lambda c: self.service.remove_threshold(c, caller(user_id), threshold_id, expected))

    def what_if(self, user_id: str = "ada", **body: Any) -> WhatIfAnswer:
        asked = WhatIf(**{"account_id": "everyday", "direction": "below", "level_minor": 10_000, **body})
        return viewed(self.look(lambda c: self.service.what_if(c, caller(user_id), asked)), WhatIfAnswer)

    def goal(self, which: str, user_id: str = "ada", **body: Any) -> Any:
        """Add a goal, a moment after the last one; its view."""
        self.clock.now_ms += 1
        kind, model, usual = BODIES[which]
        asked = model(**{**usual, **body})
        return self.do(lambda c: self.service.create_goal(c, caller(user_id), kind, asked)).body

    def change_goal(self, which: str, goal_id: str, expected: int | None = None, **body: Any) -> Any:
        kind, model, usual = BODIES[which]
        asked = model(**{**usual, **body})
        return self.do(lambda c: self.service.replace_goal(c, caller(), kind, goal_id, asked, expected)).body

    def goal_now(self, which: str, goal_id: str, user_id: str = "ada") -> Any:
        kind = BODIES[which][0]
        return self.look(lambda c: self.service.get_goal(c, caller(user_id), kind, goal_id)).body

    def goals(self, which: str, user_id: str = "ada") -> list[Any]:
        body: Any = self.look(lambda c: self.service.list_goals(c, caller(user_id), BODIES[which][0])).body
        return list(body.items)

    def limit(self, currency: str, expected: int, user_id: str = "ada", **body: Any) -> PaymentLimitView:
        asked = PaymentLimitBody(**body)
        answer = self.do(lambda c: self.service.put_limit(c, caller(user_id), currency, asked, expected))
        return viewed(answer, PaymentLimitView)

    def published(self, topic: Topic[str, T]) -> list[T | None]:
        """What is on a topic that has one key here, in its order; None: a tombstone."""
        return [None if r.value is None else topic.value.deserialize(r.value) for r in records(self.log, topic.name)]

    def levels_published(self, scope_id: str = "everyday") -> list[list[int] | None]:
        """The levels of each record on a scope; None: a tombstone."""
        key = ACCOUNT_THRESHOLDS.key.serialize(scope_id)
        found = [record for record in records(self.log, ACCOUNT_THRESHOLDS.name) if record.key == key]
        return [
            None
            if record.value is None
            else sorted(t.level_minor for t in ACCOUNT_THRESHOLDS.value.deserialize(record.value).thresholds)
            for record in found
        ]

    def rows(self) -> dict[str, int]:
        """How many rows each of the service's tables has."""
        metadata = MetaData()
        with self.database.read() as connection:
            metadata.reflect(connection)
            return {name: len(connection.execute(select(t)).all()) for name, t in metadata.tables.items()}


def viewed(answer: Answer, kind: type[T]) -> T:
    assert isinstance(answer.body, kind)
    return answer.body


def refusal(work: Callable[[], object]) -> tuple[int, str, list[str]]:
    """What a request is refused with, and which fields are named."""
    try:
        work()
    except Problem as problem:
        return problem.status, problem.slug, [error.pointer for error in problem.errors]
    raise AssertionError("it was not refused")


@contextmanager
def made(folder: Path, where: Path | URL, clock: Ticker | None = None) -> Iterator[Bench]:
    """A bench that knows Ada, who shares an account with Bob and is in Prague, and Cleo."""
    with EmbeddedLog.open(folder / "log") as log:
        database = Database.open(where, *DATABASE)
        bench = Bench(log, database, clock or Ticker())
        try:
            know(log, "ada", "bob", "cleo")
            write(log, USER_PROFILE, "ada", profile("ada", "Europe/Prague"))
            for one in (
                account("everyday", "ada", EUR, "bob"),
                account("dollars", "ada", USD),
                account("cleos", "cleo"),
            ):
                write(log, ACCOUNT, one.account_id, one)
            bench.settle()
            yield bench
        finally:
            bench.service.close()
            database.close()
