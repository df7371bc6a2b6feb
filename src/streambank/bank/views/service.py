"""The views service: figures that the topologies keep, shown to whom they belong, and as they change.

Its methods are the use cases. Each works within the caller's database transaction and changes nothing.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from iso4217 import Currency
from sqlalchemy import Connection, Row, Table

from streambank.bank.days import add_months, month_of
from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    CASH_FLOW_MONTH,
    FX_RATE,
    NET_WORTH_DAY,
    RECURRING_FOUND,
    SPENDING_DAY,
    USER_KEY,
    USER_PROFILE,
    AccountKind,
    CreditDebit,
    RecurringFound,
    RecurringPayment,
    UserKey,
    UserProfile,
)
from streambank.bank.rates import rate_text
from streambank.bank.recurrence import status
from streambank.bank.views import models, people, repository, rows, summaries
from streambank.bank.views.conversion import Rates
from streambank.bank.views.live import LiveFeed
from streambank.bank.views.people import Reader
from streambank.bank.views.schemas import (
    BalanceOf,
    Balances,
    CashFlow,
    Every,
    NetWorth,
    RateList,
    RateView,
    RecurringView,
    Spending,
    TotalOf,
)
from streambank.clock import Clock, system_clock, to_datetime
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.database import Database
from streambank.service.http.answers import Answer, ok
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import decode_cursor, encode_cursor
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers
from streambank.streams.topic import Topic

NAME = "views"
"""The service's name, also of its consumer group: dead letters go to ``views.dlq``."""

RECEIVES = (
    USER_KEY,
    USER_PROFILE,
    ACCOUNT,
    ACCOUNT_BALANCE,
    NET_WORTH_DAY,
    CASH_FLOW_MONTH,
    SPENDING_DAY,
    RECURRING_FOUND,
    FX_RATE,
)
"""What its projection reads."""

GATHER_S = 0.2
"""Views may be that much behind; each batch of theirs is a disk flush that alerts would wait for."""

POINTS_MAX = 1_100
"""Of a series: three years of days, a lifetime of months."""

MONTHS_MAX = 120

WORTH_DAYS = 30
FLOW_MONTHS = 12
"""What is shown where nothing is asked for."""


