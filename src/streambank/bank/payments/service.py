"""The payments service: transfers, standing orders, requests for money, aliases and where people are paid to.

Its methods are the use cases. Each works within the caller's database transaction and never commits; what it raises as
a :class:`~streambank.service.http.problems.Problem` is the answer, and leaves everything as it was.
"""

import os
import threading
from collections.abc import Callable, Sequence

from iso4217 import Currency
from sqlalchemy import Connection, bindparam, select

from streambank.bank.events import (
    ACCOUNT,
    PAYMENT_REQUEST,
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    TRANSFER_REQUESTED,
    TRANSFER_SCREENED,
    TRANSFER_STATUS,
    USER_KEY,
    USER_LIMITS,
    USER_PROFILE,
    Account,
    MoneyError,
    RequestState,
    TransferOutcome,
    TransferScreened,
    TransferState,
    UserKey,
    UserLimits,
    UserProfile,
    parse_currency,
)
from streambank.bank.payments import accounts, orders, payees, people, repository, requests, transfers
from streambank.bank.payments.models import PAYMENT_REQUEST as PAYMENT_REQUEST_TABLE
from streambank.bank.payments.models import STANDING_ORDER, TRANSFER
from streambank.bank.payments.saga import Saga
from streambank.bank.payments.schemas import (
    AliasBody,
    AliasView,
    ChangeOrder,
    NewOrder,
    NewRequest,
    NewTransfer,
    OrderView,
    PayRequest,
    ReceivingBody,
    ReceivingList,
    ReceivingView,
    RefundTransfer,
    RequestView,
    TransferView,
)
from streambank.bank.payments.settings import PaymentsSettings
from streambank.bank.payments.states import Happening
from streambank.clock import Clock, system_clock
from streambank.ids import RandomBytes, uuid7
from streambank.log import EventLog, Record
from streambank.service.database import Database
from streambank.service.http import idempotency
from streambank.service.http.answers import Answer, created, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.cursors import decode_cursor, encode_cursor
from streambank.service.http.problems import conflict, not_found, unprocessable
from streambank.service.outbox import Outbox, OutboxRelay
from streambank.service.projection import Projection, Received, Subscription
from streambank.service.workers import GRACE_S, run_workers
from streambank.streams.serde import Serde

NAME = "payments"
"""The service's name, also of its consumer group: dead letters go to ``payments.dlq``."""

RECEIVES = (USER_KEY, USER_PROFILE, USER_LIMITS, ACCOUNT, TRANSFER_SCREENED, TRANSFER_OUTCOME)
"""What its projection reads."""

SENDS = (TRANSFER_REQUESTED, TRANSFER_INSTRUCTED, TRANSFER_STATUS, PAYMENT_REQUEST)

DUE_INTERVAL_S = 1.0
"""How often is looked for what is due: a time-out or a standing order may be late by so much."""


