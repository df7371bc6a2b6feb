"""Standing orders: transfers that come by themselves, each occurrence exactly once.

An occurrence is due when its day begins in the payer's time zone. Its transfer's id derives from the order and the
number of the occurrence. What was missed, since nothing ran, is made up for when something runs again, the oldest
first; an occurrence that is later than ``catch_up_ms`` is put on record as rejected (TM01), and no money moves. One
that a limit, a closed account or missing funds stop is rejected too, and not tried again: the next one is.
"""

from datetime import date

from iso4217 import Currency
from sqlalchemy import Connection, delete, func, insert, select, update

from streambank.bank.payments import accounts, people, transfers
from streambank.bank.payments.models import STANDING_ORDER
from streambank.bank.payments.payees import Handle
from streambank.bank.payments.people import Person
from streambank.bank.payments.repository import AnyRow
from streambank.bank.payments.saga import Saga
from streambank.bank.payments.schedule import LAST_YEAR, Schedule, begins_ms
from streambank.bank.payments.schemas import ChangeOrder, MoneyView, NewOrder, OrderView
from streambank.bank.payments.transfers import Payee, Wish
from streambank.bank.reasons import Reason
from streambank.clock import to_datetime
from streambank.errors import InvariantError
from streambank.ids import derived_id
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, not_found, unprocessable

ORDERS_MAX = 100
"""Standing orders one user has at a time, so that none can fill the ledger with one request."""

DUE_MAX = 100
"""Occurrences made in one transaction."""


def create(connection: Connection, saga: Saga, user_id: str, body: NewOrder) -> AnyRow:
    """Set a standing order up."""
    payer = people.caller(connection, user_id)
    currency = transfers.currency_of(body.amount).value
    accounts.owned(connection, user_id, body.debtor_account_id, currency, "/amount/currency", saga.clock())
    payee = transfers.payee_of(connection, saga, user_id, body)
    _check(body, to_datetime(saga.clock()).astimezone(payer.timezone).date())
    count = select(func.count()).where(STANDING_ORDER.c.user_id == user_id, STANDING_ORDER.c.due_at.is_not(None))
    if (connection.scalar(count) or 0) >= ORDERS_MAX:
        raise conflict("too-many-standing-orders", f"a user has {ORDERS_MAX} standing orders at most")
    values: dict[str, object] = {
        "order_id": saga.new_id(),
        "user_id": user_id,
        "debtor_account_id": body.debtor_account_id,
        "creditor_user_id": payee.user_id if payee.kind != "address" else None,
        "creditor_account_id": payee.account_id,
        "payee_kind": payee.kind,
        "payee_text": payee.text,
        "payee_key": payee.key,
        "amount_minor": body.amount.amount_minor,
        "currency": currency,
        "remittance": body.remittance,
        "every": body.every,
        "starts_on": body.starts_on.isoformat(),
        "day": (body.day or body.starts_on.day) if body.every == "month" else None,
        "until": None if body.until is None else body.until.isoformat(),
        "times": body.count,
        "made": 0,
        "created_at": saga.clock(),
        "version": 1,
    }
    connection.execute(insert(STANDING_ORDER), values)
    row = one(connection, user_id, str(values["order_id"]))
    row = _set_due(connection, row, payer)
    if row.due_at is None:
        raise unprocessable("/until", "the order would end before its first time")
    return row


def one(connection: Connection, user_id: str, order_id: str) -> AnyRow:
    """A standing order of the user's. Raises a problem for any other."""
    found = select(STANDING_ORDER).where(STANDING_ORDER.c.order_id == order_id, STANDING_ORDER.c.user_id == user_id)
    row = connection.execute(found).one_or_none()
    if row is None:
        raise not_found("standing order")
    return row


def page(connection: Connection, user_id: str, after: str | None, limit: int) -> list[AnyRow]:
    """Standing orders of a user, those that ended too, the oldest first."""
    found = select(STANDING_ORDER).where(STANDING_ORDER.c.user_id == user_id, STANDING_ORDER.c.order_id > (after or ""))
    return list(connection.execute(found.order_by(STANDING_ORDER.c.order_id).limit(limit)))


def change(
    connection: Connection, saga: Saga, user_id: str, order_id: str, body: ChangeOrder, expected: int | None
) -> AnyRow:
    """Change a standing order from its next occurrence on."""
    row = one(connection, user_id, order_id)
    check_version(row.version, expected)
    if row.due_at is None:
        raise conflict("standing-order-ended", "the standing order has ended: make another")
    values = {name: getattr(body, name) for name in sorted(body.model_fields_set)}
    if "amount_minor" in values and values["amount_minor"] is None:
        raise unprocessable("/amount_minor", "a standing order has an amount")
    if values.get("until") is not None:
        _check_year("/until", values["until"])
        values["until"] = values["until"].isoformat()
    if "count" in values:
        values["times"] = values.pop("count")
    row = _change(connection, row, values) if values else row
    return _set_due(connection, row, people.caller(connection, user_id))


def end(connection: Connection, user_id: str, order_id: str, expected: int | None) -> None:
    """End a standing order. What it has made stays."""
    row = one(connection, user_id, order_id)
    check_version(row.version, expected)
    if row.due_at is None:
        raise conflict("standing-order-ended", "the standing order has ended already")
    _change(connection, row, {"due_at": None})


def make_due(connection: Connection, saga: Saga) -> int:
    """Make the transfers that are due, one of each order and at most :data:`DUE_MAX`; how many."""
    now_ms = saga.clock()
    due = select(STANDING_ORDER).where(STANDING_ORDER.c.due_at <= now_ms)
    rows = connection.execute(due.order_by(STANDING_ORDER.c.due_at, STANDING_ORDER.c.order_id).limit(DUE_MAX)).all()
    for row in rows:
        _make(connection, saga, row, now_ms)
    return len(rows)


