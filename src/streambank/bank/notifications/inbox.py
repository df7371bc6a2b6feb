"""Users' inboxes: every notice, until it is read, and long after. And what of them waits for a digest.

Methods work within the caller's transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from streambank.bank.notifications.facts import AlertFacts, Facts, decode_facts, encode_facts
from streambank.bank.notifications.models import NOTICE
from streambank.bank.notifications.notices import Notice
from streambank.service.tables import plain_text

DIGEST = "notifications.digest"
"""What the sent-log has for the topic of a digest, which comes from none."""

DIGEST_NOTICES_MAX = 100
"""In one e-mail: nobody reads more. What is left comes in another."""

KEEP_MS = 400 * 86_400_000
"""How long a notice is kept: a year, and a month in which to look back at it."""

NOTICES_MAX = 5_000
"""Of one user; the oldest go first. At ten a day it takes longer than ``KEEP_MS`` to come to that."""

PRUNED_AT_ONCE_MAX = 1_000
"""Rows deleted in one transaction, which others wait for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice as an inbox has it. ``num`` grows with time; times are ms since the epoch."""

    num: int
    notice_id: str
    user_id: str
    facts: Facts
    occurred_at: int
    received_at: int
    read_at: int | None


class Listed(msgspec.Struct, frozen=True):
    """The notices of a digest, as its row in the sent-log names them."""

    notice_ids: list[str]


_encode_listed = msgspec.json.Encoder().encode
_decode_listed = msgspec.json.Decoder(Listed).decode


def known_among(connection: Connection, notice_ids: Collection[str]) -> set[str]:
    """Those that an inbox has already."""
    return set(connection.scalars(_KNOWN, {"ids": list(notice_ids)}))


def add(connection: Connection, notices: Sequence[Notice], held: Mapping[str, int], now_ms: int) -> None:
    """Put notices into inboxes; ``held`` has those that wait for a digest, and until when."""
    if notices:
        connection.execute(_ADD, [_row(notice, held.get(notice.notice_id), now_ms) for notice in notices])


def page(connection: Connection, user_id: str, before: int | None, limit: int, *, unread: bool) -> list[Kept]:
    """A user's notices, the latest first, from before ``before`` on; one more than ``limit`` where there are more."""
    own = select(NOTICE).where(NOTICE.c.user_id == plain_text(user_id))
    if before is not None:
        own = own.where(NOTICE.c.num < before)
    if unread:
        own = own.where(NOTICE.c.read_at.is_(None))
    return [_kept(row) for row in connection.execute(own.order_by(NOTICE.c.num.desc()).limit(limit + 1))]


def get(connection: Connection, user_id: str, notice_id: str) -> Kept | None:
    """One notice of a user's."""
    own = select(NOTICE).where(NOTICE.c.user_id == plain_text(user_id), NOTICE.c.notice_id == notice_id)
    row = connection.execute(own).one_or_none()
    return _kept(row) if row is not None else None


def by_id(connection: Connection, notice_id: str) -> Kept | None:
    """A notice, whoever's it is."""
    row = connection.execute(select(NOTICE).where(NOTICE.c.notice_id == notice_id)).one_or_none()
    return _kept(row) if row is not None else None


def unread_count(connection: Connection, user_id: str) -> int:
    """How many notices a user has not read."""
    unread = (NOTICE.c.user_id == plain_text(user_id)) & NOTICE.c.read_at.is_(None)
    return connection.execute(select(func.count()).select_from(NOTICE).where(unread)).scalar_one()


def read(connection: Connection, user_id: str, notice_id: str | None, now_ms: int) -> int:
    """A user has read a notice, or all of them; how many they had not read before."""
    unread = (NOTICE.c.user_id == plain_text(user_id)) & NOTICE.c.read_at.is_(None)
    if notice_id is not None:
        unread &= NOTICE.c.notice_id == notice_id
    return connection.execute(update(NOTICE).where(unread).values(read_at=now_ms)).rowcount


def held_users(connection: Connection, now_ms: int, limit: int) -> list[str]:
    """Users with a digest that is due."""
    due = NOTICE.c.held_until.is_not(None) & (NOTICE.c.held_until <= now_ms)
    return list(connection.scalars(select(NOTICE.c.user_id).where(due).distinct().limit(limit)))