class PaymentsService:
    """One process's share of the service. Several may run on the same log and database."""

    def __init__(
        self,
        log: EventLog,
        database: Database,
        settings: PaymentsSettings | None = None,
        *,
        clock: Clock = system_clock,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Create the topics the service uses, and tie the database to the log.

        Args:
            log: the event log.
            database: opened with :data:`streambank.bank.payments.models.DATABASE`; the caller closes both.
            settings: how transfers are screened, and how long they wait.
            clock: the present.
            random_bytes: for ids, and for the waits between repeated instructions.

        Raises:
            WrongLogError: the database belongs to another log.
            TopicMismatchError: a topic exists with other settings.
        """
        log.create_topics(topic.config for topic in SENDS)
        outbox_id = database.bind_log(log.log_id, uuid7(clock(), random_bytes))
        outbox = Outbox()
        self._database = database
        self.saga = Saga(outbox, settings or PaymentsSettings(), clock, random_bytes)
        self.saga.ended.append(lambda connection, row: requests.settle(connection, self.saga, row))
        self.relay = OutboxRelay(log, database, service=NAME, outbox_id=outbox_id, clock=clock)
        self.due = Due(self)
        self.projection = Projection(
            log,
            database,
            outbox,
            group=NAME,
            subscriptions=[
                Subscription(USER_KEY, self._learn_keys, _each(USER_KEY.key, self.erase)),
                Subscription(USER_PROFILE, self._learn_profiles, _each(USER_PROFILE.key, self._forget_profile)),
                Subscription(USER_LIMITS, self._learn_limits, _each(USER_LIMITS.key, people.forget_limits)),
                Subscription(ACCOUNT, self._learn_accounts, _each(ACCOUNT.key, accounts.forget)),
                Subscription(TRANSFER_SCREENED, self._screened),
                Subscription(TRANSFER_OUTCOME, self._answered),
            ],
            on_stored=self.due.wake,
        )

    def run(self, stop: threading.Event, *, grace_s: float = GRACE_S) -> None:
        """Work until ``stop`` is set, and return at most ``grace_s`` later. Raises what ends a part of the service."""
        run_workers(stop, [self.projection, self.due, self.relay], grace_s=grace_s)

    def step(self) -> int:
        """Take what is there, do what is due and publish what came of it; how many were done. For tests."""
        done = self.projection.step(0) + self.do_due()
        while published := self.relay.step():
            done += published
        return done

    def close(self) -> None:
        """Leave the group, as :meth:`run` does at its end. For those who call :meth:`step`."""
        self.projection.close()
        self.relay.close()

    def do_due(self) -> int:
        """Go on with transfers whose wait is over, make standing orders, end requests; how many.

        Each kind in a transaction of its own, which is bounded.
        """
        now_ms = self.saga.clock()
        with self._database.read() as connection:
            # A look costs no lock; nearly always nothing is due.
            if not any(connection.scalar(due, {"now_ms": now_ms}) is not None for due in _ANY_DUE):
                return 0
        done = 0
        for work in (
            self.saga.look_at_due,
            lambda connection: orders.make_due(connection, self.saga),
            lambda connection: requests.expire_due(connection, self.saga),
        ):
            with self._database.begin() as connection:
                done += work(connection)
        return done

    # What the log tells

    def _learn_keys(self, connection: Connection, received: Sequence[Received[UserKey]]) -> None:
        for item in received:
            if people.learn_key(connection, item.value, self.saga.clock()):
                self._found(connection, item.value.user_id)

    def _learn_profiles(self, connection: Connection, received: Sequence[Received[UserProfile]]) -> None:
        for item in received:
            if people.learn_profile(connection, item.value, self.saga.clock()):
                self._found(connection, item.value.user_id)

    def _found(self, connection: Connection, user_id: str) -> None:
        """Somebody can be paid, at another address or in another time zone than before."""
        address_key = people.verified_address_key(connection, user_id)
        repository.hurry(connection, user_id, address_key, self.saga.clock())
        if address_key is not None:
            requests.find_asked(connection, self.saga, user_id, address_key)
        orders.move_days(connection, user_id)

    def _forget_profile(self, connection: Connection, user_id: str) -> None:
        self._forget_address(connection, user_id)
        people.forget_profile(connection, user_id)

    def _forget_address(self, connection: Connection, user_id: str) -> None:
        """Take the address of who is erased off what others made for it. It is known for as long as the profile is."""
        address_key = people.verified_address_key(connection, user_id)
        if address_key is not None:
            orders.forget_address(connection, address_key)
            requests.forget_address(connection, address_key)
            repository.forget_address(connection, user_id, address_key)

    def _learn_limits(self, connection: Connection, received: Sequence[Received[UserLimits]]) -> None:
        for item in received:
            people.learn_limits(connection, item.value)

    def _learn_accounts(self, connection: Connection, received: Sequence[Received[Account]]) -> None:
        for item in received:
            accounts.learn(connection, item.value)
            repository.hurry(connection, item.value.user_id, None, self.saga.clock())

    def _screened(self, connection: Connection, received: Sequence[Received[TransferScreened]]) -> None:
        self.saga.screened(connection, [item.value for item in received])

    def _answered(self, connection: Connection, received: Sequence[Received[TransferOutcome]]) -> None:
        self.saga.answered(connection, [item.value for item in received])

    def erase(self, connection: Connection, user_id: str) -> None:
        """A user was erased: what is on its way ends, and what names them goes."""
        self._forget_address(connection, user_id)
        orders.forget(connection, user_id)
        if people.forget(connection, user_id, self.saga.clock()):
            for row in repository.of_user(connection, user_id):
                self.saga.advance(connection, row, Happening.ERASED)
            requests.forget(connection, self.saga, user_id)
            repository.forget_texts(connection, user_id)
            idempotency.forget(connection, user_id)

    # Transfers

    def create_transfer(self, connection: Connection, caller: Caller, body: NewTransfer) -> Answer:
        """Pay somebody."""
        view = transfers.view(connection, transfers.create(connection, self.saga, caller.user_id, body), caller.user_id)
        return created(view, f"/v1/transfers/{view.id}", version=view.version)

    def list_transfers(
        self,
        connection: Connection,
        caller: Caller,
        state: TransferState | None,
        incoming: bool | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[TransferView], str | None]:
        """Transfers, the latest first, and the cursor of those that follow."""
        before = None
        if cursor is not None:
            created_at, transfer_id = decode_cursor(cursor, int, str)
            before = (int(created_at), str(transfer_id))
        steps = transfers.steps_of(state)
        rows = repository.page(
            connection, caller.user_id, incoming=incoming, steps=steps, before=before, limit=limit + 1
        )
        following = (
            encode_cursor(rows[limit - 1].created_at, rows[limit - 1].transfer_id) if len(rows) > limit else None
        )
        return transfers.views(connection, rows[:limit], caller.user_id), following

    def get_transfer(self, connection: Connection, caller: Caller, transfer_id: str) -> Answer:
        """One transfer."""
        view = transfers.view(connection, transfers.one(connection, caller.user_id, transfer_id), caller.user_id)
        return ok(view, version=view.version)

    def cancel_transfer(self, connection: Connection, caller: Caller, transfer_id: str) -> Answer:
        """Take a transfer back."""
        row = transfers.cancel(connection, self.saga, caller.user_id, transfer_id)
        view = transfers.view(connection, row, caller.user_id)
        return ok(view, version=view.version)

    def refund_transfer(self, connection: Connection, caller: Caller, transfer_id: str, body: RefundTransfer) -> Answer:
        """Give a transfer back."""
        row = transfers.refund(connection, self.saga, caller.user_id, transfer_id, body.remittance)
        view = transfers.view(connection, row, caller.user_id)
        return created(view, f"/v1/transfers/{view.id}", version=view.version)

    # Standing orders

    def create_order(self, connection: Connection, caller: Caller, body: NewOrder) -> Answer:
        """Set a standing order up."""
        view = orders.view(orders.create(connection, self.saga, caller.user_id, body))
        return created(view, f"/v1/standing-orders/{view.id}", version=view.version)

    def list_orders(
        self, connection: Connection, caller: Caller, cursor: str | None, limit: int
    ) -> tuple[list[OrderView], str | None]:
        """Standing orders, the oldest first, and the cursor of those that follow."""
        rows = orders.page(connection, caller.user_id, _place(cursor), limit + 1)
        following = encode_cursor(rows[limit - 1].order_id) if len(rows) > limit else None
        return [orders.view(row) for row in rows[:limit]], following

    def get_order(self, connection: Connection, caller: Caller, order_id: str) -> Answer:
        """One standing order."""
        view = orders.view(orders.one(connection, caller.user_id, order_id))
        return ok(view, version=view.version)

    def change_order(
        self, connection: Connection, caller: Caller, order_id: str, body: ChangeOrder, expected: int | None
    ) -> Answer:
        """Change a standing order."""
        view = orders.view(orders.change(connection, self.saga, caller.user_id, order_id, body, expected))
        return ok(view, version=view.version)

    def end_order(self, connection: Connection, caller: Caller, order_id: str, expected: int | None) -> Answer:
        """End a standing order."""
        orders.end(connection, caller.user_id, order_id, expected)
        return no_content()

    # Requests for money

    def create_request(self, connection: Connection, caller: Caller, body: NewRequest) -> Answer:
        """Ask for money."""
        row = requests.create(connection, self.saga, caller.user_id, body)
        view = requests.view(connection, row, caller.user_id)
        return created(view, f"/v1/payment-requests/{view.id}", version=view.version)

    def list_requests(
        self,
        connection: Connection,
        caller: Caller,
        state: RequestState | None,
        incoming: bool | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[RequestView], str | None]:
        """Requests, the latest first, and the cursor of those that follow."""
        place = _place(cursor)
        rows = requests.page(connection, caller.user_id, incoming=incoming, state=state, before=place, limit=limit + 1)
        following = encode_cursor(rows[limit - 1].request_id) if len(rows) > limit else None
        return requests.views(connection, rows[:limit], caller.user_id), following

    def get_request(self, connection: Connection, caller: Caller, request_id: str) -> Answer:
        """One request."""
        row = requests.one(connection, caller.user_id, request_id)
        view = requests.view(connection, row, caller.user_id)
        return ok(view, version=view.version)

    def pay_request(self, connection: Connection, caller: Caller, request_id: str, body: PayRequest) -> Answer:
        """Pay what is asked for."""
        row = requests.pay(connection, self.saga, caller.user_id, request_id, body)
        view = transfers.view(connection, row, caller.user_id)
        return created(view, f"/v1/transfers/{view.id}", version=view.version)

    def decline_request(self, connection: Connection, caller: Caller, request_id: str) -> Answer:
        """Decline to pay."""
        row = requests.decline(connection, self.saga, caller.user_id, request_id)
        view = requests.view(connection, row, caller.user_id)
        return ok(view, version=view.version)

    def cancel_request(self, connection: Connection, caller: Caller, request_id: str) -> Answer:
        """Ask no longer."""
        row = requests.cancel(connection, self.saga, caller.user_id, request_id)
        view = requests.view(connection, row, caller.user_id)
        return ok(view, version=view.version)

    # How one is paid

    def get_alias(self, connection: Connection, caller: Caller) -> Answer:
        """The caller's alias."""
        person = people.known(connection, caller.user_id)
        return ok(AliasView(alias=None if person is None else person.alias))

    def set_alias(self, connection: Connection, caller: Caller, body: AliasBody) -> Answer:
        """Take an alias that nobody else has."""
        people.caller(connection, caller.user_id)
        try:
            alias = payees.parse_alias(body.alias)
        except payees.PayeeError as error:
            raise unprocessable("/alias", str(error)) from None
        if payees.is_reserved(alias):
            raise conflict("alias-taken", "this alias would be taken for the bank's own")
        key = payees.alias_key(alias)
        if people.find(connection, payees.Handle("alias", alias, key)) not in (None, caller.user_id):
            raise conflict("alias-taken", "somebody else has this alias")
        people.set_alias(connection, caller.user_id, alias, key)
        return ok(AliasView(alias=alias))

    def remove_alias(self, connection: Connection, caller: Caller) -> Answer:
        """Give the alias up. Payments that are on their way still arrive."""
        people.caller(connection, caller.user_id)
        people.set_alias(connection, caller.user_id, None, None)
        return no_content()

    def list_receiving(self, connection: Connection, caller: Caller) -> Answer:
        """Where the caller is paid to, in each currency that they have an account in."""
        user_id, chosen = caller.user_id, accounts.chosen_receiving(connection, caller.user_id)
        wanted = sorted(chosen.keys() | set(accounts.currencies(connection, user_id)))
        return ok(ReceivingList(items=[_receiving(connection, user_id, code, chosen.get(code)) for code in wanted]))

    def set_receiving(self, connection: Connection, caller: Caller, currency: str, body: ReceivingBody) -> Answer:
        """Be paid to this account from now on."""
        people.caller(connection, caller.user_id)
        code, now_ms = _currency(currency).value, self.saga.clock()
        accounts.owned(connection, caller.user_id, body.account_id, code, "/account_id", now_ms)
        accounts.choose_receiving(connection, caller.user_id, code, body.account_id)
        repository.hurry(connection, caller.user_id, None, now_ms)
        return ok(_receiving(connection, caller.user_id, code, body.account_id))

    def reset_receiving(self, connection: Connection, caller: Caller, currency: str) -> Answer:
        """Be paid to the first checking account again."""
        accounts.choose_receiving(connection, caller.user_id, _currency(currency).value, None)
        return no_content()


class Due:
    """The worker that does what is due."""

    name = f"{NAME}-due"

    def __init__(self, service: PaymentsService) -> None:
        self._service = service
        self._wake = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Look every :data:`DUE_INTERVAL_S`, until ``stop`` is set and :meth:`interrupt` was called."""
        while not stop.is_set():
            if not self._service.do_due():
                self._wake.wait(DUE_INTERVAL_S)
            self._wake.clear()

    def wake(self) -> None:
        """Something may be due now. May be called from any thread."""
        self._wake.set()

    interrupt = wake


_ANY_DUE = (
    select(TRANSFER.c.transfer_id).where(TRANSFER.c.due_at <= bindparam("now_ms")).limit(1),
    select(STANDING_ORDER.c.order_id).where(STANDING_ORDER.c.due_at <= bindparam("now_ms")).limit(1),
    select(PAYMENT_REQUEST_TABLE.c.request_id)
    .where(PAYMENT_REQUEST_TABLE.c.state == RequestState.OPEN.value)
    .where(PAYMENT_REQUEST_TABLE.c.expires_at <= bindparam("now_ms"), PAYMENT_REQUEST_TABLE.c.transfer_id.is_(None))
    .limit(1),
)


def _each(key: Serde[str], forget: Callable[[Connection, str], None]) -> Callable[[Connection, Sequence[Record]], None]:
    """What to do with tombstones: forget what each is the key of."""

    def remove(connection: Connection, tombstones: Sequence[Record]) -> None:
        for record in tombstones:
            if record.key is not None:
                forget(connection, key.deserialize(record.key))

    return remove


def _receiving(connection: Connection, user_id: str, currency: str, chosen_id: str | None) -> ReceivingView:
    account_id = accounts.receiving(connection, user_id, currency)
    is_chosen = account_id is not None and account_id == chosen_id
    return ReceivingView(currency=currency, account_id=account_id, chosen=is_chosen)


def _currency(code: str) -> Currency:
    try:
        return parse_currency(code)
    except MoneyError:
        raise not_found("currency") from None


def _place(cursor: str | None) -> str | None:
    return None if cursor is None else str(decode_cursor(cursor, str)[0])
