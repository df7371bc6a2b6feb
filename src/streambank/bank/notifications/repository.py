"""The sent-log's queries. Each works within the caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Update,
    bindparam,
    case,
    false,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from streambank.bank.events import MAIL_REQUESTED
from streambank.bank.notifications import inbox
from streambank.bank.notifications.inbox import DIGEST
from streambank.bank.notifications.models import EMAIL, RECIPIENT, USER_KEY, State
from streambank.bank.notifications.notices import SOURCES, Notice
from streambank.bank.notifications.recipients import Recipient, recipient
from streambank.log import Record, TopicPartition, decode_headers, encode_headers
from streambank.service.tables import PlainText, plain_text

Places: TypeAlias = frozenset[TopicPartition]
"""The partitions whose e-mails one sender looks after."""

KEY_MISSING = "the key of the user's personal data has not come yet"
PROFILE_MISSING = "the profile of the user, which has the address, has not come yet"
UNVERIFIED = "the address is not verified, as far as is known"
"""The reasons that an e-mail which waits for them is put off with."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What an e-mail is sent for: a notice, a request, a digest. ``id`` is the same however often it comes."""

    id: str
    user_id: str
    record: Record


@dataclass(frozen=True, slots=True)
class Claim:
    """An e-mail that one sender works on: ``attempt`` counts from 1, times are ms since the epoch.

    ``key`` is what its user's personal data is sealed with, None where it has not come; ``recipient`` how to reach
    them, as far as is known. ``notices`` are those of a digest.
    """

    id: int
    claimed_by: str
    cause_id: str
    user_id: str
    attempt: int
    received_at: int
    first_attempt_at: int
    record: Record
    key: bytes | None
    is_erased: bool
    recipient: Recipient
    notices: tuple[Notice, ...]


def add(connection: Connection, causes: Sequence[Cause], now_ms: int, erased: Collection[str]) -> None:
    """Put e-mails on record; those already there are left alone.

    ``erased`` are those of their users who were erased: what there was to say to them is not kept.
    """
    if not causes:
        return
    rows = [_row(cause, now_ms, plain_text(cause.user_id) in erased) for cause in causes]
    connection.execute(_ADD, rows)


def is_due(connection: Connection, places: Places, now_ms: int) -> bool:
    """Whether :func:`claim_next` would find something."""
    return connection.scalar(_is_due(places), {"now_ms": now_ms}) is not None


def claim_next(connection: Connection, places: Places, claimed_by: str, now_ms: int) -> Claim | None:
    """Mark the next due e-mail as being sent: those asked for, then alerts, then the rest, and of each the oldest.

    A user's alerts go out in order: a later one waits for an earlier. What a person waits for now, and is asked for
    with every chance of going to another address than the one before, waits for nothing.
    """
    row = connection.execute(_next_due(places), {"now_ms": now_ms}).one_or_none()
    if row is None:
        return None
    first_attempt_at = now_ms if row.first_attempt_at is None else row.first_attempt_at
    claimed = connection.execute(
        _CLAIM,
        {"email_id": row.id, "by": claimed_by, "attempt": row.attempts + 1, "first_attempt_ms": first_attempt_at},
    )
    if claimed.rowcount != 1:
        return None
    return Claim(
        id=row.id,
        claimed_by=claimed_by,
        cause_id=row.cause_id,
        user_id=row.user_id,
        attempt=row.attempts + 1,
        received_at=row.received_at,
        first_attempt_at=first_attempt_at,
        record=Record(
            row.record_topic,
            row.record_partition,
            row.record_offset,
            row.record_timestamp,
            row.record_key,
            row.record_value,
            decode_headers(row.record_headers),
        ),
        key=row.key,
        is_erased=row.erased_at is not None,
        recipient=recipient(row) if row.has_recipient else Recipient(row.user_id),
        notices=inbox.listed_in(connection, row.user_id, row.record_value) if row.record_topic == DIGEST else (),
    )


def settle(
    connection: Connection,
    claim: Claim,
    state: State,
    now_ms: int,
    *,
    message_id: str | None = None,
    last_error: str | None = None,
) -> bool:
    """The e-mail is sent or dead; what it said is deleted. False if the claim was lost to another sender."""
    return _release(
        connection, claim, _SETTLE, new_state=state, now_ms=now_ms, new_message_id=message_id, error=last_error
    )


