"""Thresholds: set by who opened an account, on it or on their total in a currency.

An alert goes to the user under whom an account's entries are published: who opened it. So only they set thresholds on
it; to others who share the account they are refused, and to everybody else there is no such account.

The topic ``account.thresholds`` holds all thresholds of a scope in one record, and its last record is what alerts go
by. This service owns it, but ``streambank alerts set`` and imports into the log write there too, as they did before
there was a service. So the service reads its own topic, and takes over what others write there:

    log:    A (ours)   X (another's)                    X was written after A, perhaps instead of it:
                       '--> rows become X               what it says is what holds

    log:    X (another's)   A (ours)                    A was made without knowledge of X, and hides it:
            '--> rows become A and X together,          nothing of X is lost
                 and are published:   B (ours) = A + X

``unread_record`` tells the cases apart: there A is until it has been read back.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from iso4217 import Currency
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from streambank.bank.events import AccountThresholds, Scope, Threshold, total_id
from streambank.bank.personalization import events, repository
from streambank.bank.personalization.context import Context, currency_of
from streambank.bank.personalization.models import THRESHOLD, THRESHOLD_SCOPE, UNREAD_RECORD
from streambank.bank.personalization.repository import UnusableRecordError, checked_id, checked_scope_id
from streambank.bank.personalization.schemas import ThresholdBody, ThresholdView
from streambank.service.http.answers import check_version
from streambank.service.http.problems import conflict, not_found, unprocessable
from streambank.service.tables import plain_text

SCOPE_THRESHOLDS_MAX = 20
"""Thresholds on one account or total: all are held against each of its entries."""

USER_THRESHOLDS_MAX = 200
"""Thresholds of one user: they are shown in one list."""

ADOPTED_MAX = 1_000
"""Thresholds of a record that another wrote: so many fit into a record of ours again."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Threshold).decode

_OF_SCOPE = THRESHOLD.join(THRESHOLD_SCOPE, THRESHOLD_SCOPE.c.scope_id == THRESHOLD.c.scope_id)
_THRESHOLDS: Select[Any] = select(
    THRESHOLD.c.threshold_id,
    THRESHOLD.c.definition,
    THRESHOLD.c.version,
    THRESHOLD_SCOPE.c.scope_id,
    THRESHOLD_SCOPE.c.scope,
    THRESHOLD_SCOPE.c.currency,
).select_from(_OF_SCOPE)


class ScopeOf(msgspec.Struct, frozen=True, gc=False):
    """An account or a total of the caller's."""

    scope: Scope
    scope_id: str
    currency: Currency


def scope_of(connection: Connection, user_id: str, body: ThresholdBody) -> ScopeOf:
    """What a request wants to watch. Raises a problem where that is not the caller's."""
    if body.account_id is None:
        if body.currency is None:
            raise unprocessable("/currency", "name an account, or the currency of the total of your accounts")
        currency = currency_of(body.currency)
        return ScopeOf(Scope.TOTAL, total_id(user_id, currency), currency)
    account = repository.own_account(connection, user_id, body.account_id, "/account_id")
    if body.currency is not None and body.currency != account.currency.value:
        raise unprocessable("/currency", f"the account is in {account.currency.value}", "currency-mismatch")
    return ScopeOf(Scope.ACCOUNT, account.account_id, account.currency)


def threshold_of(threshold_id: str, body: ThresholdBody) -> Threshold:
    """The threshold that a request describes."""
    return Threshold(
        threshold_id=threshold_id,
        direction=body.direction,
        level_minor=body.level_minor,
        rearm_margin_minor=body.rearm_margin_minor,
        cooldown_s=body.cooldown_s,
        on_available=body.on_available,
    )


def listed(connection: Connection, user_id: str) -> list[ThresholdView]:
    """A user's thresholds: by what they are on, and there in the order in which they were set."""
    own = _THRESHOLDS.where(THRESHOLD_SCOPE.c.user_id == user_id)
    order = (THRESHOLD_SCOPE.c.scope, THRESHOLD.c.scope_id, THRESHOLD.c.threshold_id)
    return [_view(row) for row in connection.execute(own.order_by(*order))]


def one(connection: Connection, user_id: str, threshold_id: str) -> ThresholdView:
    """One of a user's thresholds. Raises a problem if it is not there."""
    return _view(_own(connection, user_id, threshold_id))


def create(connection: Connection, context: Context, user_id: str, body: ThresholdBody) -> ThresholdView:
    """Set a threshold. It starts from the side that the balance is on: what was so before alerts nobody."""
    repository.person(connection, user_id)
    on = scope_of(connection, user_id, body)
    _refuse_closed(connection, on)
    of_user = select(func.count()).select_from(_OF_SCOPE).where(THRESHOLD_SCOPE.c.user_id == user_id)
    if (connection.scalar(of_user) or 0) >= USER_THRESHOLDS_MAX:
        raise conflict("too-many-thresholds", f"a user has {USER_THRESHOLDS_MAX} thresholds at most")
    threshold = threshold_of(context.new_id(), body)
    _place(connection, context, user_id, on, threshold)
    _publish(connection, context, on.scope_id)
    return one(connection, user_id, threshold.threshold_id)


