"""The views service with the topologies that feed it, on a log in memory, and short ways to use it."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import Connection
from tests.bank.transactions.support import NOON, NOON_MS, Ticker, key_of
from tests.postgres import Databases

from streambank.bank.events import (
    ACCOUNT,
    BALANCE_CHANGED,
    ENTRY_CATEGORISED,
    FX_RATE,
    TOPICS,
    USER_KEY,
    USER_PROFILE,
    Account,
    BalanceChanged,
    CategoryPart,
    CreditDebit,
    Currency,
    EntryCategorised,
    FxRate,
    UserKey,
    UserProfile,
)
from streambank.bank.events.personal import seal
from streambank.bank.rates import parse_rate
from streambank.bank.topologies import balances, figures
from streambank.bank.views.models import DATABASE
from streambank.bank.views.service import ViewsService
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller
from streambank.streams import StreamRunner, StreamsConfig, Topic

EUR, USD, JPY, KWD = (Currency(code) for code in ("EUR", "USD", "JPY", "KWD"))
TODAY = NOON.date()

T = TypeVar("T")


def caller(user_id: str = "ada") -> Caller:
    return Caller(user_id, frozenset({"views:read"}), "test", "t", NOON_MS // 1000 + 600)


class Bench:
    """The service and what is around it. Each write is followed by all that comes of it."""

    def __init__(self, log: EventLog, database: Database, clock: Ticker) -> None:
        self.log = log
        self.database = database
        self.clock = clock
        self._numbers = count(1)
        self._runners = [
            StreamRunner(build(), log, StreamsConfig(application_id=name))
            for name, build in (("balances", balances.build), ("figures", figures.build))
        ]
        self.service = ViewsService(log, database, clock=clock)

    def close(self) -> None:
        self.service.close()
        for runner in self._runners:
            runner.close()

    def write(self, topic: Topic[str, Any], key: str, value: Any, *, settled: bool = True) -> None:
        with closing(self.log.producer()) as producer, producer.transaction() as transaction:
            topic.write(transaction, key, value, NOON_MS)
        if settled:
            self.settle()

    def settle(self) -> None:
        """Let everything happen. The first steps may only join the groups."""
        idle = 0
        while idle < 2:
            done = sum(1 for runner in self._runners if runner.step()) + self.service.step()
            idle = 0 if done else idle + 1

    def look(self, work: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return work(connection)

    def body(self, work: Callable[[Connection], Answer]) -> Any:
        return self.look(work).body

    def know(self, user_id: str, timezone: str = "UTC") -> None:
        key = UserKey(user_id=user_id, occurred_at=NOON, recorded_at=NOON, event_id="k", key=key_of(user_id))
        self.write(USER_KEY, user_id, key, settled=False)
        profile = UserProfile(
            user_id=user_id,
            occurred_at=NOON,
            recorded_at=NOON,
            event_id="p",
            email="sealed",
            name="sealed",
            timezone=timezone,
        )
        self.write(USER_PROFILE, user_id, profile)

    def open(self, account_id: str = "giro", user_id: str = "ada", currency: Currency = EUR) -> None:
        event = Account(
            user_id=user_id,
            occurred_at=NOON,
            recorded_at=NOON,
            event_id="a",
            account_id=account_id,
            name=seal(key_of(user_id), user_id, f"{user_id}'s {account_id}"),
            currency=currency,
        )
        self.write(ACCOUNT, account_id, event)

    def book(self, signed_minor: int, day: date | datetime = TODAY, *, settled: bool = True, **more: Any) -> str:
        """An entry's id."""
        change = entry(next(self._numbers), signed_minor, day, **more)
        self.write(BALANCE_CHANGED, change.account_id, change, settled=settled)
        return change.entry_id

    def categorise(self, change: EntryCategorised) -> None:
        self.write(ENTRY_CATEGORISED, change.account_id, change)

    def rate(self, pair: str, rate: str, day: date = TODAY) -> None:
        event = fx_rate(pair, rate, day)
        self.write(FX_RATE, event.rate_id, event)

    def forget(self, user_id: str) -> None:
        self.write(USER_KEY, user_id, None)


def entry(
    number: int,
    signed_minor: int,
    day: date | datetime,
    *,
    account_id: str = "giro",
    user_id: str = "ada",
    currency: Currency = EUR,
    counterparty: str | None = None,
    **more: Any,
) -> BalanceChanged:
    """An entry of a day, or of a moment."""
    booked = day.date() if isinstance(day, datetime) else day
    return BalanceChanged(
        user_id=user_id,
        occurred_at=day if isinstance(day, datetime) else datetime.combine(booked, time(), UTC),
        recorded_at=NOON,
        entry_id=f"{account_id}/{number}",
        account_id=account_id,
        account_seq=number,
        credit_debit=CreditDebit.CREDIT if signed_minor >= 0 else CreditDebit.DEBIT,
        amount_minor=abs(signed_minor),
        currency=currency,
        booking_date=booked,
        counterparty=None if counterparty is None else seal(key_of(user_id), user_id, counterparty),
        **more,
    )


def categorised(
    of: BalanceChanged, before: dict[str | None, int], after: dict[str | None, int], event_id: str = "c"
) -> EntryCategorised:
    """Another choice of categories for an entry."""

    def parts(of: dict[str | None, int]) -> tuple[CategoryPart, ...]:
        return tuple(CategoryPart(category=category, signed_minor=minor) for category, minor in of.items())

    return EntryCategorised(
        user_id=of.user_id,
        occurred_at=of.occurred_at,
        recorded_at=NOON,
        event_id=event_id,
        entry_id=of.entry_id,
        account_id=of.account_id,
        currency=of.currency,
        booking_date=of.booking_date,
        before=parts(before),
        after=parts(after),
        kind=of.kind,
        reverses_entry_id=of.reverses_entry_id,
    )


def fx_rate(pair: str, rate: str, day: date) -> FxRate:
    base, quote = pair.split("/")
    return FxRate(
        event_id=f"{pair}@{day}",
        rate_id=f"{pair}/{day}",
        base=Currency(base),
        quote=Currency(quote),
        day=day,
        rate_e9=parse_rate(rate),
        occurred_at=NOON,
        recorded_at=NOON,
    )


@contextmanager
def made(databases: Databases) -> Iterator[Bench]:
    """A bench on databases of some kind."""
    clock = Ticker()
    with closing(EmbeddedLog.open(None, clock=clock, background_cleaning=False)) as log:
        log.create_topics([topic.config for topic in TOPICS])
        with (
            closing(Database.open(databases("views"), *DATABASE)) as database,
            closing(Bench(log, database, clock)) as it,
        ):
            yield it