class ViewsService:
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
            database: opened with :data:`streambank.bank.views.models.DATABASE`; the caller closes both.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        self._clock = clock
        self._outbox = Outbox()
        self.live = LiveFeed(log)
        self.relay = OutboxRelay(log, database, service=NAME, outbox_id=outbox_id, clock=clock)
        self.projection = Projection(
            log, database, self._outbox, group=NAME, subscriptions=self._subscriptions(), gather_s=GATHER_S
        )

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.live, self.projection, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Take what is there, and publish what came of it; how many were done. For tests."""
        done = self.projection.step(0) + self.live.step()
        while published := self.relay.step():
            done += published
        return done

    def close(self) -> None:
        """Leave the group and end all streams, as :meth:`run` does at its end. For those who call :meth:`step`."""
        self.live.close()
        self.projection.close()
        self.relay.close()

    # What the log says

    def _subscriptions(self) -> list[Subscription[Any]]:
        figures_of = (
            self._figures(NET_WORTH_DAY, models.NET_WORTH_DAY, rows.net_worth_day),
            self._figures(CASH_FLOW_MONTH, models.CASH_FLOW_MONTH, rows.cash_flow_month),
            self._figures(SPENDING_DAY, models.SPENDING_DAY, rows.spending_day),
            self._figures(ACCOUNT, models.ACCOUNT, rows.account, models.BALANCE),
            self._figures(ACCOUNT_BALANCE, models.BALANCE, rows.balance),
            self._figures(FX_RATE, models.RATE, rows.rate),
        )
        return [
            Subscription(USER_KEY, self._learn_keys, self._erase),
            Subscription(USER_PROFILE, self._learn_zones, _nothing),
            Subscription(RECURRING_FOUND, self._store_recurring, _remove_recurring),
            *figures_of,
        ]

    def _learn_keys(self, connection: Connection, received: Sequence[Received[UserKey]]) -> None:
        for item in received:
            repository.set_person(connection, item.value.user_id, key=item.value.key)

    def _learn_zones(self, connection: Connection, received: Sequence[Received[UserProfile]]) -> None:
        for item in received:
            repository.set_person(connection, item.value.user_id, timezone=item.value.timezone)

    def _erase(self, connection: Connection, tombstones: Sequence[Record]) -> None:
        for record in tombstones:
            if record.key is not None:
                user_id = USER_KEY.key.deserialize(record.key)
                people.erase(connection, self._outbox, user_id, self._clock())
                self.live.end(user_id)

    def _figures(self, topic: Topic[Any, Any], table: Table, row_of: Any, *others: Table) -> Subscription[Any]:
        """A topic whose records are rows of a table, by the records' keys. A tombstone is of ``others``, too."""

        def apply(connection: Connection, received: Sequence[Received[Any]]) -> None:
            latest = dict(row_of(item.value) for item in received)
            owners = {key: str(row["user_id"]) for key, row in latest.items() if "user_id" in row}
            gone = self._taken_back(connection, topic, owners)
            repository.put(connection, table, {key: row for key, row in latest.items() if key not in gone})

        def remove(connection: Connection, tombstones: Sequence[Record]) -> None:
            keys = [topic.key.deserialize(record.key) for record in tombstones if record.key is not None]
            for one in (table, *others):
                repository.remove(connection, one, keys)

        return Subscription(topic, apply, remove if topic.config.compacted else None)

    def _store_recurring(self, connection: Connection, received: Sequence[Received[RecurringFound]]) -> None:
        latest = {item.value.group_id: item.value for item in received}
        owners = {group_id: found.user_id for group_id, found in latest.items()}
        for group_id in self._taken_back(connection, RECURRING_FOUND, owners):
            del latest[group_id], owners[group_id]
        repository.put_recurring(connection, owners, {key: rows.recurring(found) for key, found in latest.items()})

    def _taken_back(self, connection: Connection, topic: Topic[Any, Any], owners: Mapping[str, str]) -> set[str]:
        """The keys of those whose owners were erased; they are taken out of the topic."""
        erased = repository.erased(connection, set(owners.values())) if owners else set()
        gone = {key for key, user_id in owners.items() if user_id in erased}
        people.take_back(connection, self._outbox, topic.name, sorted(gone), self._clock())
        return gone

    # What people see

    def reader(self, connection: Connection, caller: Caller) -> Reader:
        """Who asks, as they are known. Raises a problem where they were erased."""
        return people.reader(connection, caller.user_id, self._clock())

    def balances(self, connection: Connection, caller: Caller, currency: Currency | None) -> Answer:
        """The caller's accounts, and their totals."""
        reader = self.reader(connection, caller)
        found = repository.accounts(connection, reader.user_id)
        sums: dict[Currency, int] = {}
        for row in found:
            of = Currency(row.currency)
            sums[of] = sums.get(of, 0) + (row.booked_minor or 0)
        whole = None
        if currency is not None:
            whole = summaries.total(currency, sums, reader.today, self._rates(connection, currency, sums, reader.today))
        totals = [TotalOf(currency=str(of.value), amount_minor=minor, missing=[]) for of, minor in sums.items()]
        totals.sort(key=lambda one: one.currency)
        return ok(Balances(accounts=[_balance(row, reader) for row in found], totals=totals, total=whole))

    def net_worth(
        self,
        connection: Connection,
        caller: Caller,
        currency: Currency | None,
        first: date | None,
        last: date | None,
        every: Every,
    ) -> Answer:
        """What the caller had, over time."""
        reader = self.reader(connection, caller)
        last = last or reader.today
        first = first or max(date.min + timedelta(WORTH_DAYS), last) - timedelta(WORTH_DAYS - 1)
        _check_range(first, last, _points(first, last, every), POINTS_MAX)
        days = summaries.ends(first, last, every)
        before = repository.worth_before(connection, reader.user_id, first)
        series = summaries.worth(before, repository.worth_changes(connection, reader.user_id, first, last), days)
        whole = None
        if currency is not None:
            rates = self._rates(connection, currency, series, last, since=first)
            whole = summaries.worth_total(currency, days, series, rates)
        return ok(
            NetWorth(
                timezone=reader.timezone,
                from_date=first,
                to_date=last,
                every=every,
                currencies=[summaries.worth_series(of, days, amounts) for of, amounts in series.items()],
                total=whole,
            )
        )

    def cash_flow(
        self,
        connection: Connection,
        caller: Caller,
        currency: Currency | None,
        first: date | None,
        last: date | None,
    ) -> Answer:
        """What came in and went out, by month."""
        reader = self.reader(connection, caller)
        last = month_of(last or reader.today)
        first = month_of(first) if first is not None else _months_before(last, FLOW_MONTHS - 1)
        count = (last.year - first.year) * 12 + last.month - first.month + 1
        _check_range(first, last, count, MONTHS_MAX)
        flows = repository.flows(connection, reader.user_id, first, last)
        rates = self._rates(connection, currency, {row[0] for row in flows}, reader.today, since=first)
        months = summaries.cash_flow(flows, [add_months(first, n) for n in range(count)], reader.today, currency, rates)
        return ok(CashFlow(timezone=reader.timezone, months=months))

    def spending(self, connection: Connection, caller: Caller, currency: Currency | None, month: date | None) -> Answer:
        """What was spent in a month, beside what is usual."""
        reader = self.reader(connection, caller)
        month = month_of(month or reader.today)
        if _months_before(month, summaries.USUAL_MONTHS_MAX) == date.min:
            raise _bad_range("month", "that is before there was money")
        compared = summaries.comparison(month, reader.today, repository.first_day(connection, reader.user_id))
        spent = list(repository.spent(connection, reader.user_id, compared.first, compared.until))
        rates = self._rates(connection, currency, {row[0] for row in spent}, compared.until, since=compared.first)
        categories, totals = summaries.spending(spent, compared, currency, rates)
        return ok(
            Spending(
                timezone=reader.timezone,
                month=f"{month:%Y-%m}",
                until=compared.until,
                usual_months=compared.usual_months,
                categories=categories,
                totals=totals,
            )
        )

    def recurring(
        self, connection: Connection, caller: Caller, cursor: str | None, limit: int
    ) -> tuple[list[RecurringView], str | None]:
        """What recurs, and the cursor of what follows."""
        reader = self.reader(connection, caller)
        after = None
        if cursor is not None:
            next_on, recurring_id = decode_cursor(cursor, str, str)
            after = (str(next_on), str(recurring_id))
        found = repository.recurring(connection, reader.user_id, after, limit + 1)
        shown = found[:limit]
        following = encode_cursor(shown[-1].next_on, shown[-1].recurring_id) if len(found) > limit else None
        return [_recurring(row, reader) for row in shown], following

    def rates(self, connection: Connection, caller: Caller, day: date | None) -> Answer:
        """The rates that hold on a day."""
        day = day or self.reader(connection, caller).today
        found = repository.latest_rates(connection, day)
        items = [
            RateView(base=row.base, quote=row.quote, day=date.fromisoformat(row.day), rate=rate_text(row.rate_e9))
            for row in found
        ]
        return ok(RateList(day=day, items=items))

    def _rates(
        self,
        connection: Connection,
        currency: Currency | None,
        others: Mapping[Currency, Any] | set[Currency],
        until: date,
        *,
        since: date | None = None,
    ) -> Rates:
        if currency is None:
            return Rates({})
        return repository.rates(connection, {currency, *others}, since or until, until)


