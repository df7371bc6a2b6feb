"""Accounts as others may pay from and to them, from the topic ``account``; and which of them receives."""

from sqlalchemy import Connection, delete, insert, select, update

from streambank.bank.events import Account, AccountKind, Role
from streambank.bank.payments.models import ACCOUNT, ACCOUNT_MEMBER, RECEIVING_ACCOUNT
from streambank.service.http.problems import Problem, conflict, forbidden, not_found, unprocessable

FRESH_MS = 10_000
"""An account that was opened so lately may not have arrived here yet; the relay and a projection take milliseconds."""

_UUID7_AT = 14


def learn(connection: Connection, account: Account) -> None:
    """An account was opened, changed or closed."""
    values = {
        "opener_id": account.user_id,
        "currency": account.currency.value,
        "kind": account.kind.value,
        "closed": account.closed_at is not None,
    }
    place = ACCOUNT.c.account_id == account.account_id
    if connection.execute(update(ACCOUNT).where(place).values(values)).rowcount == 0:
        connection.execute(insert(ACCOUNT), {"account_id": account.account_id, **values})
    connection.execute(delete(ACCOUNT_MEMBER).where(ACCOUNT_MEMBER.c.account_id == account.account_id))
    roles = {member.user_id: member.role for member in account.members} | {account.user_id: Role.OWNER}
    connection.execute(
        insert(ACCOUNT_MEMBER),
        [
            {"account_id": account.account_id, "user_id": user_id, "role": role.value}
            for user_id, role in sorted(roles.items())
        ],
    )


def forget(connection: Connection, account_id: str) -> None:
    """An account's tombstone: its owner was erased."""
    connection.execute(delete(ACCOUNT_MEMBER).where(ACCOUNT_MEMBER.c.account_id == account_id))
    connection.execute(delete(ACCOUNT).where(ACCOUNT.c.account_id == account_id))


def owned(connection: Connection, user_id: str, account_id: str, currency: str, field: str, now_ms: int) -> None:
    """Check that a user may pay from or to an account.

    Args:
        connection: of the request.
        user_id: who asks.
        account_id: the account.
        currency: what it has to hold.
        field: the pointer to blame for another currency.
        now_ms: the present.

    Raises:
        Problem: it is none of theirs (404), they may only look at it (403), it is closed (409), in another currency
            (422), or was opened a moment ago and is not known here yet (503).
    """
    row = connection.execute(
        select(ACCOUNT, ACCOUNT_MEMBER.c.role)
        .outerjoin(
            ACCOUNT_MEMBER,
            (ACCOUNT_MEMBER.c.account_id == ACCOUNT.c.account_id) & (ACCOUNT_MEMBER.c.user_id == user_id),
        )
        .where(ACCOUNT.c.account_id == account_id)
    ).one_or_none()
    if row is None and abs(now_ms - _made_ms(account_id)) < FRESH_MS:
        raise Problem(
            503, "account-not-known-yet", "the account was opened a moment ago: try again", headers={"Retry-After": "1"}
        )
    if row is None or row.role is None:
        raise not_found("account")
    if row.role != Role.OWNER.value:
        raise forbidden("a viewer of an account cannot pay from it, nor be paid to it")
    if row.closed:
        raise conflict("account-closed", "the account is closed")
    if row.currency != currency:
        raise unprocessable(field, f"the account holds {row.currency}")


def owners(connection: Connection, account_id: str) -> tuple[str | None, set[str]]:
    """Who opened an account, and all who may pay from it; None and nobody for one that is not known."""
    found = (
        select(ACCOUNT.c.opener_id, ACCOUNT_MEMBER.c.user_id)
        .join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_id == ACCOUNT.c.account_id)
        .where(ACCOUNT.c.account_id == account_id, ACCOUNT_MEMBER.c.role == Role.OWNER.value)
    )
    rows = connection.execute(found).all()
    return (rows[0].opener_id if rows else None), {row.user_id for row in rows}


def is_payable(connection: Connection, user_id: str, account_id: str) -> bool:
    """Whether an account is open, and a user may pay from it and be paid to it."""
    found = (
        select(ACCOUNT.c.account_id)
        .join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_id == ACCOUNT.c.account_id)
        .where(ACCOUNT.c.account_id == account_id, ACCOUNT.c.closed.is_(False))
        .where(ACCOUNT_MEMBER.c.user_id == user_id, ACCOUNT_MEMBER.c.role == Role.OWNER.value)
    )
    return connection.scalar(found) is not None


def receiving(connection: Connection, user_id: str, currency: str, *, other_than: str | None = None) -> str | None:
    """Where a user is paid to in a currency: what they chose, else the first checking account that they opened."""
    chosen = connection.scalar(
        select(RECEIVING_ACCOUNT.c.account_id)
        .join(ACCOUNT, ACCOUNT.c.account_id == RECEIVING_ACCOUNT.c.account_id)
        .join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_id == ACCOUNT.c.account_id)
        .where(RECEIVING_ACCOUNT.c.user_id == user_id, RECEIVING_ACCOUNT.c.currency == currency)
        .where(ACCOUNT_MEMBER.c.user_id == user_id, ACCOUNT_MEMBER.c.role == Role.OWNER.value)
        .where(ACCOUNT.c.currency == currency, ACCOUNT.c.closed.is_(False), ACCOUNT.c.account_id != (other_than or ""))
    )
    if chosen is not None:
        return str(chosen)
    first: str | None = connection.scalar(
        select(ACCOUNT.c.account_id)
        .where(ACCOUNT.c.opener_id == user_id, ACCOUNT.c.currency == currency, ACCOUNT.c.closed.is_(False))
        .where(ACCOUNT.c.kind == AccountKind.CHECKING.value, ACCOUNT.c.account_id != (other_than or ""))
        .order_by(ACCOUNT.c.account_id)
        .limit(1)
    )
    return first


def choose_receiving(connection: Connection, user_id: str, currency: str, account_id: str | None) -> None:
    """Let an account receive from now on; None: the first one again."""
    place = (RECEIVING_ACCOUNT.c.user_id == user_id) & (RECEIVING_ACCOUNT.c.currency == currency)
    connection.execute(delete(RECEIVING_ACCOUNT).where(place))
    if account_id is not None:
        values = {"user_id": user_id, "currency": currency, "account_id": account_id}
        connection.execute(insert(RECEIVING_ACCOUNT), values)


def chosen_receiving(connection: Connection, user_id: str) -> dict[str, str]:
    """The accounts that a user chose, by currency."""
    found = select(RECEIVING_ACCOUNT).where(RECEIVING_ACCOUNT.c.user_id == user_id)
    return {row.currency: row.account_id for row in connection.execute(found)}


def currencies(connection: Connection, user_id: str) -> list[str]:
    """The currencies that a user can be paid in."""
    found = (
        select(ACCOUNT.c.currency)
        .join(ACCOUNT_MEMBER, ACCOUNT_MEMBER.c.account_id == ACCOUNT.c.account_id)
        .where(ACCOUNT_MEMBER.c.user_id == user_id, ACCOUNT_MEMBER.c.role == Role.OWNER.value)
        .where(ACCOUNT.c.closed.is_(False))
        .distinct()
        .order_by(ACCOUNT.c.currency)
    )
    return list(connection.scalars(found))


def _made_ms(account_id: str) -> int:
    """When an id was made, if it is a UUIDv7 (RFC 9562 section 5.7); else long ago."""
    if account_id[_UUID7_AT : _UUID7_AT + 1] != "7":
        return 0
    try:
        return int(account_id[:13].replace("-", ""), 16)
    except ValueError:
        return 0