def put_off(connection: Connection, claim: Claim, due_at: int, last_error: str, *, suspected_repeat: bool) -> bool:
    """Try the e-mail again at ``due_at``. False if the claim was lost to another sender."""
    return _release(connection, claim, _PUT_OFF, new_due_at=due_at, error=last_error, repeats=int(suspected_repeat))


def wait(connection: Connection, claim: Claim, due_at: int, reason: str) -> bool:
    """Look again at ``due_at``. It was no attempt. False if the claim was lost to another sender."""
    first = None if claim.attempt == 1 else claim.first_attempt_at
    return _release(connection, claim, _WAIT, new_due_at=due_at, error=reason, first_attempt_ms=first)


def keep_keys(connection: Connection, keys: Mapping[str, bytes], now_ms: int) -> None:
    """Remember users' keys; what waited for them is due. Who was erased stays erased."""
    keys = {plain_text(user_id): key for user_id, key in keys.items()}
    known = {row.user_id: row for row in connection.execute(_KEYS, {"users": list(keys)})}
    new = [{"user_id": user_id, "key": key} for user_id, key in keys.items() if user_id not in known]
    if new:
        connection.execute(insert(USER_KEY), new)
    for user_id, row in known.items():
        if row.erased_at is None and row.key != keys[user_id]:
            connection.execute(update(USER_KEY).where(USER_KEY.c.user_id == user_id).values(key=keys[user_id]))
    release(connection, keys, now_ms)


def release(connection: Connection, user_ids: Collection[str], now_ms: int) -> None:
    """What they wait for has come: e-mails that were put off until then are due."""
    connection.execute(_CAME, {"users": [plain_text(user_id) for user_id in user_ids], "now_ms": now_ms})


def erased_among(connection: Connection, user_ids: Collection[str]) -> set[str]:
    """Those who were erased."""
    if not user_ids:
        return set()
    return set(connection.scalars(_ERASED, {"users": [plain_text(user_id) for user_id in user_ids]}))


def key_of(connection: Connection, user_id: str) -> bytes | None:
    """What a user's personal data is sealed with; None where it has not come, or is gone with its user."""
    row = connection.execute(_KEYS, {"users": [plain_text(user_id)]}).one_or_none()
    return bytes(row.key) if row is not None and row.key is not None else None


def bounced(connection: Connection, cause_id: str, now_ms: int) -> tuple[str, int] | None:
    """An e-mail came back. Its user, and when it was sent, if that was not known before."""
    row = connection.execute(_BOUNCED, {"cause": plain_text(cause_id), "now_ms": now_ms}).one_or_none()
    return (row.user_id, row.settled_at) if row is not None else None


def erase(connection: Connection, user_ids: Collection[str], now_ms: int) -> int:
    """Forget users' keys, and what was to be sent to them; how many e-mails will not be sent."""
    user_ids = {plain_text(user_id) for user_id in user_ids}
    connection.execute(
        update(USER_KEY)
        .where(USER_KEY.c.user_id.in_(user_ids), USER_KEY.c.erased_at.is_(None))
        .values(key=None, erased_at=now_ms)
    )
    known = set(connection.scalars(_ERASED, {"users": list(user_ids)}))
    if unknown := [user_id for user_id in user_ids if user_id not in known]:
        connection.execute(insert(USER_KEY), [{"user_id": user_id, "erased_at": now_ms} for user_id in unknown])
    erased = connection.execute(_ERASE, {"users": list(user_ids), "now_ms": now_ms})
    return erased.rowcount


def claimants(connection: Connection, places: Places) -> set[str]:
    """Who is sending e-mails of these partitions."""
    return {str(name) for name in connection.scalars(_claimants(places))}


def recover(connection: Connection, places: Places, gone: Collection[str]) -> int:
    """Take over what claimants that are gone were sending; how many. Each may have been handed over already."""
    orphaned = _is_sending() & _is_of(EMAIL, places) & EMAIL.c.claimed_by.in_(gone)
    recovered = connection.execute(
        update(EMAIL)
        .where(orphaned)
        .values(state=State.PENDING, claimed_by=None, suspected_repeats=EMAIL.c.suspected_repeats + 1)
    )
    return recovered.rowcount


def next_due(connection: Connection, places: Places, now_ms: int) -> tuple[int | None, int | None]:
    """When the next e-mail is due, ``now_ms`` where one is already, and when the next digest; None: none is."""
    due_at, held_until = connection.execute(_next_look(places), {"now_ms": now_ms}).one()
    return due_at, held_until


