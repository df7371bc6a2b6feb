"""Accounts: opened, renamed, shared, closed and opened again. Every change is published."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from streambank.bank.events import AccountKind, Role
from streambank.bank.transactions import account_events, people, repository
from streambank.bank.transactions.entries import currency_of
from streambank.bank.transactions.ledger import Ledger
from streambank.bank.transactions.models import ACCOUNT, ACCOUNT_MEMBER, HOLD, Purpose
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.schemas import (
    AccountView,
    BalanceView,
    ChangeAccount,
    MemberBody,
    MemberView,
    OpenAccount,
)
from streambank.bank.transactions.words import SEARCH_KEY_BYTES
from streambank.clock import to_datetime
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, forbidden, not_found, unprocessable

ACCOUNTS_MAX = 200
"""Accounts one user may see: all are read for each of their lists."""

MEMBERS_MAX = 50

_OWED = frozenset({AccountKind.CREDIT_CARD, AccountKind.LOAN, AccountKind.INVESTMENT})
"""Kinds whose balance is below nothing by nature, or moves without anybody's doing: without a limit by default."""


def open_account(connection: Connection, ledger: Ledger, user_id: str, body: OpenAccount) -> LedgerAccount:
    """Open an account of the caller's."""
    people.key_of(connection, user_id)
    currency = currency_of(body.currency)
    if len(repository.accounts_of(connection, user_id)) >= ACCOUNTS_MAX:
        raise conflict("too-many-accounts", f"a user has {ACCOUNTS_MAX} accounts at most")
    limit = body.overdraft_limit_minor
    if "overdraft_limit_minor" not in body.model_fields_set:
        limit = None if body.kind in _OWED else 0
    now_ms = ledger.clock()
    values = {
        "account_id": ledger.new_id(now_ms),
        "owner_id": user_id,
        "purpose": Purpose.USER.value,
        "kind": body.kind.value,
        "currency": currency.value,
        "name": body.name,
        "number_last4": body.number_last4,
        "overdraft_limit_minor": limit,
        "search_key": ledger.random_bytes(SEARCH_KEY_BYTES),
        "opened_at": now_ms,
        "version": 1,
    }
    num = repository.add_account(connection, values)
    _add_member(connection, num, user_id, Role.OWNER, now_ms)
    return account_events.published(connection, ledger, num, user_id)


def one(connection: Connection, user_id: str, account_id: str) -> LedgerAccount:
    """An account that the user may see. Raises a problem for any other."""
    account = repository.account(connection, user_id, account_id)
    if account is None or account.role is None:
        raise not_found("account")
    return account


def own(connection: Connection, user_id: str, account_id: str) -> LedgerAccount:
    """An account that the user may change. Raises a problem for any other."""
    account = one(connection, user_id, account_id)
    if account.role is not Role.OWNER:
        raise forbidden("a viewer of an account cannot change it")
    return account


def change(
    connection: Connection,
    ledger: Ledger,
    user_id: str,
    account_id: str,
    body: ChangeAccount,
    expected: int | None,
) -> LedgerAccount:
    """Rename an account, or set its limit."""
    repository.lock(connection)
    account = own(connection, user_id, account_id)
    check_version(account.version, expected)
    changes = {name: getattr(body, name) for name in sorted(body.model_fields_set)}
    if "name" in changes and changes["name"] is None:
        raise unprocessable("/name", "an account has a name")
    if changes:
        connection.execute(update(ACCOUNT).where(ACCOUNT.c.num == account.num).values(changes))
    return account_events.changed(connection, ledger, account.num, user_id)


def close(connection: Connection, ledger: Ledger, user_id: str, account_id: str, expected: int | None) -> LedgerAccount:
    """Close an account that has nothing in it and expects nothing."""
    repository.lock(connection)
    account = own(connection, user_id, account_id)
    check_version(account.version, expected)
    if account.closed_at is not None:
        raise conflict("account-closed", "the account is closed already")
    if account.booked_minor != 0:
        raise conflict("account-not-empty", f"the balance is {account.booked_minor} minor units: only 0 can be closed")
    if connection.scalar(select(HOLD.c.posting_num).where(HOLD.c.account_num == account.num).limit(1)) is not None:
        raise conflict("account-has-pending", "there are pending entries: book or void them first")
    connection.execute(update(ACCOUNT).where(ACCOUNT.c.num == account.num).values(closed_at=ledger.clock()))
    return account_events.changed(connection, ledger, account.num, user_id)


def reopen(connection: Connection, ledger: Ledger, user_id: str, account_id: str) -> LedgerAccount:
    """Open a closed account again."""
    repository.lock(connection)
    account = own(connection, user_id, account_id)
    if account.closed_at is None:
        raise conflict("account-open", "the account is open already")
    connection.execute(update(ACCOUNT).where(ACCOUNT.c.num == account.num).values(closed_at=None))
    return account_events.changed(connection, ledger, account.num, user_id)


