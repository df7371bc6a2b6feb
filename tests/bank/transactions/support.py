"""A transactions service put together for tests, with users that it knows, and short ways to use it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from streambank.bank.events import ACCOUNT, BALANCE_CHANGED, USER_KEY, Account, BalanceChanged, UserKey
from streambank.bank.events.personal import unseal
from streambank.bank.transactions.batch import Recorded, decode_line
from streambank.bank.transactions.entries import NewEntry
from streambank.bank.transactions.models import DATABASE
from streambank.bank.transactions.schemas import (
    AccountView,
    BalanceView,
    BookTransaction,
    ChangeTransaction,
    NewTransaction,
    OpenAccount,
    ReverseTransaction,
    TransactionView,
)
from streambank.bank.transactions.service import TransactionsService
from streambank.bank.transactions.verification import check_ledger
from streambank.log import EventLog, Record, TopicPartition
from streambank.log.embedded import EmbeddedLog
from streambank.service.database import Database
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1000)
TODAY = date(2026, 11, 24)
SCOPES = frozenset({"transactions:read", "transactions:write"})

T = TypeVar("T")


class Ticker:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def caller(user_id: str = "ada") -> Caller:
    return Caller(user_id, SCOPES, "test", "t", 0)


def key_of(user_id: str) -> bytes:
    return (user_id.encode() * 64)[:64]


def know(log: EventLog, *user_ids: str) -> None:
    """Publish the keys of users, as the users service does."""
    producer = log.producer()
    with producer.transaction() as transaction:
        for user_id in user_ids:
            event = UserKey(user_id=user_id, occurred_at=NOON, recorded_at=NOON, event_id="k", key=key_of(user_id))
            USER_KEY.write(transaction, user_id, event, NOON_MS)
    producer.close()


def forget(log: EventLog, *user_ids: str) -> None:
    """Publish the tombstones of users."""
    producer = log.producer()
    with producer.transaction() as transaction:
        for user_id in user_ids:
            USER_KEY.write(transaction, user_id, None, NOON_MS)
    producer.close()


def records(log: EventLog, topic: str) -> list[Record]:
    return [r for p in range(log.topics()[topic].partitions) for r in log.read(TopicPartition(topic, p), 0)]


class Bench:
    """A service and what is around it; each call is a transaction of its own."""

    def __init__(self, log: EventLog, database: Database, clock: Ticker) -> None:
        self.log = log
        self.database = database
        self.clock = clock
        self.service = TransactionsService(log, database, clock=clock, random_bytes=Random(1).randbytes)

    def do(self, work: Callable[[Connection], T]) -> T:
        with self.database.begin() as connection:
            return work(connection)

    def look(self, work: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return work(connection)

    def know(self, *user_ids: str) -> None:
        know(self.log, *user_ids)
        self.settle()

    def forget(self, *user_ids: str) -> None:
        forget(self.log, *user_ids)
        self.settle()

    def settle(self) -> None:
        """Step until nothing is left to do. The first step may only join the group."""
        self.service.step()
        while self.service.step():
            pass

    def open(self, user_id: str = "ada", **body: Any) -> str:
        """Open an account; its id."""
        told = OpenAccount(**{"name": "Checking", "currency": "EUR", **body})
        answer = self.do(lambda c: self.service.open_account(c, caller(user_id), told))
        assert isinstance(answer.body, AccountView)
        return answer.body.id

    def post(self, account_id: str, signed_minor: int, user_id: str = "ada", **body: Any) -> TransactionView:
        """Record an entry as a person does."""
        told = NewTransaction(**transaction(account_id, signed_minor, **body))
        return entry_of(self.do(lambda c: self.service.record(c, caller(user_id), told)))

    def batch(self, *lines: dict[str, Any] | bytes, user_id: str = "ada") -> list[Recorded | Problem]:
        decoded = [decode_line(line if isinstance(line, bytes) else msgspec.json.encode(line)) for line in lines]
        return self.do(lambda c: self.service.record_lines(c, caller(user_id), decoded))

    def book(self, entry_id: str, user_id: str = "ada", **body: Any) -> TransactionView:
        told = BookTransaction(**body)
        return entry_of(self.do(lambda c: self.service.book(c, caller(user_id), entry_id, told)))

    def void(self, entry_id: str, user_id: str = "ada") -> TransactionView:
        return entry_of(self.do(lambda c: self.service.void(c, caller(user_id), entry_id)))

    def reverse(self, entry_id: str, user_id: str = "ada", **body: Any) -> TransactionView:
        told = ReverseTransaction(**body)
        return entry_of(self.do(lambda c: self.service.reverse(c, caller(user_id), entry_id, told)))

    def edit(self, entry_id: str, user_id: str = "ada", expected: int | None = None, **body: Any) -> TransactionView:
        told = ChangeTransaction(**body)
        who = caller(user_id)
        return entry_of(self.do(lambda c: self.service.change_transaction(c, who, entry_id, told, expected)))

    def entry(self, entry_id: str, user_id: str = "ada") -> TransactionView:
        return entry_of(self.look(lambda c: self.service.get_transaction(c, caller(user_id), entry_id)))

    def balance(self, account_id: str, user_id: str = "ada") -> BalanceView:
        answer = self.look(lambda c: self.service.get_balance(c, caller(user_id), account_id))
        assert isinstance(answer.body, BalanceView)
        return answer.body

    def account(self, account_id: str, user_id: str = "ada") -> AccountView:
        answer = self.look(lambda c: self.service.get_account(c, caller(user_id), account_id))
        assert isinstance(answer.body, AccountView)
        return answer.body

    def faults(self) -> list[str]:
        return self.look(check_ledger)

    def published(self) -> list[BalanceChanged]:
        """All entries in the log, in their order within each partition."""
        return [BALANCE_CHANGED.value.deserialize(r.value or b"") for r in records(self.log, BALANCE_CHANGED.name)]

    def accounts_published(self) -> list[Account | None]:
        found = records(self.log, ACCOUNT.name)
        return [None if r.value is None else ACCOUNT.value.deserialize(r.value) for r in found]


def transaction(account_id: str, signed_minor: int, currency: str = "EUR", **body: Any) -> dict[str, Any]:
    """The body of a request, or a line of a batch."""
    return {
        "account_id": account_id,
        "credit_debit": "CRDT" if signed_minor > 0 else "DBIT",
        "amount": {"amount_minor": abs(signed_minor), "currency": currency},
        "booking_date": TODAY.isoformat(),
        **body,
    }


def line(account_id: str, signed_minor: int, external_id: str, **body: Any) -> dict[str, Any]:
    return transaction(account_id, signed_minor, external_id=external_id, **body)


def new_entry(signed_minor: int, external_id: str, account_id: str = "", **body: Any) -> NewEntry:
    return msgspec.convert(line(account_id, signed_minor, external_id, **body), NewEntry)


def entry_of(answer: Answer) -> TransactionView:
    assert isinstance(answer.body, TransactionView)
    return answer.body


def signed(view: TransactionView | BalanceChanged) -> int:
    if isinstance(view, BalanceChanged):
        return view.signed_minor
    sign = 1 if view.credit_debit.value == "CRDT" else -1
    return sign * view.amount.amount_minor


def opened(user_id: str, sealed: str | None) -> str | None:
    """What a sealed text says."""
    return None if sealed is None else unseal(key_of(user_id), user_id, sealed)


@contextmanager
def made(folder: Path, where: Path | URL, *user_ids: str, clock: Ticker | None = None) -> Iterator[Bench]:
    """A bench whose users are known."""
    with EmbeddedLog.open(folder / "log") as log:
        database = Database.open(where, *DATABASE)
        bench = Bench(log, database, clock or Ticker())
        try:
            if user_ids:
                bench.know(*user_ids)
            yield bench
        finally:
            bench.service.close()
            database.close()