def counts(connection: Connection) -> dict[State, int]:
    """How many e-mails are in each state."""
    rows = connection.execute(select(EMAIL.c.state, func.count()).group_by(EMAIL.c.state))
    found = {State(row[0]): int(row[1]) for row in rows}
    return {state: found.get(state, 0) for state in State}


def suspected_repeats(connection: Connection) -> int:
    """How many handovers may have repeated an e-mail, since nobody lived to see how the one before ended."""
    return connection.scalar(select(func.coalesce(func.sum(EMAIL.c.suspected_repeats), 0))) or 0


@lru_cache(maxsize=4)
def _next_due(places: Places) -> Select[Any]:
    with_key = EMAIL.outerjoin(USER_KEY, USER_KEY.c.user_id == EMAIL.c.user_id)
    with_all = with_key.outerjoin(RECIPIENT, RECIPIENT.c.user_id == EMAIL.c.user_id)
    profile = [column for column in RECIPIENT.c if column.name != "user_id"]
    has_recipient = RECIPIENT.c.user_id.is_not(None).label("has_recipient")
    found = select(EMAIL, USER_KEY.c.key, USER_KEY.c.erased_at, has_recipient, *profile).select_from(with_all)
    return found.where(EMAIL.c.id == _first_due(places))


@lru_cache(maxsize=4)
def _is_due(places: Places) -> Select[Any]:
    return select(_first_due(places))


@lru_cache(maxsize=4)
def _next_look(places: Places) -> Select[Any]:
    put_off = _is_pending(EMAIL) & _is_of(EMAIL, places) & (EMAIL.c.due_at > bindparam("now_ms"))
    due_later_at = select(func.min(EMAIL.c.due_at)).where(put_off).scalar_subquery()
    is_due = _first_due(places).is_not(None)
    return select(
        case((is_due, bindparam("now_ms", type_=BigInteger)), else_=due_later_at),
        inbox.NEXT_HELD.scalar_subquery(),
    )


@lru_cache(maxsize=4)
def _claimants(places: Places) -> Select[Any]:
    return select(EMAIL.c.claimed_by).where(_is_sending(), _is_of(EMAIL, places))


def _first_due(places: Places) -> ColumnElement[int]:
    """The e-mail to send next. COALESCE looks no further than the first topic that has one: mostly there is none, or
    that of one topic."""
    topics = [topic for topic in _IN_ORDER if any(topic == place.topic for place in places)]
    return func.coalesce(*(_first_due_of(topic, places) for topic in topics), null(), null())


def _first_due_of(topic: str, places: Places) -> ScalarSelect[int]:
    first, earlier = EMAIL.alias(), EMAIL.alias()
    due = _is_pending(first) & _is_of(first, {place for place in places if place.topic == topic})
    due &= first.c.due_at <= bindparam("now_ms")
    if topic != MAIL_REQUESTED.name:
        same = (earlier.c.user_id == first.c.user_id) & (earlier.c.record_topic == first.c.record_topic)
        is_before = _is_unsent(earlier) & same & (earlier.c.id < first.c.id)
        due &= ~select(earlier.c.id).where(is_before).exists()
    return select(first.c.id).where(due).order_by(first.c.id).limit(literal_column("1")).scalar_subquery()


def _is_of(emails: FromClause, places: Collection[TopicPartition]) -> ColumnElement[bool]:
    # No parameters: SQLAlchemy takes longer over each than SQLite over the statement. Topics' names have no quotes.
    numbers: dict[str, list[ColumnElement[int]]] = {}
    for topic, partition in sorted(places):
        numbers.setdefault(topic, []).append(literal_column(str(partition)))
    each = [
        (emails.c.record_topic == literal_column(f"'{topic}'")) & emails.c.record_partition.in_(of)
        for topic, of in numbers.items()
    ]
    return or_(false(), *each)


def _is_sending() -> ColumnElement[bool]:
    return EMAIL.c.state == literal_column("'sending'")


def _is_pending(emails: FromClause) -> ColumnElement[bool]:
    return _is_unsent(emails) & (emails.c.state == literal_column("'pending'"))


def _is_unsent(emails: FromClause) -> ColumnElement[bool]:
    # Word for word the condition of the partial indexes: SQLite uses them for no other way of saying it.
    return emails.c.state.in_([literal_column("'pending'"), literal_column("'sending'")])


