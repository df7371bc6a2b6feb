"""The statements on transfers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, insert, or_, select, tuple_, update

from streambank.bank.payments.limits import Used
from streambank.bank.payments.models import TRANSFER
from streambank.bank.payments.states import FAILED, Step
from streambank.errors import check

AnyRow: TypeAlias = Row[Any]

_FAILED = [step.value for step in FAILED]
_BY_ID = select(TRANSFER).where(TRANSFER.c.transfer_id == bindparam("id"))
_DUE = (
    select(TRANSFER)
    .where(TRANSFER.c.due_at <= bindparam("now_ms"))
    .order_by(TRANSFER.c.due_at, TRANSFER.c.transfer_id)
    .limit(bindparam("limit_rows"))
)
_ADD = insert(TRANSFER)


def transfer(connection: Connection, transfer_id: str) -> AnyRow | None:
    """A transfer."""
    return connection.execute(_BY_ID, {"id": transfer_id}).one_or_none()


def add(connection: Connection, values: dict[str, object]) -> AnyRow:
    """Add a transfer; the row."""
    connection.execute(_ADD, values)
    return connection.execute(_BY_ID, {"id": values["transfer_id"]}).one()


def change(connection: Connection, row: AnyRow, values: dict[str, object]) -> AnyRow:
    """Change a transfer, and count its version up; the row as it is now."""
    place = (TRANSFER.c.transfer_id == row.transfer_id) & (TRANSFER.c.version == row.version)
    changed = connection.execute(update(TRANSFER).where(place).values({**values, "version": row.version + 1}))
    check(changed.rowcount == 1, f"transfer {row.transfer_id} was changed while it was being moved")
    return connection.execute(_BY_ID, {"id": row.transfer_id}).one()


def wait_on(connection: Connection, row: AnyRow, creditor_user_id: str | None) -> AnyRow:
    """Let a transfer wait until it expires, and note who the payee is; the row as it is now.

    Its version stays: the payer could read from it who signed up.
    """
    values = {"creditor_user_id": creditor_user_id, "due_at": row.expires_at}
    connection.execute(update(TRANSFER).where(TRANSFER.c.transfer_id == row.transfer_id).values(values))
    return connection.execute(_BY_ID, {"id": row.transfer_id}).one()


def due(connection: Connection, now_ms: int, limit: int) -> Sequence[AnyRow]:
    """Transfers whose wait is over, the longest overdue first."""
    return connection.execute(_DUE, {"now_ms": now_ms, "limit_rows": limit}).all()


def hurry(connection: Connection, user_id: str, address_key: str | None, now_ms: int) -> None:
    """Let the transfers that wait for this payee be looked at now."""
    payee = [TRANSFER.c.creditor_user_id == user_id]
    if address_key is not None:
        payee.append((TRANSFER.c.payee_key == address_key) & (TRANSFER.c.payee_kind == "address"))
    place = (TRANSFER.c.step == Step.WAITING.value) & TRANSFER.c.due_at.is_not(None) & or_(*payee)
    connection.execute(update(TRANSFER).where(place, TRANSFER.c.due_at > now_ms).values(due_at=now_ms))


def of_user(connection: Connection, user_id: str) -> Sequence[AnyRow]:
    """All transfers from or to a user that are not final."""
    either = or_(TRANSFER.c.debtor_user_id == user_id, TRANSFER.c.creditor_user_id == user_id)
    return connection.execute(select(TRANSFER).where(TRANSFER.c.due_at.is_not(None), either)).all()


def forget_texts(connection: Connection, user_id: str) -> None:
    """Take what names a user, or is by them, off their transfers."""
    paid = TRANSFER.c.debtor_user_id == user_id
    connection.execute(update(TRANSFER).where(paid).values(payee_text=None, payee_key=None, remittance=None))
    got = TRANSFER.c.creditor_user_id == user_id
    connection.execute(update(TRANSFER).where(got).values(payee_text=None, payee_key=None))


def forget_address(connection: Connection, user_id: str, address_key: str) -> None:
    """Take an address whose owner is erased off the transfers that ended; those on their way will end with the user."""
    named = (TRANSFER.c.payee_kind == "address") & (TRANSFER.c.payee_key == address_key)
    ended = TRANSFER.c.due_at.is_(None)
    connection.execute(update(TRANSFER).where(named, ended).values(payee_text=None, payee_key=None))
    unpaid = ~ended & TRANSFER.c.creditor_account_id.is_(None)
    connection.execute(update(TRANSFER).where(named, unpaid).values(creditor_user_id=user_id))


def used(connection: Connection, user_id: str, currency: str, from_ms: int, payee_key: str) -> Used:
    """What counts into a user's limits already: transfers of the day, and those to a payee at any time.

    A payee is the address that was named, or who has the alias: that both are the same person's is not for the payer
    to find out.
    """
    asked = (TRANSFER.c.debtor_user_id == user_id) & (TRANSFER.c.currency == currency) & TRANSFER.c.limited
    counted = asked & TRANSFER.c.step.not_in(_FAILED)
    told = TRANSFER.c.reserved_at.is_not(None) & (TRANSFER.c.payee_kind == "address")
    today = TRANSFER.c.created_at >= from_ms
    total, first = func.coalesce(func.sum(TRANSFER.c.amount_minor), 0), func.min(TRANSFER.c.created_at)
    day_minor = connection.scalar(select(total).where(counted, today))
    day_count = connection.scalar(select(func.count()).where(asked, today, TRANSFER.c.step.not_in(_FAILED) | told))
    to_payee = connection.execute(select(total, first).where(counted, TRANSFER.c.payee_key == payee_key)).one()
    return Used(int(day_minor or 0), int(day_count or 0), int(to_payee[0]), to_payee[1])


def page(
    connection: Connection,
    user_id: str,
    *,
    incoming: bool | None,
    steps: Sequence[str] | None,
    before: tuple[int, str] | None,
    limit: int,
) -> list[AnyRow]:
    """Transfers from a user and those to them that they may see, the latest first, at most ``limit``.

    ``before``: only what comes after the transfer with that time and id in this order.
    """
    paid = TRANSFER.c.debtor_user_id == user_id
    got = (TRANSFER.c.creditor_user_id == user_id) & TRANSFER.c.reserved_at.is_not(None)
    conditions: dict[bool | None, tuple[ColumnElement[bool], ...]] = {
        None: (paid, got & ~paid),
        False: (paid,),
        True: (got,),
    }
    rows: list[AnyRow] = []
    for condition in conditions[incoming]:
        rows += connection.execute(_page(condition, steps, before, limit)).all()
    rows.sort(key=lambda row: (row.created_at, row.transfer_id), reverse=True)
    return rows[:limit]


def _page(
    condition: ColumnElement[bool], steps: Sequence[str] | None, before: tuple[int, str] | None, limit: int
) -> Select[Any]:
    found = select(TRANSFER).where(condition)
    if steps is not None:
        found = found.where(TRANSFER.c.step.in_(steps))
    if before is not None:
        found = found.where(tuple_(TRANSFER.c.created_at, TRANSFER.c.transfer_id) < tuple_(*before))
    return found.order_by(TRANSFER.c.created_at.desc(), TRANSFER.c.transfer_id.desc()).limit(limit)
