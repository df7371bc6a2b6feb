"""The queries about what lets people in. Each works within the caller's transaction; times are ms since the epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from streambank.bank.users.models import (
    API_KEY,
    ATTEMPTS,
    MAIL_TOKEN,
    PAGE_SESSION,
    PERSON,
    REFRESH_TOKEN,
    SECURITY_EVENT,
    SIGNING_KEY,
    TOKEN_GRANT,
)
from streambank.bank.users.signing import KeyPair
from streambank.bank.users.throttle import Attempts


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which items of a list: at most ``limit`` of those with ids before ``before``, newest first."""

    limit: int
    before: str | None = None


class Mailed(NamedTuple):
    """A token that was mailed: whose it is, what for, and to which address."""

    user_id: str
    purpose: str
    email: str


# What was mailed.


def add_mail_token(
    connection: Connection, token_hash: bytes, *, user_id: str, purpose: str, email: str, expires_at: int
) -> None:
    """Remember what was mailed; what was mailed before for that purpose is good no longer."""
    drop_mail_tokens(connection, user_id, purpose)
    row = {"token_hash": token_hash, "user_id": user_id, "purpose": purpose, "email": email, "expires_at": expires_at}
    connection.execute(insert(MAIL_TOKEN).values(row))


def take_mail_token(connection: Connection, token_hash: bytes, purposes: Sequence[str], now_ms: int) -> Mailed | None:
    """Use a token up; None where it is unknown, used or too old."""
    columns = (MAIL_TOKEN.c.user_id, MAIL_TOKEN.c.purpose, MAIL_TOKEN.c.email)
    good = _good_mail_token(token_hash, purposes, now_ms)
    row = connection.execute(delete(MAIL_TOKEN).where(good).returning(*columns)).one_or_none()
    return None if row is None else Mailed(*row)


def look_at_mail_token(
    connection: Connection, token_hash: bytes, purposes: Sequence[str], now_ms: int
) -> Mailed | None:
    """What :func:`take_mail_token` would answer now."""
    columns = (MAIL_TOKEN.c.user_id, MAIL_TOKEN.c.purpose, MAIL_TOKEN.c.email)
    row = connection.execute(select(*columns).where(_good_mail_token(token_hash, purposes, now_ms))).one_or_none()
    return None if row is None else Mailed(*row)


def drop_mail_tokens(connection: Connection, user_id: str, purpose: str | None = None) -> None:
    """Make a person's mailed tokens worthless: those of one purpose, or all."""
    chosen = MAIL_TOKEN.c.user_id == user_id
    if purpose is not None:
        chosen &= MAIL_TOKEN.c.purpose == purpose
    connection.execute(delete(MAIL_TOKEN).where(chosen))


# Sessions of pages.


def add_session(connection: Connection, row: dict[str, Any], sessions_max: int) -> None:
    """Begin a session; the oldest of a person's sessions end where there are more than ``sessions_max``."""
    connection.execute(insert(PAGE_SESSION).values(row))
    of_user = PAGE_SESSION.c.user_id == row["user_id"]
    kept = (
        select(PAGE_SESSION.c.session_id).where(of_user).order_by(PAGE_SESSION.c.session_id.desc()).limit(sessions_max)
    )
    connection.execute(delete(PAGE_SESSION).where(of_user, PAGE_SESSION.c.session_id.not_in(kept)))


def session_by_token(connection: Connection, token_hash: bytes, now_ms: int, idle_ms: int) -> Row[Any] | None:
    """The living session with that token."""
    alive = (PAGE_SESSION.c.expires_at > now_ms) & (PAGE_SESSION.c.last_used_at > now_ms - idle_ms)
    found = select(PAGE_SESSION).where(PAGE_SESSION.c.token_hash == token_hash, alive)
    return connection.execute(found).one_or_none()


def touch_session(connection: Connection, session_id: str, now_ms: int) -> None:
    """Note that a session was used."""
    chosen = PAGE_SESSION.c.session_id == session_id
    connection.execute(update(PAGE_SESSION).where(chosen).values(last_used_at=now_ms))


def sessions(connection: Connection, user_id: str, now_ms: int, idle_ms: int, page: PageOf) -> Sequence[Row[Any]]:
    """A person's living sessions."""
    alive = (PAGE_SESSION.c.expires_at > now_ms) & (PAGE_SESSION.c.last_used_at > now_ms - idle_ms)
    return _page(connection, PAGE_SESSION, PAGE_SESSION.c.session_id, user_id, page, alive)