def _own() -> Update:
    own = (EMAIL.c.id == bindparam("email_id")) & (EMAIL.c.claimed_by == bindparam("by"))
    return update(EMAIL).where(own, EMAIL.c.state == State.SENDING)


# Built once: to build them costs more than to execute them, and an e-mail passes through all of these.
_IN_ORDER = (MAIL_REQUESTED.name, *(source.name for source in SOURCES if source is not MAIL_REQUESTED), DIGEST)
_KEYS = select(USER_KEY).where(USER_KEY.c.user_id.in_(bindparam("users", expanding=True)))
_ERASED = select(USER_KEY.c.user_id).where(
    USER_KEY.c.erased_at.is_not(None), USER_KEY.c.user_id.in_(bindparam("users", expanding=True))
)
_LATER = ("id", "first_attempt_at", "claimed_by", "message_id", "last_error", "bounced_at")
_AT_FIRST = [column for column in EMAIL.c if column.name not in _LATER]
_SAME = EMAIL.alias("same")
_ADD = insert(EMAIL).from_select(
    _AT_FIRST,
    select(*(bindparam(column.name, type_=column.type) for column in _AT_FIRST)).where(
        ~select(_SAME.c.id).where(_SAME.c.cause_id == bindparam("cause_id", type_=PlainText)).exists()
    ),
)
_CLAIM = (
    update(EMAIL)
    .where(EMAIL.c.id == bindparam("email_id"), EMAIL.c.state == State.PENDING)
    .values(
        state=State.SENDING,
        attempts=bindparam("attempt"),
        claimed_by=bindparam("by"),
        first_attempt_at=bindparam("first_attempt_ms"),
    )
)
_SAYS_NOTHING = {"record_key": None, "record_value": None, "record_headers": None}
_SETTLE = _own().values(
    claimed_by=None,
    state=bindparam("new_state"),
    settled_at=bindparam("now_ms"),
    message_id=bindparam("new_message_id"),
    last_error=bindparam("error"),
    **_SAYS_NOTHING,
)
_PUT_OFF = _own().values(
    claimed_by=None,
    state=State.PENDING,
    due_at=bindparam("new_due_at"),
    last_error=bindparam("error"),
    suspected_repeats=EMAIL.c.suspected_repeats + bindparam("repeats"),
)
_WAIT = _own().values(
    claimed_by=None,
    state=State.PENDING,
    attempts=EMAIL.c.attempts - 1,
    first_attempt_at=bindparam("first_attempt_ms"),
    due_at=bindparam("new_due_at"),
    last_error=bindparam("error"),
)
_CAME = (
    update(EMAIL)
    .where(_is_unsent(EMAIL), EMAIL.c.user_id.in_(bindparam("users", expanding=True)))
    .where(EMAIL.c.state == State.PENDING, EMAIL.c.last_error.in_([KEY_MISSING, PROFILE_MISSING, UNVERIFIED]))
    .values(due_at=bindparam("now_ms"))
)
_BOUNCED = (
    update(EMAIL)
    .where(EMAIL.c.cause_id == bindparam("cause"), EMAIL.c.state == State.SENT, EMAIL.c.bounced_at.is_(None))
    .values(bounced_at=bindparam("now_ms"))
    .returning(EMAIL.c.user_id, EMAIL.c.settled_at)
)
_ERASE = (
    update(EMAIL)
    .where(_is_unsent(EMAIL), EMAIL.c.user_id.in_(bindparam("users", expanding=True)))
    .values(claimed_by=None, state=State.ERASED, settled_at=bindparam("now_ms"), last_error=None, **_SAYS_NOTHING)
)


def _release(connection: Connection, claim: Claim, statement: Update, **values: object) -> bool:
    own = {"email_id": claim.id, "by": claim.claimed_by}
    return connection.execute(statement, own | values).rowcount == 1


def _row(cause: Cause, now_ms: int, is_erased: bool) -> dict[str, object]:
    record = cause.record
    return {
        "cause_id": cause.id,
        "user_id": cause.user_id,
        "state": State.ERASED if is_erased else State.PENDING,
        "attempts": 0,
        "suspected_repeats": 0,
        "received_at": now_ms,
        "due_at": now_ms,
        "settled_at": now_ms if is_erased else None,
        "record_topic": record.topic,
        "record_partition": record.partition,
        "record_offset": record.offset,
        "record_timestamp": record.timestamp,
        "record_key": None if is_erased else record.key,
        "record_value": None if is_erased else record.value,
        "record_headers": None if is_erased else encode_headers(record.headers),
    }