def _remove_recurring(connection: Connection, tombstones: Sequence[Record]) -> None:
    keys = [RECURRING_FOUND.key.deserialize(record.key) for record in tombstones if record.key is not None]
    repository.remove_recurring(connection, keys)


def _nothing(connection: Connection, tombstones: Sequence[Record]) -> None:
    """Erasure is told by ``user.key``."""


def _balance(row: Row[Any], reader: Reader) -> BalanceOf:
    return BalanceOf(
        account_id=row.account_id,
        name=reader.opened(row.name),
        kind=AccountKind(row.kind),
        currency=row.currency,
        balance_minor=row.booked_minor or 0,
        is_closed=row.is_closed,
        changed_at=None if row.changed_at is None else to_datetime(row.changed_at),
    )


def _recurring(row: Row[Any], reader: Reader) -> RecurringView:
    payment = _decode_payment(row.payment)
    return RecurringView(
        id=payment.recurring_id,
        account_id=row.account_id,
        counterparty=reader.opened(row.counterparty),
        credit_debit=CreditDebit(row.credit_debit),
        currency=row.currency,
        status=status(payment, reader.today),
        **{name: getattr(payment, name) for name in _PAYMENT_FIELDS},
    )


_decode_payment = msgspec.json.Decoder(RecurringPayment).decode
_PAYMENT_FIELDS = tuple(name for name in RecurringPayment.__struct_fields__ if name != "recurring_id")


def _points(first: date, last: date, every: Every) -> int:
    days_each = {Every.DAY: 1, Every.WEEK: 7, Every.MONTH: 28}[every]
    return (last - first).days // days_each + 1


def _check_range(first: date, last: date, count: int, most: int) -> None:
    if first > last:
        raise _bad_range("from", "the range ends before it begins")
    if count > most:
        raise _bad_range("from", f"the range has more than {most} points: ask for less, or for fewer in it")


def _bad_range(parameter: str, detail: str) -> Problem:
    return Problem(422, "invalid-field", detail, errors=[FieldProblem(parameter, detail, "query")])


def _months_before(month: date, count: int) -> date:
    """So many months earlier; the first day of all where there are not as many."""
    try:
        return add_months(month, -count)
    except OverflowError:
        return date.min
