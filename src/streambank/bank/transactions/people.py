"""Whom the service knows: the keys of their personal data, from ``user.key``, and what is left when they are erased."""

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from streambank.bank.events import Role, UserKey
from streambank.bank.transactions import account_events, categories, repository, rule_store
from streambank.bank.transactions.events import account_erased
from streambank.bank.transactions.ledger import Ledger
from streambank.bank.transactions.models import (
    ACCOUNT,
    ACCOUNT_MEMBER,
    ENTRY_DETAIL,
    ENTRY_SPLIT,
    ENTRY_TAG,
    EXTERNAL_ID,
    HOLD,
    IMPORT,
    IMPORT_ENTRY,
    PERSON,
    POSTING,
    Purpose,
)
from streambank.service.http import idempotency
from streambank.service.http.problems import Problem

_PERSON = select(PERSON).where(PERSON.c.user_id == bindparam("of_user"))


def not_known_yet() -> Problem:
    """The problem of a user whose token is good but whose key has not arrived yet."""
    return Problem(
        503, "user-not-known-yet", "the user was created a moment ago: try again", headers={"Retry-After": "1"}
    )


def key_of(connection: Connection, user_id: str) -> bytes:
    """The key of a user's personal data. Raises a problem while it is not known, and when the user was erased."""
    row = connection.execute(_PERSON, {"of_user": user_id}).one_or_none()
    if row is None:
        raise not_known_yet()
    if row.key is None:
        raise Problem(403, "user-erased", "the user was erased")
    return bytes(row.key)


def key_or_none(connection: Connection, user_id: str) -> bytes | None:
    """The key of a user's personal data; None where it is not known, or the user was erased."""
    row = connection.execute(_PERSON, {"of_user": user_id}).one_or_none()
    return None if row is None or row.key is None else bytes(row.key)


def is_known(connection: Connection, user_id: str) -> bool:
    """Whether there is such a user."""
    return key_or_none(connection, user_id) is not None


def learn(connection: Connection, user: UserKey) -> None:
    """A user's key has arrived. Who was erased stays so."""
    row = connection.execute(_PERSON, {"of_user": user.user_id}).one_or_none()
    if row is None:
        connection.execute(insert(PERSON), {"user_id": user.user_id, "key": user.key})
        categories.make_defaults(connection, user.user_id)
    elif row.erased_at is None and bytes(row.key) != user.key:
        connection.execute(update(PERSON).where(PERSON.c.user_id == user.user_id).values(key=user.key))


def erase(connection: Connection, ledger: Ledger, user_id: str) -> None:
    """Delete what is known of a user. Amounts stay, under accounts that name nobody.

    An account with another owner passes to the one who has been for longest; all others end with a tombstone.
    """
    now_ms = ledger.clock()
    repository.lock(connection)
    row = connection.execute(_PERSON, {"of_user": user_id}).one_or_none()
    if row is not None and row.erased_at is not None:
        return
    if row is None:
        connection.execute(insert(PERSON), {"user_id": user_id, "erased_at": now_ms})
    member_of = list(
        connection.scalars(select(ACCOUNT_MEMBER.c.account_num).where(ACCOUNT_MEMBER.c.user_id == user_id))
    )
    connection.execute(delete(ACCOUNT_MEMBER).where(ACCOUNT_MEMBER.c.user_id == user_id))
    owned = connection.execute(
        select(ACCOUNT.c.num, ACCOUNT.c.account_id, ACCOUNT.c.purpose).where(ACCOUNT.c.owner_id == user_id)
    ).all()
    passed_on = []
    for account in owned:
        heir = _heir(connection, account.num) if account.purpose == Purpose.USER.value else None
        if heir is not None:
            connection.execute(update(ACCOUNT).where(ACCOUNT.c.num == account.num).values(owner_id=heir))
            passed_on.append(account.num)
        else:
            _end(connection, account.num, now_ms)
            if account.purpose == Purpose.USER.value:
                ledger.outbox.add(connection, [account_erased(account.account_id, now_ms)])
    ended = {account.num for account in owned} - set(passed_on)
    for num in sorted(set(member_of) - ended):
        account_events.changed(connection, ledger, num)
    ledger.texts.forget(user_id)
    categories.forget(connection, user_id)
    rule_store.forget(connection, user_id)
    idempotency.forget(connection, user_id)
    connection.execute(
        update(PERSON).where(PERSON.c.user_id == user_id).values(key=None, erased_at=now_ms, rules_tag=None)
    )


def _heir(connection: Connection, account_num: int) -> str | None:
    owners = select(ACCOUNT_MEMBER.c.user_id).where(
        ACCOUNT_MEMBER.c.account_num == account_num, ACCOUNT_MEMBER.c.role == Role.OWNER.value
    )
    heir: str | None = connection.scalar(owners.order_by(ACCOUNT_MEMBER.c.since, ACCOUNT_MEMBER.c.user_id).limit(1))
    return heir


def _end(connection: Connection, num: int, now_ms: int) -> None:
    imports = select(IMPORT.c.num).where(IMPORT.c.account_num == num).scalar_subquery()
    connection.execute(delete(IMPORT_ENTRY).where(IMPORT_ENTRY.c.import_num.in_(imports)))
    for beside in (IMPORT, EXTERNAL_ID, HOLD, ACCOUNT_MEMBER):
        connection.execute(delete(beside).where(beside.c.account_num == num))
    postings = select(POSTING.c.num).where(POSTING.c.account_num == num, POSTING.c.entry_id.is_not(None))
    for beside in (ENTRY_DETAIL, ENTRY_TAG, ENTRY_SPLIT):
        connection.execute(delete(beside).where(beside.c.posting_num.in_(postings.scalar_subquery())))
    nameless = {"owner_id": None, "name": None, "number_last4": None, "search_key": None}
    connection.execute(
        update(ACCOUNT).where(ACCOUNT.c.num == num).values(**nameless, closed_at=now_ms, version=ACCOUNT.c.version + 1)
    )
