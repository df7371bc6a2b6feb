"""Requests for money: one person asks, another pays or declines.

            create            :pay            transfer posted
    (none) --------> open ----------> open* ------------------> paid
                      | ^              |   transfer failed
                      | +--------------+
                      +-- :decline, :cancel, time --> declined, cancelled, expired

``open*`` has a transfer on its way, and waits for what becomes of it: nothing else ends it meanwhile.
"""

from collections.abc import Sequence

from iso4217 import Currency
from sqlalchemy import Connection, insert, or_, select, update

from streambank.bank.events import RequestState
from streambank.bank.payments import accounts, people, transfers
from streambank.bank.payments.events import Sides, payment_requested
from streambank.bank.payments.models import PAYMENT_REQUEST
from streambank.bank.payments.people import Person
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.saga import Saga
from streambank.bank.payments.schemas import MoneyView, NewRequest, PayRequest, RequestView
from streambank.bank.payments.settings import WAIT_MS_MAX
from streambank.bank.payments.states import FAILED, Step
from streambank.bank.payments.transfers import Payee, Wish
from streambank.clock import to_datetime, to_millis
from streambank.errors import check
from streambank.service.http.problems import conflict, forbidden, not_found, unprocessable

OPEN_MAX = 200
"""Open requests of one user, so that nobody is flooded with them."""

DUE_MAX = 100
"""Requests that expire in one transaction."""

_OPEN = RequestState.OPEN.value


def create(connection: Connection, saga: Saga, user_id: str, body: NewRequest) -> AnyRow:
    """Ask somebody for money. Whether the address has an account is not told."""
    people.caller(connection, user_id)
    currency = transfers.currency_of(body.amount).value
    payer = transfers.find_payee(connection, user_id, body.payer, "/payer")
    now_ms = saga.clock()
    if body.creditor_account_id is not None:
        accounts.owned(connection, user_id, body.creditor_account_id, currency, "/amount/currency", now_ms)
    expires_ms = now_ms + saga.settings.request_wait_ms
    if body.expires_at is not None:
        expires_ms = to_millis(body.expires_at)
        if not now_ms < expires_ms <= now_ms + WAIT_MS_MAX:
            raise unprocessable("/expires_at", f"within the next {WAIT_MS_MAX // 86_400_000} days")
    mine = select(PAYMENT_REQUEST.c.request_id).where(PAYMENT_REQUEST.c.creditor_user_id == user_id)
    if len(connection.execute(mine.where(PAYMENT_REQUEST.c.state == _OPEN).limit(OPEN_MAX)).all()) == OPEN_MAX:
        raise conflict("too-many-requests-open", f"a user has {OPEN_MAX} open requests at most")
    values: dict[str, object] = {
        "request_id": saga.new_id(),
        "state": _OPEN,
        "creditor_user_id": user_id,
        "creditor_account_id": body.creditor_account_id,
        "debtor_user_id": payer.user_id,
        "payer_text": payer.text,
        "payer_key": payer.key,
        "amount_minor": body.amount.amount_minor,
        "currency": currency,
        "remittance": body.remittance,
        "created_at": now_ms,
        "expires_at": expires_ms,
        "version": 1,
    }
    connection.execute(insert(PAYMENT_REQUEST), values)
    row = one(connection, user_id, str(values["request_id"]))
    _tell(connection, saga, row)
    return row


def one(connection: Connection, user_id: str, request_id: str) -> AnyRow:
    """A request by the user or to them. Raises a problem for any other."""
    row = _get(connection, request_id)
    if row is None or user_id not in (row.creditor_user_id, row.debtor_user_id):
        raise not_found("payment request")
    return row


def page(
    connection: Connection,
    user_id: str,
    *,
    incoming: bool | None,
    state: RequestState | None,
    before: str | None,
    limit: int,
) -> list[AnyRow]:
    """Requests by a user and to them, the latest first, at most ``limit``."""
    sides = {
        None: (PAYMENT_REQUEST.c.creditor_user_id, PAYMENT_REQUEST.c.debtor_user_id),
        False: (PAYMENT_REQUEST.c.creditor_user_id,),
        True: (PAYMENT_REQUEST.c.debtor_user_id,),
    }[incoming]
    rows: list[AnyRow] = []
    for side in sides:
        found = select(PAYMENT_REQUEST).where(side == user_id)
        if state is not None:
            found = found.where(PAYMENT_REQUEST.c.state == state.value)
        if before is not None:
            found = found.where(PAYMENT_REQUEST.c.request_id < before)
        rows += connection.execute(found.order_by(PAYMENT_REQUEST.c.request_id.desc()).limit(limit)).all()
    rows.sort(key=lambda row: str(row.request_id), reverse=True)
    return rows[:limit]


