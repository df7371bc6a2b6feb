"""The sent-log's queries. Each works within the caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from streambank.bank.events import ALERT_NOTIFICATION, AlertNotification
from streambank.bank.notifications.models import EMAIL, State
from streambank.log import Record, decode_headers, encode_headers
from streambank.service.projection import Received
from streambank.service.tables import plain_text


@dataclass(frozen=True, slots=True)
class Claim:
    """An e-mail that one sender works on: ``attempt`` counts from 1, times are ms since the epoch."""

    id: int
    claimed_by: str
    alert_id: str
    attempt: int
    received_at: int
    first_attempt_at: int
    record: Record


def add(connection: Connection, received: Sequence[Received[AlertNotification]], now_ms: int) -> int:
    """Put new alerts on record; those already there are left alone. How many were new."""
    by_alert = {plain_text(item.value.alert_id): item for item in reversed(received)}
    known = set(connection.scalars(_KNOWN, {"alerts": list(by_alert)}))
    rows = [_row(item, now_ms) for alert_id, item in reversed(by_alert.items()) if alert_id not in known]
    if rows:
        connection.execute(_INSERT, rows)
    return len(rows)


def is_due(connection: Connection, partitions: Collection[int], now_ms: int) -> bool:
    """Whether :func:`claim_next` would find something."""
    return connection.execute(_DUE, {"partitions": partitions, "now_ms": now_ms}).one_or_none() is not None


def claim_next(connection: Connection, partitions: Collection[int], claimed_by: str, now_ms: int) -> Claim | None:
    """Mark the oldest due e-mail as being sent. A user's e-mails go out in order: a later one waits for an earlier."""
    row = connection.execute(_DUE, {"partitions": partitions, "now_ms": now_ms}).one_or_none()
    if row is None:
        return None
    first_attempt_at = now_ms if row.first_attempt_at is None else row.first_attempt_at
    claimed = connection.execute(
        _CLAIM,
        {"email_id": row.id, "by": claimed_by, "attempt": row.attempts + 1, "first_attempt_ms": first_attempt_at},
    )
    if claimed.rowcount != 1:
        return None
    record = Record(
        ALERT_NOTIFICATION.name,
        row.record_partition,
        row.record_offset,
        row.record_timestamp,
        row.record_key,
        row.record_value,
        decode_headers(row.record_headers),
    )
    return Claim(row.id, claimed_by, row.alert_id, row.attempts + 1, row.received_at, first_attempt_at, record)


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


def claimants(connection: Connection, partitions: Collection[int]) -> set[str]:
    """Who is sending e-mails of these partitions."""
    return {str(claimed_by) for claimed_by in connection.scalars(_CLAIMANTS, {"partitions": partitions})}


def recover(connection: Connection, partitions: Collection[int], gone: Collection[str]) -> int:
    """Take over what claimants that are gone were sending; how many. Each may have been handed over already."""
    orphaned = _is_sending() & EMAIL.c.record_partition.in_(partitions) & EMAIL.c.claimed_by.in_(gone)
    recovered = connection.execute(
        update(EMAIL)
        .where(orphaned)
        .values(state=State.PENDING, claimed_by=None, suspected_repeats=EMAIL.c.suspected_repeats + 1)
    )
    return recovered.rowcount


def next_due_at(connection: Connection, partitions: Collection[int], now_ms: int) -> int | None:
    """When the next e-mail that is put off becomes due; None if none is."""
    due_at: int | None = connection.scalar(_NEXT_DUE, {"partitions": partitions, "now_ms": now_ms})
    return due_at


def counts(connection: Connection) -> dict[State, int]:
    """How many e-mails are in each state."""
    rows = connection.execute(select(EMAIL.c.state, func.count()).group_by(EMAIL.c.state))
    found = {State(row[0]): int(row[1]) for row in rows}
    return {state: found.get(state, 0) for state in State}


def suspected_repeats(connection: Connection) -> int:
    """How many handovers may have repeated an e-mail, since nobody lived to see how the one before ended."""
    return connection.scalar(select(func.coalesce(func.sum(EMAIL.c.suspected_repeats), 0))) or 0


def _due() -> Select[Any]:
    earlier = EMAIL.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(earlier.c.user_id == EMAIL.c.user_id, earlier.c.id < EMAIL.c.id, _is_unsent(earlier.c.state))
        .exists()
    )
    due = (EMAIL.c.due_at <= bindparam("now_ms")) & _pending() & ~blocked
    return select(EMAIL).where(due).order_by(EMAIL.c.id).limit(1)


def _pending() -> ColumnElement[bool]:
    return _is_unsent(EMAIL.c.state) & (EMAIL.c.state == State.PENDING) & _of_partitions()


def _of_partitions() -> ColumnElement[bool]:
    return EMAIL.c.record_partition.in_(bindparam("partitions", expanding=True))


def _is_sending() -> ColumnElement[bool]:
    return EMAIL.c.state == literal_column("'sending'")


def _is_unsent(state: ColumnElement[str]) -> ColumnElement[bool]:
    # Word for word the condition of the partial indexes: SQLite uses them for no other way of saying it.
    return state.in_([literal_column("'pending'"), literal_column("'sending'")])


def _own() -> Update:
    own = (EMAIL.c.id == bindparam("email_id")) & (EMAIL.c.claimed_by == bindparam("by"))
    return update(EMAIL).where(own, EMAIL.c.state == State.SENDING)


# Built once: to build them costs more than to execute them, and an e-mail passes through all of these.
_DUE = _due()
_KNOWN = select(EMAIL.c.alert_id).where(EMAIL.c.alert_id.in_(bindparam("alerts", expanding=True)))
_INSERT = insert(EMAIL)
_NEXT_DUE = select(func.min(EMAIL.c.due_at)).where(_pending(), EMAIL.c.due_at > bindparam("now_ms"))
_CLAIMANTS = select(EMAIL.c.claimed_by).where(_is_sending(), _of_partitions())
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
_SETTLE = _own().values(
    claimed_by=None,
    state=bindparam("new_state"),
    settled_at=bindparam("now_ms"),
    message_id=bindparam("new_message_id"),
    last_error=bindparam("error"),
    record_key=None,
    record_value=None,
    record_headers=None,
)
_PUT_OFF = _own().values(
    claimed_by=None,
    state=State.PENDING,
    due_at=bindparam("new_due_at"),
    last_error=bindparam("error"),
    suspected_repeats=EMAIL.c.suspected_repeats + bindparam("repeats"),
)


def _release(connection: Connection, claim: Claim, statement: Update, **values: object) -> bool:
    own = {"email_id": claim.id, "by": claim.claimed_by}
    return connection.execute(statement, own | values).rowcount == 1


def _row(item: Received[AlertNotification], now_ms: int) -> dict[str, object]:
    record = item.record
    return {
        "alert_id": item.value.alert_id,
        "user_id": item.value.user_id,
        "state": State.PENDING,
        "attempts": 0,
        "suspected_repeats": 0,
        "received_at": now_ms,
        "due_at": now_ms,
        "record_partition": record.partition,
        "record_offset": record.offset,
        "record_timestamp": record.timestamp,
        "record_key": record.key,
        "record_value": record.value,
        "record_headers": encode_headers(record.headers),
    }