def members(connection: Connection, user_id: str, account_id: str) -> list[MemberView]:
    """An account's members, for any of them."""
    account = one(connection, user_id, account_id)
    rows = connection.execute(
        select(ACCOUNT_MEMBER)
        .where(ACCOUNT_MEMBER.c.account_num == account.num)
        .order_by(ACCOUNT_MEMBER.c.since, ACCOUNT_MEMBER.c.user_id)
    )
    return [_member_view(account, row.user_id, Role(row.role), row.since) for row in rows]


def set_member(
    connection: Connection,
    ledger: Ledger,
    user_id: str,
    account_id: str,
    member_id: str,
    body: MemberBody,
    expected: int | None,
) -> tuple[MemberView, LedgerAccount]:
    """Share an account with a user, or give them another role. The version is the account's."""
    repository.lock(connection)
    account = own(connection, user_id, account_id)
    check_version(account.version, expected)
    if member_id == account.owner_id:
        raise conflict("opener-stays", "who opened the account is its owner as long as it is there")
    if not people.is_known(connection, member_id):
        raise not_found("user")
    place = (ACCOUNT_MEMBER.c.account_num == account.num) & (ACCOUNT_MEMBER.c.user_id == member_id)
    since = connection.scalar(select(ACCOUNT_MEMBER.c.since).where(place))
    if since is None:
        since = ledger.clock()
        count = select(func.count()).select_from(ACCOUNT_MEMBER).where(ACCOUNT_MEMBER.c.account_num == account.num)
        if (connection.scalar(count) or 0) >= MEMBERS_MAX:
            raise conflict("too-many-members", f"an account has {MEMBERS_MAX} members at most")
        if len(repository.accounts_of(connection, member_id)) >= ACCOUNTS_MAX:
            raise conflict("too-many-accounts", f"a user has {ACCOUNTS_MAX} accounts at most")
        _add_member(connection, account.num, member_id, body.role, since)
    else:
        connection.execute(update(ACCOUNT_MEMBER).where(place).values(role=body.role.value))
    account = account_events.changed(connection, ledger, account.num, user_id)
    return _member_view(account, member_id, body.role, since), account


def remove_member(
    connection: Connection, ledger: Ledger, user_id: str, account_id: str, member_id: str, expected: int | None
) -> int:
    """End a member's share: an owner may end anyone's but the opener's, and everybody their own. The new version."""
    repository.lock(connection)
    account = one(connection, user_id, account_id)
    check_version(account.version, expected)
    if account.role is not Role.OWNER and member_id != user_id:
        raise forbidden("a viewer of an account cannot change it")
    if member_id == account.owner_id:
        raise conflict("opener-stays", "who opened the account is its owner as long as it is there")
    place = (ACCOUNT_MEMBER.c.account_num == account.num) & (ACCOUNT_MEMBER.c.user_id == member_id)
    if connection.execute(delete(ACCOUNT_MEMBER).where(place)).rowcount == 0:
        raise not_found("member")
    return account_events.changed(connection, ledger, account.num).version


def view(account: LedgerAccount) -> AccountView:
    """The account as its member sees it."""
    if account.role is None:
        raise not_found("account")
    return AccountView(
        id=account.account_id,
        name=account.name or "",
        kind=account.kind,
        currency=account.currency.value,
        number_last4=account.number_last4,
        overdraft_limit_minor=account.overdraft_limit_minor,
        role=account.role,
        opened_at=to_datetime(account.opened_at),
        closed_at=None if account.closed_at is None else to_datetime(account.closed_at),
        balance=balance_view(account),
        version=account.version,
    )


def balance_view(account: LedgerAccount) -> BalanceView:
    """The account's balance."""
    return BalanceView(
        account_id=account.account_id,
        currency=account.currency.value,
        booked_minor=account.booked_minor,
        pending_debits_minor=account.pending_debits_minor,
        pending_credits_minor=account.pending_credits_minor,
        available_minor=account.available_minor,
        last_seq=account.last_seq,
    )


def views(accounts: Sequence[LedgerAccount]) -> list[AccountView]:
    """The accounts as their member sees them."""
    return [view(account) for account in accounts]


def _add_member(connection: Connection, num: int, user_id: str, role: Role, now_ms: int) -> None:
    row: dict[str, Any] = {"account_num": num, "user_id": user_id, "role": role.value, "since": now_ms}
    connection.execute(insert(ACCOUNT_MEMBER), row)


def _member_view(account: LedgerAccount, user_id: str, role: Role, since: int) -> MemberView:
    return MemberView(user_id=user_id, role=role, since=to_datetime(since), opened_it=user_id == account.owner_id)