def pay(connection: Connection, saga: Saga, user_id: str, request_id: str, body: PayRequest) -> AnyRow:
    """Pay a request, within the payer's limits; the transfer."""
    payer = people.caller(connection, user_id)
    row = _still_open(connection, user_id, request_id, by_debtor=True)
    if row.expires_at <= saga.clock():
        raise conflict("request-expired", "the time of the request is over")
    accounts.owned(connection, user_id, body.debtor_account_id, row.currency, "/debtor_account_id", saga.clock())
    asker = people.known(connection, row.creditor_user_id)
    wish = Wish(
        transfer_id=saga.new_id(),
        debtor_account_id=body.debtor_account_id,
        payee=Payee(
            "known",
            None if asker is None else asker.name,
            row.creditor_user_id,
            row.creditor_user_id,
            row.creditor_account_id,
        ),
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        remittance=row.remittance,
        request_id=row.request_id,
    )
    transfer = transfers.start(connection, saga, payer, wish)
    _change(connection, row, {"transfer_id": wish.transfer_id})
    return transfer


def decline(connection: Connection, saga: Saga, user_id: str, request_id: str) -> AnyRow:
    """Say that one does not pay."""
    return _end(connection, saga, _still_open(connection, user_id, request_id, by_debtor=True), RequestState.DECLINED)


def cancel(connection: Connection, saga: Saga, user_id: str, request_id: str) -> AnyRow:
    """Ask no longer."""
    return _end(connection, saga, _still_open(connection, user_id, request_id, by_debtor=False), RequestState.CANCELLED)


def settle(connection: Connection, saga: Saga, transfer: AnyRow) -> None:
    """A transfer has ended: what it was to pay is paid, or open again."""
    row = None if transfer.request_id is None else _get(connection, transfer.request_id)
    if row is None or row.transfer_id != transfer.transfer_id or row.state != _OPEN:
        return
    step = Step(transfer.step)
    if step is Step.POSTED:
        _end(connection, saga, row, RequestState.PAID)
    elif step in FAILED:
        row = _change(connection, row, {"transfer_id": None})
        # One of them may have been erased meanwhile.
        if people.known(connection, row.creditor_user_id) is None:
            _end(connection, saga, row, RequestState.CANCELLED)
        elif people.known(connection, row.debtor_user_id) is None:
            _end(connection, saga, row, RequestState.DECLINED)


def expire_due(connection: Connection, saga: Saga) -> int:
    """End requests whose time is over and that nobody is paying, at most :data:`DUE_MAX`; how many."""
    due = (PAYMENT_REQUEST.c.state == _OPEN) & (PAYMENT_REQUEST.c.expires_at <= saga.clock())
    found = select(PAYMENT_REQUEST).where(due, PAYMENT_REQUEST.c.transfer_id.is_(None))
    rows = connection.execute(found.order_by(PAYMENT_REQUEST.c.expires_at).limit(DUE_MAX)).all()
    for row in rows:
        _end(connection, saga, row, RequestState.EXPIRED)
    return len(rows)


def find_asked(connection: Connection, saga: Saga, user_id: str, address_key: str) -> None:
    """Somebody has an address that was asked for money before: they see the requests from now on."""
    asked = (PAYMENT_REQUEST.c.payer_key == address_key) & PAYMENT_REQUEST.c.debtor_user_id.is_(None)
    found = select(PAYMENT_REQUEST).where(asked, PAYMENT_REQUEST.c.state == _OPEN)
    for row in connection.execute(found.where(PAYMENT_REQUEST.c.creditor_user_id != user_id)).all():
        # The asker could read from the version that somebody has signed up.
        _tell(connection, saga, _change(connection, row, {"debtor_user_id": user_id}, version=row.version))


