"""Payments and the ledger put together for tests, on one log, with people who are known to both."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from tests.bank.transactions.support import NOON, NOON_MS, Bench, Ticker, key_of, records

from streambank.bank.events import (
    PAYMENT_REQUEST,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    TRANSFER_SCREENED,
    TRANSFER_STATUS,
    USER_KEY,
    USER_LIMITS,
    USER_PROFILE,
    PaymentLimit,
    PaymentRequested,
    Role,
    TransferChanged,
    TransferScreened,
    UserLimits,
    UserProfile,
    Verdict,
)
from streambank.bank.events.personal import seal
from streambank.bank.payments.models import DATABASE as PAYMENTS_DATABASE
from streambank.bank.payments.schemas import (
    AliasBody,
    ChangeOrder,
    NewOrder,
    NewRequest,
    NewTransfer,
    OrderView,
    PayRequest,
    ReceivingBody,
    RefundTransfer,
    RequestView,
    TransferView,
)
from streambank.bank.payments.service import PaymentsService
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.transactions.models import DATABASE as LEDGER_DATABASE
from streambank.bank.transactions.schemas import MemberBody
from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog
from streambank.service.backoff import Backoff
from streambank.service.database import Database
from streambank.service.http.answers import Answer
from streambank.service.http.caller import Caller

T = TypeVar("T")

SCOPES = frozenset({"payments:read", "payments:write"})

SETTINGS = PaymentsSettings(repeat=Backoff(first_ms=30_000, most_ms=60_000))


def caller(user_id: str = "ada") -> Caller:
    return Caller(user_id, SCOPES, "test", "t", 0)


def profile(user_id: str, *, name: str | None = None, email: str | None = None, **more: Any) -> UserProfile:
    """A profile as the users service publishes it."""
    key = key_of(user_id)
    return UserProfile(
        user_id=user_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="p",
        email=seal(key, user_id, email or f"{user_id}@example.org"),
        name=seal(key, user_id, name or user_id.title()),
        **more,
    )


class Bank:
    """Both services; each call is a transaction of its own, and :meth:`settle` lets them talk."""

    def __init__(
        self, log: EventLog, ledger: Database, payments: Database, clock: Ticker, settings: PaymentsSettings
    ) -> None:
        self.log, self.clock, self.settings, self.database = log, clock, settings, payments
        self.random = Random(2)
        self.ledger = Bench(log, ledger, clock)
        self.payments = self.new_service()

    def new_service(self) -> PaymentsService:
        return PaymentsService(
            self.log, self.database, self.settings, clock=self.clock, random_bytes=self.random.randbytes
        )

    def publish(self, topic: Any, key: str, value: Any) -> None:
        producer = self.log.producer()
        with producer.transaction() as transaction:
            topic.write(transaction, key, value, self.clock())
        producer.close()

    def know(self, *user_ids: str, **more: Any) -> None:
        self.ledger.know(*user_ids)
        for user_id in user_ids:
            self.publish(USER_PROFILE, user_id, profile(user_id, **more))
        self.settle()

    def erase(self, user_id: str) -> None:
        self.publish(USER_PROFILE, user_id, None)
        self.publish(USER_KEY, user_id, None)
        self.settle()

    def limit(self, user_id: str = "ada", **limit: Any) -> None:
        one = msgspec.convert({"currency": "EUR", **limit}, PaymentLimit)
        event = UserLimits(user_id=user_id, occurred_at=NOON, recorded_at=NOON, event_id="l", limits=(one,))
        self.publish(USER_LIMITS, user_id, event)
        self.settle()

    def settle(self) -> None:
        """Step until nothing is left to do. The first step may only join the group."""
        idle = 0
        while idle < 2:
            idle = 0 if self.ledger.service.step() + self.payments.step() else idle + 1

    def wait(self, ms: int) -> None:
        """Time passes."""
        self.clock.now_ms += ms
        self.settle()

    def do(self, work: Callable[[Connection], Answer]) -> Any:
        with self.database.begin() as connection:
            return work(connection).body

    def look(self, work: Callable[[Connection], T]) -> T:
        with self.database.read() as connection:
            return work(connection)

    def open(self, user_id: str = "ada", minor: int = 0, **body: Any) -> str:
        """Open an account with money on it; its id."""
        account_id = self.ledger.open(user_id, **body)
        if minor:
            self.ledger.post(account_id, minor, user_id, currency=body.get("currency", "EUR"))
        self.settle()
        return account_id

    def pay(self, account_id: str, minor: int, payee: str | None, user_id: str = "ada", **body: Any) -> TransferView:
        amount = {"amount_minor": minor, "currency": body.pop("currency", "EUR")}
        told = NewTransfer(**{"debtor_account_id": account_id, "amount": amount, "payee": payee, **body})
        view = self.do(lambda c: self.payments.create_transfer(c, caller(user_id), told))
        assert isinstance(view, TransferView)
        return view

    def paid(self, account_id: str, minor: int, payee: str | None, user_id: str = "ada", **body: Any) -> TransferView:
        """Pay, and see what has become of it."""
        view = self.pay(account_id, minor, payee, user_id, **body)
        self.settle()
        return self.transfer(view.id, user_id)

    def transfer(self, transfer_id: str, user_id: str = "ada") -> TransferView:
        answer = self.look(lambda c: self.payments.get_transfer(c, caller(user_id), transfer_id))
        assert isinstance(answer.body, TransferView)
        return answer.body

    def transfers(self, user_id: str = "ada", **wanted: Any) -> list[TransferView]:
        told = {"state": None, "incoming": None, "cursor": None, "limit": 200, **wanted}
        return self.look(lambda c: self.payments.list_transfers(c, caller(user_id), **told))[0]

    def cancel(self, transfer_id: str, user_id: str = "ada") -> TransferView:
        view = self.do(lambda c: self.payments.cancel_transfer(c, caller(user_id), transfer_id))
        assert isinstance(view, TransferView)
        return view

    def refund(self, transfer_id: str, user_id: str = "bob") -> TransferView:
        body = RefundTransfer(remittance="sorry")
        view = self.do(lambda c: self.payments.refund_transfer(c, caller(user_id), transfer_id, body))
        assert isinstance(view, TransferView)
        return view

    def order(self, account_id: str, minor: int, payee: str | None, user_id: str = "ada", **body: Any) -> OrderView:
        amount = {"amount_minor": minor, "currency": "EUR"}
        told = NewOrder(**{"debtor_account_id": account_id, "amount": amount, "payee": payee, **body})
        view = self.do(lambda c: self.payments.create_order(c, caller(user_id), told))
        assert isinstance(view, OrderView)
        return view

    def get_order(self, order_id: str, user_id: str = "ada") -> OrderView:
        answer = self.look(lambda c: self.payments.get_order(c, caller(user_id), order_id))
        assert isinstance(answer.body, OrderView)
        return answer.body

    def change_order(self, order_id: str, user_id: str = "ada", **body: Any) -> OrderView:
        told, who = ChangeOrder(**body), caller(user_id)
        view = self.do(lambda c: self.payments.change_order(c, who, order_id, told, None))
        assert isinstance(view, OrderView)
        return view

    def end_order(self, order_id: str, user_id: str = "ada") -> None:
        self.do(lambda c: self.payments.end_order(c, caller(user_id), order_id, None))

    def ask(self, payer: str, minor: int, user_id: str = "bob", **body: Any) -> RequestView:
        told = NewRequest(**{"payer": payer, "amount": {"amount_minor": minor, "currency": "EUR"}, **body})
        view = self.do(lambda c: self.payments.create_request(c, caller(user_id), told))
        assert isinstance(view, RequestView)
        return view

    def request(self, request_id: str, user_id: str = "bob") -> RequestView:
        answer = self.look(lambda c: self.payments.get_request(c, caller(user_id), request_id))
        assert isinstance(answer.body, RequestView)
        return answer.body

    def pay_request(self, request_id: str, account_id: str, user_id: str = "ada") -> TransferView:
        body = PayRequest(debtor_account_id=account_id)
        view = self.do(lambda c: self.payments.pay_request(c, caller(user_id), request_id, body))
        assert isinstance(view, TransferView)
        return view

    def alias(self, alias: str, user_id: str = "bob") -> None:
        self.do(lambda c: self.payments.set_alias(c, caller(user_id), AliasBody(alias=alias)))

    def receive(self, account_id: str, user_id: str = "bob", currency: str = "EUR") -> None:
        body = ReceivingBody(account_id=account_id)
        self.do(lambda c: self.payments.set_receiving(c, caller(user_id), currency, body))

    def verdict(self, transfer_id: str, verdict: Verdict, reason: str | None = None) -> TransferScreened:
        """An answer as a screening topology gives it."""
        return TransferScreened(
            user_id="ada",
            occurred_at=NOON,
            recorded_at=NOON,
            event_id="s",
            transfer_id=transfer_id,
            verdict=verdict,
            reason=reason,
        )

    def screen(self, transfer_id: str, verdict: Verdict, reason: str | None = None) -> None:
        """Answer a transfer, and see what comes of it."""
        self.publish(TRANSFER_SCREENED, transfer_id, self.verdict(transfer_id, verdict, reason))
        self.settle()

    def repeat(self, *topics: str) -> None:
        """Everything on these topics comes once more, in the same order."""
        for name in topics or (TRANSFER_INSTRUCTED.name, TRANSFER_OUTCOME.name):
            for record in records(self.log, name):
                producer = self.log.producer()
                with producer.transaction() as transaction:
                    transaction.append(name, record.value, timestamp=record.timestamp, key=record.key)
                producer.close()
        self.settle()

    def booked(self, account_id: str, user_id: str = "ada") -> int:
        return self.ledger.balance(account_id, user_id).booked_minor

    def available(self, account_id: str, user_id: str = "ada") -> int:
        return self.ledger.balance(account_id, user_id).available_minor

    def statuses(self, transfer_id: str) -> list[TransferChanged]:
        """What was told of a transfer, in order."""
        found = [TRANSFER_STATUS.value.deserialize(r.value or b"") for r in records(self.log, TRANSFER_STATUS.name)]
        return [one for one in found if one.transfer_id == transfer_id]

    def states(self, transfer_id: str) -> list[str]:
        return [one.state.value for one in self.statuses(transfer_id)]

    def requests_told(self, request_id: str) -> list[PaymentRequested]:
        found = [PAYMENT_REQUEST.value.deserialize(r.value or b"") for r in records(self.log, PAYMENT_REQUEST.name)]
        return [one for one in found if one.request_id == request_id]

    def close(self) -> None:
        self.payments.close()
        self.ledger.service.close()


def share(bank: Bank, user_id: str, account_id: str, member_id: str, role: Role) -> None:
    """Let another use an account, or look at it."""
    body = MemberBody(role=role)
    bank.ledger.do(lambda c: bank.ledger.service.set_member(c, caller(user_id), account_id, member_id, body, None))
    bank.settle()


@contextmanager
def made(
    folder: Path | None,
    ledger: Path | URL,
    payments: Path | URL,
    *user_ids: str,
    clock: Ticker | None = None,
    settings: PaymentsSettings = SETTINGS,
    **more: Any,
) -> Iterator[Bank]:
    """A bank whose users are known. Without a folder its log is in memory."""
    with ExitStack() as stack:
        log = stack.enter_context(EmbeddedLog.open(None if folder is None else folder / "log"))
        databases = [
            Database.open(where, *tables)
            for where, tables in ((ledger, LEDGER_DATABASE), (payments, PAYMENTS_DATABASE))
        ]
        for database in databases:
            stack.callback(database.close)
        bank = Bank(log, databases[0], databases[1], clock or Ticker(NOON_MS), replace(settings, **more))
        stack.callback(bank.close)
        if user_ids:
            bank.know(*user_ids)
        yield bank