def end_session(connection: Connection, user_id: str, session_id: str) -> bool:
    """End one session of a person; False where there is none."""
    own = (PAGE_SESSION.c.user_id == user_id) & (PAGE_SESSION.c.session_id == session_id)
    return connection.execute(delete(PAGE_SESSION).where(own)).rowcount == 1


def end_all_sessions(connection: Connection, user_id: str, *, but: str | None = None) -> None:
    """End a person's sessions, of pages (``but`` one) and of programs."""
    ended = PAGE_SESSION.c.user_id == user_id
    if but is not None:
        ended &= PAGE_SESSION.c.session_id != but
    connection.execute(delete(PAGE_SESSION).where(ended))
    connection.execute(delete(TOKEN_GRANT).where(TOKEN_GRANT.c.user_id == user_id))


# Grants of programs, and their refresh tokens.


def add_grant(connection: Connection, row: dict[str, Any]) -> None:
    """Begin a program's log-in."""
    connection.execute(insert(TOKEN_GRANT).values(row))


def add_refresh_token(connection: Connection, token_hash: bytes, grant_id: str) -> None:
    """Store a token that is good once."""
    connection.execute(insert(REFRESH_TOKEN).values(token_hash=token_hash, grant_id=grant_id))


def grant_of(connection: Connection, token_hash: bytes) -> Row[Any] | None:
    """The grant of a refresh token, used or not."""
    joined = TOKEN_GRANT.join(REFRESH_TOKEN, REFRESH_TOKEN.c.grant_id == TOKEN_GRANT.c.grant_id)
    found = select(TOKEN_GRANT).select_from(joined).where(REFRESH_TOKEN.c.token_hash == token_hash)
    return connection.execute(found).one_or_none()


def grants(connection: Connection, user_id: str, now_ms: int) -> Sequence[Row[Any]]:
    """A person's programs that may still refresh, newest first."""
    alive = (TOKEN_GRANT.c.user_id == user_id) & (TOKEN_GRANT.c.expires_at > now_ms)
    return connection.execute(select(TOKEN_GRANT).where(alive).order_by(TOKEN_GRANT.c.grant_id.desc())).all()


def use_refresh_token(connection: Connection, token_hash: bytes, now_ms: int) -> bool:
    """Use a token up; False where it was used already, however close together."""
    unused = (REFRESH_TOKEN.c.token_hash == token_hash) & REFRESH_TOKEN.c.used_at.is_(None)
    return connection.execute(update(REFRESH_TOKEN).where(unused).values(used_at=now_ms)).rowcount == 1


def revoke_grant(connection: Connection, grant_id: str) -> None:
    """End a program's log-in, with all its refresh tokens."""
    connection.execute(delete(TOKEN_GRANT).where(TOKEN_GRANT.c.grant_id == grant_id))


# API keys.


def add_api_key(connection: Connection, row: dict[str, Any]) -> None:
    """Store a new key."""
    connection.execute(insert(API_KEY).values(row))


def count_api_keys(connection: Connection, user_id: str) -> int:
    """How many keys a person has, with those that have ended but are still listed."""
    return connection.scalar(select(func.count()).select_from(API_KEY).where(API_KEY.c.user_id == user_id)) or 0


def api_key_by_secret(connection: Connection, secret_hash: bytes) -> Row[Any] | None:
    """The key with that secret."""
    return connection.execute(select(API_KEY).where(API_KEY.c.secret_hash == secret_hash)).one_or_none()


def touch_api_key(connection: Connection, key_id: str, now_ms: int) -> None:
    """Note that a key was used."""
    connection.execute(update(API_KEY).where(API_KEY.c.key_id == key_id).values(last_used_at=now_ms))


def api_keys(connection: Connection, user_id: str, page: PageOf) -> Sequence[Row[Any]]:
    """A person's keys."""
    return _page(connection, API_KEY, API_KEY.c.key_id, user_id, page)


def delete_api_key(connection: Connection, user_id: str, key_id: str) -> bool:
    """Revoke one key of a person; False where there is none."""
    own = (API_KEY.c.user_id == user_id) & (API_KEY.c.key_id == key_id)
    return connection.execute(delete(API_KEY).where(own)).rowcount == 1


def delete_api_keys(connection: Connection, user_id: str) -> None:
    """Revoke all keys of a person."""
    connection.execute(delete(API_KEY).where(API_KEY.c.user_id == user_id))