def replace(
    connection: Connection,
    context: Context,
    user_id: str,
    threshold_id: str,
    body: ThresholdBody,
    expected: int | None,
) -> ThresholdView:
    """Change a threshold. It starts anew then; it stays on what it is on."""
    row = _own(connection, user_id, threshold_id)
    check_version(row.version, expected)
    on = scope_of(connection, user_id, body)
    if on.scope_id != row.scope_id:
        pointer = "/currency" if body.account_id is None else "/account_id"
        raise unprocessable(pointer, "a threshold stays on what it was set on: remove it, and set another there")
    threshold = threshold_of(threshold_id, body)
    _refuse_twin(connection, on.scope_id, threshold)
    changed = {"definition": _encode(threshold), "version": row.version + 1}
    connection.execute(update(THRESHOLD).where(*_at(row)).values(changed))
    _publish(connection, context, on.scope_id)
    return one(connection, user_id, threshold_id)


def remove(connection: Connection, context: Context, user_id: str, threshold_id: str, expected: int | None) -> None:
    """Take a threshold away."""
    row = _own(connection, user_id, threshold_id)
    check_version(row.version, expected)
    connection.execute(delete(THRESHOLD).where(*_at(row)))
    _publish(connection, context, row.scope_id)


def take_over(connection: Connection, context: Context, told: AccountThresholds) -> None:
    """A record of the topic, ours or another's, has been read: see the head of this module.

    Raises:
        UnusableRecordError: another wrote it, and it cannot be stored.
    """
    _check_usable(told)
    scope_id = told.scope_id
    unread = select(UNREAD_RECORD.c.num).where(UNREAD_RECORD.c.scope_id == scope_id)
    num = connection.scalar(unread.where(UNREAD_RECORD.c.event_id == plain_text(told.event_id)))
    if num is not None:
        # Those before it too: compaction may have taken them away unread.
        until = (UNREAD_RECORD.c.scope_id == scope_id) & (UNREAD_RECORD.c.num <= num)
        connection.execute(delete(UNREAD_RECORD).where(until))
        return
    is_hidden = connection.scalar(unread.limit(1)) is not None
    if _is_over(connection, told):
        if not is_hidden:
            _say_again(connection, context, scope_id)
        return
    known = {row.threshold_id: row for row in connection.execute(_THRESHOLDS.where(THRESHOLD.c.scope_id == scope_id))}
    _store_scope(connection, told.user_id, ScopeOf(told.scope, scope_id, told.currency))
    for threshold in told.thresholds:
        row = known.pop(threshold.threshold_id, None)
        if row is None:
            _add(connection, scope_id, threshold)
        elif not is_hidden and _decode(row.definition) != threshold:
            changed = {"definition": _encode(threshold), "version": row.version + 1}
            connection.execute(update(THRESHOLD).where(*_at(row)).values(changed))
    if is_hidden:
        _publish(connection, context, scope_id)
    else:
        for row in known.values():
            connection.execute(delete(THRESHOLD).where(*_at(row)))


def end_read(connection: Connection, scope_id: str) -> None:
    """A tombstone of the topic has been read. One that a record of ours stands behind says nothing any more."""
    unread = select(UNREAD_RECORD.c.num).where(UNREAD_RECORD.c.scope_id == scope_id).limit(1)
    if connection.scalar(unread) is None:
        _forget_scope(connection, scope_id)


def end_scope(connection: Connection, context: Context, scope_id: str, *, unless_of: str | None = None) -> None:
    """Take all thresholds off an account, but for those of its owner ``unless_of``: it is gone, or passed on."""
    user_id = connection.scalar(select(THRESHOLD_SCOPE.c.user_id).where(THRESHOLD_SCOPE.c.scope_id == scope_id))
    if user_id is not None and user_id != unless_of:
        _forget_scope(connection, scope_id)
        context.outbox.add(connection, [events.thresholds_ended(scope_id, context.clock())])


def erase(connection: Connection, context: Context, user_id: str) -> None:
    """Forget all of an erased user's thresholds."""
    own = select(THRESHOLD_SCOPE.c.scope_id).where(THRESHOLD_SCOPE.c.user_id == user_id)
    for scope_id in list(connection.scalars(own.order_by(THRESHOLD_SCOPE.c.scope_id))):
        end_scope(connection, context, scope_id)


def _place(connection: Connection, context: Context, user_id: str, on: ScopeOf, threshold: Threshold) -> None:
    _store_scope(connection, user_id, on)
    there = select(func.count()).select_from(THRESHOLD).where(THRESHOLD.c.scope_id == on.scope_id)
    if (connection.scalar(there) or 0) >= SCOPE_THRESHOLDS_MAX:
        raise conflict("too-many-thresholds", f"there are {SCOPE_THRESHOLDS_MAX} thresholds there, which is the most")
    _refuse_twin(connection, on.scope_id, threshold)
    _add(connection, on.scope_id, threshold)


