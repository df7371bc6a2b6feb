"""Reads along in the log, without a group, and tells an :class:`Activity` what happened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog

from streambank.bank.events import (
    ACCOUNT,
    ACCOUNT_BALANCE,
    ALERT_RAISED,
    BALANCE_CHANGED,
    EMAIL_SENT,
    USER_KEY,
    USER_PROFILE,
)
from streambank.cli.activity import Activity
from streambank.cli.people import People
from streambank.cli.reading import latest
from streambank.log import EventLog, RecordBatch, TopicPartition
from streambank.streams import DeserializationError, Topic

logger = structlog.get_logger(__name__)

WAIT_S = 0.2
"""How long to wait for records before looking whether to stop."""

PAUSE_S = 0.2
"""Between two looks: what is shown is drawn no more often, and the looks cost little then."""

READ_RECORDS = 5_000


class Watcher:
    """One thread's work. Begins at the log's end, so that it tells only of what happens from now on."""

    def __init__(self, log: EventLog, activity: Activity) -> None:
        self.name = "watcher"
        self._log = log
        self._activity = activity
        activity.people = People.read(log)
        self._takes: dict[str, Callable[[RecordBatch], None]] = {
            USER_KEY.name: self._take_keys,
            ACCOUNT.name: self._take_accounts,
            USER_PROFILE.name: self._take_profiles,
            BALANCE_CHANGED.name: self._take_events,
            ACCOUNT_BALANCE.name: self._take_balances,
            ALERT_RAISED.name: self._take_alerts,
            EMAIL_SENT.name: self._take_emails,
        }
        topics = log.topics()
        self._positions = {
            at: log.watermarks(at).high
            for name in self._takes
            for at in (TopicPartition(name, number) for number in range(topics[name].partitions))
        }

    def run(self, stop: threading.Event) -> None:
        """Watch until ``stop`` is set."""
        while not stop.is_set():
            if self._log.wait(self._positions, WAIT_S):
                self.step()
                stop.wait(PAUSE_S)

    def interrupt(self) -> None:
        """Nothing to do: the waits are short."""

    def step(self) -> None:
        """Take what there is now."""
        # In the order of the topics above: names before what they are needed for, alerts before their e-mails.
        for at, position in self._positions.items():
            low, high = self._log.watermarks(at)
            position = max(position, low)
            if at.topic == BALANCE_CHANGED.name:
                # Only counted, so not read.
                self._activity.add_events(high - position)
                position = high
            while position < high:
                batch = self._log.read(at, position, READ_RECORDS)
                self._takes[at.topic](batch)
                position = batch.next_offset
            self._positions[at] = position

    def show_present(self, count: int) -> None:
        """Show the balances that are in the log now: those of the accounts with the latest entries."""
        found = sorted(latest(self._log, ACCOUNT_BALANCE).values(), key=lambda balance: balance.occurred_at)
        people = self._activity.people
        chosen = sorted(found[-count:], key=lambda b: (people.name(b.user_id), people.account_name(b.scope_id)))
        self._activity.add_balances(chosen)

    def _take_keys(self, batch: RecordBatch) -> None:
        keys = self._activity.people.keys.by_user
        keys |= {value.user_id: value.key for value in _decoded(USER_KEY, batch)}
        for user_id in _removed(batch):
            keys.pop(user_id, None)

    def _take_accounts(self, batch: RecordBatch) -> None:
        people = self._activity.people
        people.accounts |= {account.account_id: account for account in _decoded(ACCOUNT, batch)}
        people.erased_accounts |= _removed(batch)

    def _take_profiles(self, batch: RecordBatch) -> None:
        people = self._activity.people
        people.profiles |= {profile.user_id: profile for profile in _decoded(USER_PROFILE, batch)}
        people.erased_users |= _removed(batch)

    def _take_events(self, batch: RecordBatch) -> None:
        self._activity.add_events(len(batch))

    def _take_balances(self, batch: RecordBatch) -> None:
        last_rows = {key: row for row, key in enumerate(batch.keys)}
        rows = sorted(last_rows.values())
        self._activity.add_balances(_decoded(ACCOUNT_BALANCE, batch, rows))

    def _take_alerts(self, batch: RecordBatch) -> None:
        for alert in _decoded(ALERT_RAISED, batch):
            self._activity.add_alert(alert)

    def _take_emails(self, batch: RecordBatch) -> None:
        for email in _decoded(EMAIL_SENT, batch):
            self._activity.add_email(email)


def _removed(batch: RecordBatch) -> set[str]:
    """The keys of the tombstones. Nothing comes after one: ids are not used again."""
    rows = zip(batch.keys, batch.values, strict=True)
    return {key.decode() for key, value in rows if value is None and key is not None}


def _decoded(topic: Topic[str, Any], batch: RecordBatch, rows: list[int] | None = None) -> list[Any]:
    found = []
    for row in range(len(batch)) if rows is None else rows:
        raw = batch.values[row]
        if raw is None:
            continue
        try:
            found.append(topic.value.deserialize(raw))
        except DeserializationError as error:
            logger.warning(
                "cannot be shown", at=str(batch.topic_partition), offset=batch.offsets[row], error=str(error)
            )
    return found