def move_days(connection: Connection, user_id: str) -> None:
    """A user may be in another time zone: their days begin at other times."""
    payer = people.known(connection, user_id)
    if payer is None:
        return
    active = (STANDING_ORDER.c.user_id == user_id) & STANDING_ORDER.c.due_at.is_not(None)
    for row in connection.execute(select(STANDING_ORDER).where(active)).all():
        _set_due(connection, row, payer)


def forget(connection: Connection, user_id: str) -> None:
    """Delete a user's standing orders, and end those that pay them."""
    connection.execute(delete(STANDING_ORDER).where(STANDING_ORDER.c.user_id == user_id))
    paying = STANDING_ORDER.c.creditor_user_id == user_id
    connection.execute(update(STANDING_ORDER).where(paying).values(payee_text=None, payee_key=None, due_at=None))


def forget_address(connection: Connection, address_key: str) -> None:
    """End the standing orders that pay an address whose owner is erased, and take it off them."""
    paying = (STANDING_ORDER.c.payee_kind == "address") & (STANDING_ORDER.c.payee_key == address_key)
    connection.execute(update(STANDING_ORDER).where(paying).values(payee_text=None, payee_key=None, due_at=None))


def view(row: AnyRow) -> OrderView:
    """A standing order as its payer sees it."""
    return OrderView(
        id=row.order_id,
        debtor_account_id=row.debtor_account_id,
        creditor_account_id=row.creditor_account_id,
        payee=row.payee_text,
        amount=MoneyView(amount_minor=row.amount_minor, currency=row.currency),
        remittance=row.remittance,
        every=row.every,
        starts_on=date.fromisoformat(row.starts_on),
        day=row.day,
        until=None if row.until is None else date.fromisoformat(row.until),
        count=row.times,
        made=row.made,
        next_on=None if row.due_at is None else _schedule(row).occurrence(row.made),
        created_at=to_datetime(row.created_at),
        version=row.version,
    )


def _make(connection: Connection, saga: Saga, row: AnyRow, now_ms: int) -> None:
    """Make one occurrence, and say when the next is due."""
    payer = people.known(connection, row.user_id)
    if payer is None:
        raise InvariantError(f"standing order {row.order_id} is of somebody who was erased")
    wish = Wish(
        transfer_id=derived_id("standing-order", row.order_id, str(row.made)),
        debtor_account_id=row.debtor_account_id,
        payee=_payee(connection, row),
        amount_minor=row.amount_minor,
        currency=Currency(row.currency),
        remittance=row.remittance,
        order_id=row.order_id,
    )
    over, is_new = transfers.check_limits(connection, saga, payer, wish)
    rejected = Reason.OVER_LIMIT if over is not None else None
    if row.due_at < now_ms - saga.settings.catch_up_ms:
        rejected = Reason.TOO_LATE
    elif wish.payee.user_id == row.user_id and wish.payee.kind == "address":
        # The address has come to be the payer's own.
        rejected = Reason.UNKNOWN_PAYEE
    transfers.begin(connection, saga, payer, wish, is_new_payee=is_new, rejected=rejected)
    row = _change(connection, row, {"made": row.made + 1})
    _set_due(connection, row, payer)


def _payee(connection: Connection, row: AnyRow) -> Payee:
    """Whom this occurrence is for: who has the address now, and who may pay from the account now."""
    if row.creditor_account_id is not None:
        return transfers.account_payee(connection, row.user_id, row.creditor_account_id)
    user_id = row.creditor_user_id
    if row.payee_kind == "address":
        user_id = people.find(connection, Handle("address", row.payee_text, row.payee_key))
    return Payee(row.payee_kind, row.payee_text, row.payee_key or row.user_id, user_id)


def _check(body: NewOrder, today: date) -> None:
    _check_year("/starts_on", body.starts_on)
    if body.starts_on < today:
        raise unprocessable("/starts_on", "the first day is over: begin today or later")
    if body.day is not None and body.every != "month":
        raise unprocessable("/day", "only a monthly order has a day of the month")
    if body.until is not None:
        _check_year("/until", body.until)
        if body.until < body.starts_on:
            raise unprocessable("/until", "it would end before it begins")


def _check_year(pointer: str, on: date) -> None:
    if on.year > LAST_YEAR:
        raise unprocessable(pointer, f"the year is at most {LAST_YEAR}")


def _schedule(row: AnyRow) -> Schedule:
    until = None if row.until is None else date.fromisoformat(row.until)
    return Schedule(row.every, date.fromisoformat(row.starts_on), row.day, until, row.times)


def _set_due(connection: Connection, row: AnyRow, payer: Person) -> AnyRow:
    """Say when the next occurrence is due, by what the row says now; its version stays."""
    on = _schedule(row).occurrence(row.made)
    due_ms = None if on is None else begins_ms(on, payer.timezone)
    return _change(connection, row, {"due_at": due_ms}, version=row.version)


def _change(connection: Connection, row: AnyRow, values: dict[str, object], *, version: int | None = None) -> AnyRow:
    """Change a row; its version is counted up unless it is given."""
    place = STANDING_ORDER.c.order_id == row.order_id
    new = {**values, "version": row.version + 1 if version is None else version}
    connection.execute(update(STANDING_ORDER).where(place).values(new))
    return connection.execute(select(STANDING_ORDER).where(place)).one()
