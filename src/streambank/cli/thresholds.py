"""Changing what people are alerted of, straight in the log, where no service runs beside it.

A change is a read and a write of one scope's record; a lock in the data folder keeps two from crossing. The
personalization service, which owns the topic, takes over what is written here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from streambank.bank.events import (
    ACCOUNT_THRESHOLDS,
    AccountThresholds,
    Currency,
    Direction,
    Scope,
    Threshold,
    parse_currency,
    total_id,
)
from streambank.cli.errors import CommandError, UsageError
from streambank.cli.filelock import lock
from streambank.cli.folder import DataFolder
from streambank.cli.people import People
from streambank.cli.reading import latest
from streambank.clock import system_clock, to_datetime
from streambank.ids import uuid7
from streambank.log import EventLog


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """The account or total that thresholds are on."""

    user_id: str
    scope: Scope
    scope_id: str
    currency: Currency
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A threshold to set. It takes the place of those in the same direction, unless they are to be kept.

    ``since_ms`` is the event time from which it holds; None: now.
    """

    on: ScopeChoice
    direction: Direction
    level_minor: int
    margin_minor: int
    keep: bool = False
    since_ms: int | None = None


@contextlib.contextmanager
def editing(folder: DataFolder) -> Iterator[None]:
    """Hold the lock on the thresholds, which those have who edit them with this data folder."""
    folder.create()
    descriptor = os.open(folder.path / "thresholds.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def find_scope(log: EventLog, account: str | None, user: str | None, currency: str | None) -> ScopeChoice:
    """What the options name. Raises UsageError or CommandError if that is not exactly one thing."""
    if (account is None) == (user is None):
        raise UsageError("give either --account ID, or --user ID with --currency CODE for all of a person's accounts")
    people = People.read(log)
    if account is not None:
        found = people.account(account)
        label = f"{people.name(found.user_id)}, {people.account_name(found.account_id)}"
        return ScopeChoice(found.user_id, Scope.ACCOUNT, found.account_id, found.currency, label)
    assert user is not None
    users = people.matching(user)
    if len(users) > 1:
        raise CommandError(f"{user!r} names {len(users)} people; give one's id: {', '.join(sorted(users)[:5])}")
    (user_id,) = users
    of = _currency(people, user_id, currency)
    scope_id = total_id(user_id, of)
    label = f"{people.name(user_id)}, {scope_label(Scope.TOTAL, scope_id, of, people)}"
    return ScopeChoice(user_id, Scope.TOTAL, scope_id, of, label)


def put(log: EventLog, changes: Sequence[Change]) -> None:
    """Set thresholds, all in one transaction."""
    now_ms = system_clock()
    now = to_datetime(now_ms)
    thresholds = {scope_id: on.thresholds for scope_id, on in latest(log, ACCOUNT_THRESHOLDS).items()}
    records: dict[str, AccountThresholds] = {}
    for change in changes:
        on = change.on
        before = thresholds.get(on.scope_id, ())
        if not change.keep:
            before = tuple(other for other in before if other.direction is not change.direction)
        added = Threshold(
            threshold_id=uuid7(now_ms),
            direction=change.direction,
            level_minor=change.level_minor,
            rearm_margin_minor=change.margin_minor,
        )
        thresholds[on.scope_id] = (*before, added)
        records[on.scope_id] = AccountThresholds(
            user_id=on.user_id,
            occurred_at=now if change.since_ms is None else to_datetime(change.since_ms),
            recorded_at=now,
            event_id=uuid7(now_ms),
            scope=on.scope,
            scope_id=on.scope_id,
            currency=on.currency,
            thresholds=thresholds[on.scope_id],
        )
    _write(log, list(records.values()))


def remove(log: EventLog, id_or_beginning: str) -> None:
    """Remove one threshold. Raises CommandError unless exactly one has the id, or begins so."""
    found = [
        (on, threshold)
        for on in latest(log, ACCOUNT_THRESHOLDS).values()
        for threshold in on.thresholds
        if threshold.threshold_id.startswith(id_or_beginning)
    ]
    exact = [(on, threshold) for on, threshold in found if threshold.threshold_id == id_or_beginning]
    if len(exact or found) != 1:
        raise CommandError(
            f"{len(found)} thresholds have an id that begins with {id_or_beginning!r};"
            " `streambank alerts thresholds` lists them"
        )
    ((on, gone),) = exact or found
    now_ms = system_clock()
    now = to_datetime(now_ms)
    rest = tuple(threshold for threshold in on.thresholds if threshold is not gone)
    _write(
        log,
        [msgspec.structs.replace(on, occurred_at=now, recorded_at=now, event_id=uuid7(now_ms), thresholds=rest)],
    )


def scope_label(scope: Scope, scope_id: str, currency: Currency, people: People) -> str:
    """What thresholds are on, for people."""
    if scope is Scope.TOTAL:
        return f"all {currency.value} accounts"
    return people.account_name(scope_id)


def _currency(people: People, user_id: str, code: str | None) -> Currency:
    if code is not None:
        return parse_currency(code)
    held = {account.currency for account in people.accounts.values() if account.user_id == user_id}
    if len(held) != 1:
        names = ", ".join(sorted(currency.value for currency in held)) or "none yet"
        raise UsageError(f"give --currency CODE: {people.name(user_id)} has accounts in {names}")
    return held.pop()


def _write(log: EventLog, records: Sequence[AccountThresholds]) -> None:
    log.create_topics([ACCOUNT_THRESHOLDS.config])
    producer = log.producer()
    try:
        with producer.transaction() as transaction:
            for thresholds in records:
                ACCOUNT_THRESHOLDS.write(transaction, thresholds.scope_id, thresholds, thresholds.timestamp)
    finally:
        producer.close()