def forget(connection: Connection, saga: Saga, user_id: str) -> None:
    """A user is erased: what is open ends, and nothing of it names them.

    Their transfers have been told before. A request with one that is still on its way ends with that.
    """
    either = or_(PAYMENT_REQUEST.c.creditor_user_id == user_id, PAYMENT_REQUEST.c.debtor_user_id == user_id)
    ends = (PAYMENT_REQUEST.c.state == _OPEN) & PAYMENT_REQUEST.c.transfer_id.is_(None)
    for row in connection.execute(select(PAYMENT_REQUEST).where(either, ends)).all():
        asks = row.creditor_user_id == user_id
        _end(connection, saga, row, RequestState.CANCELLED if asks else RequestState.DECLINED)
    asked = PAYMENT_REQUEST.c.debtor_user_id == user_id
    connection.execute(update(PAYMENT_REQUEST).where(asked).values(payer_text=None, payer_key=None))
    asking = PAYMENT_REQUEST.c.creditor_user_id == user_id
    no_text = {"payer_text": None, "payer_key": None, "remittance": None}
    connection.execute(update(PAYMENT_REQUEST).where(asking).values(no_text))


def forget_address(connection: Connection, address_key: str) -> None:
    """Take an address whose owner is erased off the requests that ended before they were known."""
    asked = (PAYMENT_REQUEST.c.payer_key == address_key) & (PAYMENT_REQUEST.c.state != _OPEN)
    connection.execute(update(PAYMENT_REQUEST).where(asked).values(payer_text=None, payer_key=None))


def views(connection: Connection, rows: Sequence[AnyRow], user_id: str) -> list[RequestView]:
    """Requests as one of their sides sees them."""
    askers = people.known_among(connection, (row.creditor_user_id for row in rows))
    return [_view(row, user_id, askers.get(row.creditor_user_id)) for row in rows]


def view(connection: Connection, row: AnyRow, user_id: str) -> RequestView:
    """A request as one of its sides sees it."""
    return views(connection, [row], user_id)[0]


def _view(row: AnyRow, user_id: str, asker: Person | None) -> RequestView:
    asks = row.creditor_user_id == user_id
    is_seen = not asks or row.state == RequestState.PAID.value
    return RequestView(
        id=row.request_id,
        direction="outgoing" if asks else "incoming",
        state=RequestState(row.state),
        amount=MoneyView(amount_minor=row.amount_minor, currency=row.currency),
        counterparty=row.payer_text if asks else None if asker is None else asker.name,
        remittance=row.remittance,
        transfer_id=row.transfer_id if is_seen else None,
        created_at=to_datetime(row.created_at),
        expires_at=to_datetime(row.expires_at),
        version=row.version,
    )


def _still_open(connection: Connection, user_id: str, request_id: str, *, by_debtor: bool) -> AnyRow:
    row = one(connection, user_id, request_id)
    if by_debtor != (row.debtor_user_id == user_id):
        raise forbidden("only who is asked can do that" if by_debtor else "only who asks can do that")
    if row.state != _OPEN:
        raise conflict("request-not-open", f"the request is {row.state}")
    if row.transfer_id is not None:
        raise conflict("request-being-paid", "the request is being paid: see what becomes of the transfer")
    return row


def _end(connection: Connection, saga: Saga, row: AnyRow, state: RequestState) -> AnyRow:
    row = _change(connection, row, {"state": state.value})
    _tell(connection, saga, row)
    return row


def _tell(connection: Connection, saga: Saga, row: AnyRow) -> None:
    sides = Sides.of(connection, row.debtor_user_id, row.creditor_user_id)
    saga.outbox.add(connection, [payment_requested(row, sides, saga.new_id(), saga.clock())])


def _get(connection: Connection, request_id: str) -> AnyRow | None:
    return connection.execute(select(PAYMENT_REQUEST).where(PAYMENT_REQUEST.c.request_id == request_id)).one_or_none()


def _change(connection: Connection, row: AnyRow, values: dict[str, object], *, version: int | None = None) -> AnyRow:
    """Change a row; its version is counted up unless it is given."""
    new = {**values, "version": row.version + 1 if version is None else version}
    place = (PAYMENT_REQUEST.c.request_id == row.request_id) & (PAYMENT_REQUEST.c.version == row.version)
    changed = connection.execute(update(PAYMENT_REQUEST).where(place).values(new))
    check(changed.rowcount == 1, f"request {row.request_id} was changed while it was being changed")
    return connection.execute(select(PAYMENT_REQUEST).where(PAYMENT_REQUEST.c.request_id == row.request_id)).one()