# What happened to somebody's credentials.


def add_security_event(connection: Connection, row: dict[str, Any]) -> None:
    """Put an event on record."""
    connection.execute(insert(SECURITY_EVENT).values(row))


def security_events(connection: Connection, user_id: str, page: PageOf) -> Sequence[Row[Any]]:
    """A person's events."""
    return _page(connection, SECURITY_EVENT, SECURITY_EVENT.c.event_id, user_id, page)


# Attempts.


def attempts(connection: Connection, subject: bytes) -> Attempts | None:
    """How often something was tried."""
    row = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.subject == subject).with_for_update()).one_or_none()
    return None if row is None else Attempts(row.tries, row.last_at)


def store_attempts(connection: Connection, subject: bytes, value: Attempts | None) -> None:
    """Store how often something was tried; None: forget it."""
    chosen = ATTEMPTS.c.subject == subject
    if value is None:
        connection.execute(delete(ATTEMPTS).where(chosen))
        return
    values = {"tries": value.count, "last_at": value.last_at}
    change = update(ATTEMPTS).where(chosen).values(values)
    if connection.execute(change).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(ATTEMPTS).values(subject=subject, **values))
    except IntegrityError:
        # Another process counted its first attempt at the same moment.
        connection.execute(change)


# Keys that sign.


def signing_keys(connection: Connection) -> list[KeyPair]:
    """All keys, whether they sign yet, now, or no longer."""
    rows = connection.execute(select(SIGNING_KEY).order_by(SIGNING_KEY.c.signs_from, SIGNING_KEY.c.kid))
    return [KeyPair(row.kid, row.private_key, row.created_at, row.signs_from) for row in rows]


def add_signing_key(connection: Connection, key: KeyPair) -> None:
    """Store a key."""
    row = {
        "kid": key.kid,
        "private_key": key.private_key,
        "created_at": key.created_at,
        "signs_from": key.signs_from,
    }
    connection.execute(insert(SIGNING_KEY).values(row))


def delete_signing_key(connection: Connection, kid: str) -> bool:
    """Delete a key; False where another process did."""
    return connection.execute(delete(SIGNING_KEY).where(SIGNING_KEY.c.kid == kid)).rowcount == 1


# What has ended.


def delete_ended(
    connection: Connection, now_ms: int, *, idle_ms: int, listed_ms: int, history_ms: int, forget_ms: int
) -> int:
    """Delete what is good no longer; how many rows.

    API keys stay listed for ``listed_ms`` after their end, so that people see why something stopped.
    """
    ended = (
        (MAIL_TOKEN, MAIL_TOKEN.c.expires_at <= now_ms),
        (PAGE_SESSION, (PAGE_SESSION.c.expires_at <= now_ms) | (PAGE_SESSION.c.last_used_at <= now_ms - idle_ms)),
        (TOKEN_GRANT, TOKEN_GRANT.c.expires_at <= now_ms),
        (API_KEY, API_KEY.c.expires_at <= now_ms - listed_ms),
        (SECURITY_EVENT, SECURITY_EVENT.c.occurred_at <= now_ms - history_ms),
        (ATTEMPTS, ATTEMPTS.c.last_at <= now_ms - forget_ms),
    )
    return sum(connection.execute(delete(table).where(condition)).rowcount for table, condition in ended)


def never_verified(connection: Connection, before_ms: int, limit: int) -> list[str]:
    """Who signed up before that and never verified the address."""
    stale = (PERSON.c.email_verified_at.is_(None)) & (PERSON.c.created_at <= before_ms)
    return list(connection.scalars(select(PERSON.c.user_id).where(stale).limit(limit)))


def _good_mail_token(token_hash: bytes, purposes: Sequence[str], now_ms: int) -> ColumnElement[bool]:
    same = MAIL_TOKEN.c.token_hash == token_hash
    return same & MAIL_TOKEN.c.purpose.in_(purposes) & (MAIL_TOKEN.c.expires_at > now_ms)


def _page(
    connection: Connection, table: Table, key: Any, user_id: str, page: PageOf, *conditions: Any
) -> Sequence[Row[Any]]:
    chosen = select(table).where(table.c.user_id == user_id, *conditions)
    if page.before is not None:
        chosen = chosen.where(key < page.before)
    return connection.execute(chosen.order_by(key.desc()).limit(page.limit)).all()
