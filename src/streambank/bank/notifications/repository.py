"""The sent-log's queries. Each works within the caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Update,
    bindparam,
    false,
    func,
    insert,
    literal,
    literal_column,
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
from streambank.log import Record, decode_headers, encode_headers
from streambank.service.tables import plain_text

Places: TypeAlias = Mapping[str, Collection[int]]
"""The partitions of each topic whose e-mails one sender looks after."""

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
    by_id = {plain_text(cause.id): cause for cause in reversed(causes)}
    known = set(connection.scalars(_KNOWN, {"causes": list(by_id)}))
    new = [cause for cause_id, cause in reversed(by_id.items()) if cause_id not in known]
    if new:
        connection.execute(_INSERT, [_row(cause, now_ms, plain_text(cause.user_id) in erased) for cause in new])


def is_due(connection: Connection, places: Places, now_ms: int) -> bool:
    """Whether :func:`claim_next` would find something."""
    return _next_due(connection, places, now_ms) is not None


def claim_next(connection: Connection, places: Places, claimed_by: str, now_ms: int) -> Claim | None:
    """Mark the next due e-mail as being sent: those asked for, then alerts, then the rest, and of each the oldest.

    A user's alerts go out in order: a later one waits for an earlier. What a person waits for now, and is asked for
    with every chance of going to another address than the one before, waits for nothing.
    """
    row = _next_due(connection, places, now_ms)
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
    claimed_by = select(EMAIL.c.claimed_by).where(_is_sending(), _is_of(places))
    return {str(name) for name in connection.scalars(claimed_by)}


def recover(connection: Connection, places: Places, gone: Collection[str]) -> int:
    """Take over what claimants that are gone were sending; how many. Each may have been handed over already."""
    orphaned = _is_sending() & _is_of(places) & EMAIL.c.claimed_by.in_(gone)
    recovered = connection.execute(
        update(EMAIL)
        .where(orphaned)
        .values(state=State.PENDING, claimed_by=None, suspected_repeats=EMAIL.c.suspected_repeats + 1)
    )
    return recovered.rowcount


def next_due_at(connection: Connection, places: Places, now_ms: int) -> int | None:
    """When the next e-mail that is put off becomes due; None if none is."""
    found = connection.execute(_NEXT_DUE, {"now_ms": now_ms})
    return min((due_at for topic, partition, due_at in found if partition in places.get(topic, ())), default=None)


def counts(connection: Connection) -> dict[State, int]:
    """How many e-mails are in each state."""
    rows = connection.execute(select(EMAIL.c.state, func.count()).group_by(EMAIL.c.state))
    found = {State(row[0]): int(row[1]) for row in rows}
    return {state: found.get(state, 0) for state in State}


def suspected_repeats(connection: Connection) -> int:
    """How many handovers may have repeated an e-mail, since nobody lived to see how the one before ended."""
    return connection.scalar(select(func.coalesce(func.sum(EMAIL.c.suspected_repeats), 0))) or 0


def _next_due(connection: Connection, places: Places, now_ms: int) -> Row[Any] | None:
    # Mostly there is nothing, or that of one topic: to ask each of them for all that an e-mail needs costs many times
    # this.
    is_any_due = connection.execute(_ANY_DUE, {"now_ms": now_ms}).one()
    for (topic, due), is_any in zip(_DUE.items(), is_any_due, strict=True):
        partitions = places.get(topic)
        if is_any and partitions:
            parameters = {"topic": topic, "partitions": partitions, "now_ms": now_ms}
            row = connection.execute(due, parameters).one_or_none()
            if row is not None:
                return row
    return None


def _due() -> Select[Any]:
    of_partitions = EMAIL.c.record_partition.in_(bindparam("partitions", expanding=True))
    due = _is_due_of(bindparam("topic")) & of_partitions
    with_key = EMAIL.outerjoin(USER_KEY, USER_KEY.c.user_id == EMAIL.c.user_id)
    with_all = with_key.outerjoin(RECIPIENT, RECIPIENT.c.user_id == EMAIL.c.user_id)
    profile = [column for column in RECIPIENT.c if column.name != "user_id"]
    has_recipient = RECIPIENT.c.user_id.is_not(None).label("has_recipient")
    found = select(EMAIL, USER_KEY.c.key, USER_KEY.c.erased_at, has_recipient, *profile).select_from(with_all)
    return found.where(due).order_by(EMAIL.c.id).limit(1)


def _not_before_an_earlier_one() -> ColumnElement[bool]:
    earlier = EMAIL.alias("earlier")
    same = (earlier.c.user_id == EMAIL.c.user_id) & (earlier.c.record_topic == EMAIL.c.record_topic)
    return ~select(earlier.c.id).where(same, earlier.c.id < EMAIL.c.id, _is_unsent(earlier.c.state)).exists()


def _is_due_of(topic: ColumnElement[str]) -> ColumnElement[bool]:
    return _IS_PENDING & (EMAIL.c.record_topic == topic) & (EMAIL.c.due_at <= bindparam("now_ms"))


def _is_of(places: Places) -> ColumnElement[bool]:
    each = [(EMAIL.c.record_topic == topic) & EMAIL.c.record_partition.in_(of) for topic, of in places.items()]
    return or_(false(), *each)


def _is_sending() -> ColumnElement[bool]:
    return EMAIL.c.state == literal_column("'sending'")


def _is_unsent(state: ColumnElement[str]) -> ColumnElement[bool]:
    # Word for word the condition of the partial indexes: SQLite uses them for no other way of saying it.
    return state.in_([literal_column("'pending'"), literal_column("'sending'")])


def _own() -> Update:
    own = (EMAIL.c.id == bindparam("email_id")) & (EMAIL.c.claimed_by == bindparam("by"))
    return update(EMAIL).where(own, EMAIL.c.state == State.SENDING)


# Built once: to build them costs more than to execute them, and an e-mail passes through all of these.
_IS_PENDING = _is_unsent(EMAIL.c.state) & (EMAIL.c.state == State.PENDING)
_DUE = {MAIL_REQUESTED.name: _due()} | {
    topic: _due().where(_not_before_an_earlier_one())
    for topic in [*(source.name for source in SOURCES if source is not MAIL_REQUESTED), DIGEST]
}
_ANY_DUE = select(*(select(EMAIL.c.id).where(_is_due_of(literal(topic))).exists() for topic in _DUE))
_KNOWN = select(EMAIL.c.cause_id).where(EMAIL.c.cause_id.in_(bindparam("causes", expanding=True)))
_KEYS = select(USER_KEY).where(USER_KEY.c.user_id.in_(bindparam("users", expanding=True)))
_ERASED = select(USER_KEY.c.user_id).where(
    USER_KEY.c.erased_at.is_not(None), USER_KEY.c.user_id.in_(bindparam("users", expanding=True))
)
_INSERT = insert(EMAIL)
_NEXT_DUE = (
    select(EMAIL.c.record_topic, EMAIL.c.record_partition, func.min(EMAIL.c.due_at))
    .where(_IS_PENDING, EMAIL.c.due_at > bindparam("now_ms"))
    .group_by(EMAIL.c.record_topic, EMAIL.c.record_partition)
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
    .where(_is_unsent(EMAIL.c.state), EMAIL.c.user_id.in_(bindparam("users", expanding=True)))
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
    .where(_is_unsent(EMAIL.c.state), EMAIL.c.user_id.in_(bindparam("users", expanding=True)))
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
