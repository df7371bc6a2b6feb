"""Publishing an account as it is now."""

from sqlalchemy import Connection, bindparam, select, update

from streambank.bank.events import AccountMember, Role
from streambank.bank.transactions import repository
from streambank.bank.transactions.events import account_changed
from streambank.bank.transactions.ledger import Ledger
from streambank.bank.transactions.models import ACCOUNT, ACCOUNT_MEMBER
from streambank.bank.transactions.repository import LedgerAccount

_MEMBERS = (
    select(ACCOUNT_MEMBER)
    .where(ACCOUNT_MEMBER.c.account_num == bindparam("num"))
    .order_by(ACCOUNT_MEMBER.c.since, ACCOUNT_MEMBER.c.user_id)
)


def changed(connection: Connection, ledger: Ledger, num: int, caller_id: str = "") -> LedgerAccount:
    """Count an account's version up and publish it; the account as it is now."""
    connection.execute(update(ACCOUNT).where(ACCOUNT.c.num == num).values(version=ACCOUNT.c.version + 1))
    return published(connection, ledger, num, caller_id)


def published(connection: Connection, ledger: Ledger, num: int, caller_id: str = "") -> LedgerAccount:
    """Publish an account; the account as it is now."""
    [account] = repository.accounts_by_num(connection, caller_id, [num])
    members = [
        AccountMember(user_id=row.user_id, role=Role(row.role))
        for row in connection.execute(_MEMBERS, {"num": num})
        if row.user_id != account.owner_id
    ]
    now_ms = ledger.clock()
    ledger.outbox.add(connection, [account_changed(account, members, ledger.new_id(now_ms), now_ms)])
    return account