def next_held_until(connection: Connection) -> int | None:
    """When the next digest is due; None if none is."""
    due_at: int | None = connection.scalar(NEXT_HELD)
    return due_at


def take_held(connection: Connection, user_id: str) -> list[Notice]:
    """The notices of a user that waited for a digest, and wait no more, oldest first."""
    waiting = select(NOTICE).where(NOTICE.c.user_id == user_id, NOTICE.c.held_until.is_not(None))
    rows = connection.execute(waiting.order_by(NOTICE.c.num).limit(DIGEST_NOTICES_MAX)).all()
    connection.execute(update(NOTICE).where(NOTICE.c.num.in_([row.num for row in rows])).values(held_until=None))
    return [notice_of(_kept(row)) for row in rows]


def listing(notices: Sequence[Notice]) -> bytes:
    """What the sent-log keeps of a digest's notices."""
    return _encode_listed(Listed([notice.notice_id for notice in notices]))


def listed_in(connection: Connection, user_id: str, kept: bytes | None) -> tuple[Notice, ...]:
    """The notices of a digest, as the sent-log names them, oldest first."""
    ids = _decode_listed(kept).notice_ids if kept is not None else []
    named = select(NOTICE).where(NOTICE.c.user_id == user_id, NOTICE.c.notice_id.in_(ids)).order_by(NOTICE.c.num)
    return tuple(notice_of(_kept(row)) for row in connection.execute(named))


def notice_of(kept: Kept) -> Notice:
    """The notice that an inbox has."""
    cause_id = kept.facts.alert.alert_id if isinstance(kept.facts, AlertFacts) else kept.notice_id
    return Notice(kept.notice_id, cause_id, kept.user_id, kept.occurred_at, kept.facts)


def prune(connection: Connection, now_ms: int) -> int:
    """Delete notices that are too old; how many."""
    old = select(NOTICE.c.num).where(NOTICE.c.received_at < now_ms - KEEP_MS).limit(PRUNED_AT_ONCE_MAX)
    return connection.execute(delete(NOTICE).where(NOTICE.c.num.in_(old.scalar_subquery()))).rowcount


def prune_user(connection: Connection, user_id: str) -> None:
    """Delete what a user has beyond ``NOTICES_MAX``, but for what waits for a digest."""
    own = select(NOTICE.c.num).where(NOTICE.c.user_id == user_id)
    first = connection.scalar(own.order_by(NOTICE.c.num.desc()).offset(NOTICES_MAX).limit(1))
    if first is not None:
        old = (NOTICE.c.user_id == user_id) & (NOTICE.c.num <= first) & NOTICE.c.held_until.is_(None)
        connection.execute(delete(NOTICE).where(old))


def full_users(connection: Connection) -> list[str]:
    """Users with more than ``NOTICES_MAX``."""
    counted = select(NOTICE.c.user_id).group_by(NOTICE.c.user_id).having(func.count() > NOTICES_MAX)
    return list(connection.scalars(counted))


def forget(connection: Connection, user_ids: Collection[str]) -> None:
    """Delete erased users' inboxes."""
    connection.execute(delete(NOTICE).where(NOTICE.c.user_id.in_([plain_text(u) for u in user_ids])))


def _row(notice: Notice, held_until: int | None, now_ms: int) -> dict[str, object]:
    return {
        "notice_id": notice.notice_id,
        "user_id": notice.user_id,
        "facts": encode_facts(notice.facts),
        "occurred_at": notice.occurred_at,
        "received_at": now_ms,
        "held_until": held_until,
    }


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        num=row.num,
        notice_id=row.notice_id,
        user_id=row.user_id,
        facts=decode_facts(row.facts),
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        read_at=row.read_at,
    )


# Built once: to build them costs more than to execute them, and each alert passes through these.
_KNOWN = select(NOTICE.c.notice_id).where(NOTICE.c.notice_id.in_(bindparam("ids", expanding=True)))
_ADD = insert(NOTICE)
NEXT_HELD = select(func.min(NOTICE.c.held_until)).where(NOTICE.c.held_until.is_not(None))
"""What :func:`next_held_until` asks."""
