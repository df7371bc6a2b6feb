"""What the service knows of people and their accounts, from what other services publish."""

from typing import Any

import msgspec
from iso4217 import Currency
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from streambank.bank.events import Account, UserKey, UserProfile
from streambank.bank.personalization.models import ACCOUNT, ID_CHARS_MAX, PERSON, SCOPE_ID_CHARS_MAX
from streambank.clock import to_millis
from streambank.errors import StreambankError
from streambank.service.http.problems import Problem

TIMEZONE_CHARS_MAX = 64
"""The longest name of the IANA's has half as many."""

_PERSON = select(PERSON).where(PERSON.c.user_id == bindparam("of_user"))
_ACCOUNT = select(ACCOUNT).where(ACCOUNT.c.account_id == bindparam("id"))


class UnusableRecordError(StreambankError):
    """A record of the log that cannot be stored here: it becomes a dead letter."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """Somebody whose key is known."""

    user_id: str
    key: bytes
    timezone: str


class KnownAccount(msgspec.Struct, frozen=True, gc=False):
    """An account as it was last published."""

    account_id: str
    owner_id: str
    currency: Currency
    member_ids: frozenset[str]
    is_closed: bool


def checked_id(text: str, chars_max: int = ID_CHARS_MAX) -> str:
    """An id from the log. Raises UnusableRecordError where no table takes it."""
    if not text or len(text) > chars_max or "\x00" in text:
        raise UnusableRecordError(
            f"an id of {len(text)} characters, which has to have 1 to {chars_max}, without U+0000"
        )
    return text


def checked_scope_id(text: str) -> str:
    """As :func:`checked_id`, for the id of an account or a total."""
    return checked_id(text, SCOPE_ID_CHARS_MAX)


def person(connection: Connection, user_id: str) -> Person:
    """Somebody who may have something stored.

    Raises:
        Problem: 503 while their key has not arrived, 403 when they were erased.
    """
    row = _row(connection, user_id)
    if row is not None and row.erased_at is not None:
        raise Problem(403, "user-erased", "the user was erased")
    if row is None or row.key is None:
        detail = "the user was created a moment ago: try again"
        raise Problem(503, "user-not-known-yet", detail, headers={"Retry-After": "1"})
    return Person(user_id, bytes(row.key), row.timezone)


def timezone_of(connection: Connection, user_id: str) -> str:
    """A user's time zone, by its name; UTC while it is not known."""
    row = _row(connection, user_id)
    return "UTC" if row is None else str(row.timezone)


def is_erased(connection: Connection, user_id: str) -> bool:
    """Whether the user was erased."""
    row = _row(connection, user_id)
    return row is not None and row.erased_at is not None


def learn_key(connection: Connection, user: UserKey) -> None:
    """A user's key has arrived. Who was erased stays so."""
    _learn(connection, checked_id(user.user_id), key=user.key)


def learn_profile(connection: Connection, profile: UserProfile) -> None:
    """A user's profile has arrived: of it, the time zone is of use here."""
    _learn(connection, checked_id(profile.user_id), timezone=profile.timezone[:TIMEZONE_CHARS_MAX].replace("\x00", ""))


def mark_erased(connection: Connection, user_id: str, now_ms: int) -> None:
    """Forget a person, but for that they were erased."""
    gone = {"key": None, "timezone": "UTC", "erased_at": now_ms}
    if _row(connection, user_id) is None:
        connection.execute(insert(PERSON), {"user_id": user_id, **gone})
    else:
        connection.execute(update(PERSON).where(PERSON.c.user_id == user_id).values(gone))


def account(connection: Connection, account_id: str) -> KnownAccount | None:
    """An account, whoever's."""
    row = connection.execute(_ACCOUNT, {"id": account_id}).one_or_none()
    return None if row is None else _account(row)


def accounts_of(connection: Connection, user_id: str) -> list[KnownAccount]:
    """The accounts that somebody opened."""
    own = select(ACCOUNT).where(ACCOUNT.c.owner_id == user_id).order_by(ACCOUNT.c.account_id)
    return [_account(row) for row in connection.execute(own)]


def learn_account(connection: Connection, known: Account) -> None:
    """An account was opened or changed."""
    values = {
        "owner_id": checked_id(known.user_id),
        "currency": known.currency.value,
        "member_ids": msgspec.json.encode([member.user_id for member in known.members]),
        "closed_at": None if known.closed_at is None else to_millis(known.closed_at),
    }
    place = ACCOUNT.c.account_id == checked_id(known.account_id)
    if connection.execute(update(ACCOUNT).where(place).values(values)).rowcount == 0:
        connection.execute(insert(ACCOUNT), {"account_id": known.account_id, **values})


def forget_account(connection: Connection, account_id: str) -> None:
    """An account is gone."""
    connection.execute(delete(ACCOUNT).where(ACCOUNT.c.account_id == account_id))


def _learn(connection: Connection, user_id: str, **values: Any) -> None:
    row = _row(connection, user_id)
    if row is None:
        connection.execute(insert(PERSON), {"user_id": user_id, "timezone": "UTC", **values})
    elif row.erased_at is None and any(getattr(row, name) != value for name, value in values.items()):
        connection.execute(update(PERSON).where(PERSON.c.user_id == user_id).values(values))


def _row(connection: Connection, user_id: str) -> Row[Any] | None:
    return connection.execute(_PERSON, {"of_user": user_id}).one_or_none()


def _account(row: Row[Any]) -> KnownAccount:
    return KnownAccount(
        account_id=row.account_id,
        owner_id=row.owner_id,
        currency=Currency(row.currency),
        member_ids=frozenset(msgspec.json.decode(row.member_ids, type=list[str])),
        is_closed=row.closed_at is not None,
    )