def _publish(connection: Connection, context: Context, scope_id: str) -> None:
    of_scope = THRESHOLD_SCOPE.c.scope_id == scope_id
    on = connection.execute(select(THRESHOLD_SCOPE).where(of_scope)).one()
    event_id = context.new_id()
    record = events.thresholds_changed(
        on.user_id,
        Scope(on.scope),
        scope_id,
        Currency(on.currency),
        _definitions(connection, scope_id),
        event_id=event_id,
        now_ms=context.clock(),
    )
    connection.execute(insert(UNREAD_RECORD), {"event_id": event_id, "scope_id": scope_id})
    context.outbox.add(connection, [record])


def _definitions(connection: Connection, scope_id: str) -> list[Threshold]:
    found = select(THRESHOLD.c.definition).where(THRESHOLD.c.scope_id == scope_id).order_by(THRESHOLD.c.threshold_id)
    return [_decode(definition) for definition in connection.scalars(found)]


def _store_scope(connection: Connection, user_id: str, on: ScopeOf) -> None:
    values = {"user_id": user_id, "scope": on.scope.value, "currency": on.currency.value}
    place = THRESHOLD_SCOPE.c.scope_id == on.scope_id
    if connection.execute(update(THRESHOLD_SCOPE).where(place).values(values)).rowcount == 0:
        connection.execute(insert(THRESHOLD_SCOPE), {"scope_id": on.scope_id, **values})


def _add(connection: Connection, scope_id: str, threshold: Threshold) -> None:
    row = {"scope_id": scope_id, "threshold_id": threshold.threshold_id, "definition": _encode(threshold), "version": 1}
    connection.execute(insert(THRESHOLD), row)


def _forget_scope(connection: Connection, scope_id: str) -> None:
    for table in (THRESHOLD, UNREAD_RECORD, THRESHOLD_SCOPE):
        connection.execute(delete(table).where(table.c.scope_id == scope_id))


def _refuse_closed(connection: Connection, on: ScopeOf) -> None:
    account = repository.account(connection, on.scope_id) if on.scope is Scope.ACCOUNT else None
    if account is not None and account.is_closed:
        raise unprocessable("/account_id", "the account is closed", "account-closed")


def _refuse_twin(connection: Connection, scope_id: str, threshold: Threshold) -> None:
    others = [other for other in _definitions(connection, scope_id) if other.threshold_id != threshold.threshold_id]
    if any(msgspec.structs.replace(other, threshold_id=threshold.threshold_id) == threshold for other in others):
        raise conflict("threshold-exists", "the same threshold is set there already")


def _say_again(connection: Connection, context: Context, scope_id: str) -> None:
    """Publish what is known of a scope, after a record that counts for nothing; a tombstone if nothing is."""
    if connection.scalar(select(THRESHOLD_SCOPE.c.scope_id).where(THRESHOLD_SCOPE.c.scope_id == scope_id)) is not None:
        _publish(connection, context, scope_id)
    else:
        context.outbox.add(connection, [events.thresholds_ended(scope_id, context.clock())])


def _is_over(connection: Connection, told: AccountThresholds) -> bool:
    """Whether nobody may be alerted by it: its user was erased, or the account has passed on to somebody else."""
    account = repository.account(connection, told.scope_id) if told.scope is Scope.ACCOUNT else None
    passed_on = account is not None and account.owner_id != told.user_id
    return passed_on or repository.is_erased(connection, told.user_id)


def _check_usable(told: AccountThresholds) -> None:
    checked_scope_id(told.scope_id)
    checked_id(told.user_id)
    ids: Sequence[str] = [checked_id(threshold.threshold_id) for threshold in told.thresholds]
    if len(ids) > ADOPTED_MAX:
        raise UnusableRecordError(f"{len(ids)} thresholds on one account or total: {ADOPTED_MAX} are the most")
    if len(set(ids)) < len(ids):
        raise UnusableRecordError("two thresholds of one id")


def _own(connection: Connection, user_id: str, threshold_id: str) -> Row[Any]:
    own = _THRESHOLDS.where(THRESHOLD_SCOPE.c.user_id == user_id, THRESHOLD.c.threshold_id == threshold_id)
    row = connection.execute(own.order_by(THRESHOLD.c.scope_id).limit(1)).one_or_none()
    if row is None:
        raise not_found("threshold")
    return row


def _at(row: Row[Any]) -> tuple[Any, Any]:
    return THRESHOLD.c.scope_id == row.scope_id, THRESHOLD.c.threshold_id == row.threshold_id


def _view(row: Row[Any]) -> ThresholdView:
    threshold, scope = _decode(row.definition), Scope(row.scope)
    return ThresholdView(
        id=threshold.threshold_id,
        scope=scope,
        account_id=row.scope_id if scope is Scope.ACCOUNT else None,
        currency=row.currency,
        direction=threshold.direction,
        level_minor=threshold.level_minor,
        rearm_margin_minor=threshold.rearm_margin_minor,
        cooldown_s=threshold.cooldown_s,
        on_available=threshold.on_available,
        version=row.version,
    )
