"""What the running bank has done since it was started: counts, rates, latencies, and what happened last.

Written by the watcher's thread, read by whoever draws; every method takes the lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streambank.cli.people import People

if TYPE_CHECKING:
    from streambank.bank.events import AlertRaised, Balance, EmailSent

LATENCIES_MAX = 10_000
"""Median and 99th percentile are those of the last so many e-mails."""

FEED_MAX = 200
RATE_WINDOW_S = 5.0
BALANCES_MAX = 64
"""How many balances are kept for showing."""

Monotonic = Callable[[], float]


@dataclass(slots=True)
class FeedItem:
    """An alert, and its e-mail once it has gone out."""

    alert: AlertRaised
    latency_ms: float | None = None


@dataclass(slots=True)
class ShownBalance:
    """An account's balance in the table, and when it changed on the monotonic clock."""

    balance: Balance
    changed_s: float


@dataclass(frozen=True, slots=True)
class Totals:
    """The numbers at one moment. Latencies are in ms, None before the first e-mail."""

    events: int
    events_per_s: float
    alerts: int
    emails: int
    p50_ms: float | None
    p99_ms: float | None


class Activity:
    """Since the start. ``on_alert`` and ``on_email`` are called, without the lock, for each as it happens."""

    def __init__(self, monotonic: Monotonic = time.monotonic) -> None:
        self.people = People()
        self.on_alert: Callable[[AlertRaised], None] | None = None
        self.on_email: Callable[[AlertRaised | None, float], None] | None = None
        self._monotonic = monotonic
        self._mutex = threading.Lock()
        self._events = 0
        self._alerts = 0
        self._emails = 0
        self._marks: deque[tuple[float, int]] = deque([(monotonic(), 0)])
        self._recent_ms: deque[float] = deque(maxlen=LATENCIES_MAX)
        self._feed: deque[FeedItem] = deque(maxlen=FEED_MAX)
        self._by_alert: dict[str, FeedItem] = {}
        self._balances: dict[str, ShownBalance] = {}

    def add_events(self, count: int) -> None:
        """Entries came into the log."""
        with self._mutex:
            self._events += count
            now = self._monotonic()
            self._marks.append((now, self._events))
            while len(self._marks) > 2 and now - self._marks[1][0] > RATE_WINDOW_S:
                self._marks.popleft()

    def restart_rate(self) -> None:
        """Let the rate be that of what comes from now on."""
        with self._mutex:
            self._marks = deque([(self._monotonic(), self._events)])

    def add_balances(self, balances: Sequence[Balance]) -> None:
        """Balances changed. When there are too many to show, the one that was still for longest goes."""
        with self._mutex:
            now = self._monotonic()
            for balance in balances:
                shown = self._balances.get(balance.scope_id)
                if shown is not None:
                    shown.balance, shown.changed_s = balance, now
                    continue
                if len(self._balances) >= BALANCES_MAX:
                    stillest = min(self._balances, key=lambda scope_id: self._balances[scope_id].changed_s)
                    del self._balances[stillest]
                self._balances[balance.scope_id] = ShownBalance(balance, now)

    def add_alert(self, alert: AlertRaised) -> None:
        """An alert was raised."""
        with self._mutex:
            self._alerts += 1
            item = FeedItem(alert)
            if len(self._feed) == FEED_MAX:
                self._by_alert.pop(self._feed[0].alert.alert_id, None)
            self._feed.append(item)
            self._by_alert[alert.alert_id] = item
        if self.on_alert is not None:
            self.on_alert(alert)

    def add_email(self, email: EmailSent) -> None:
        """An alert's e-mail went out."""
        latency_ms = (email.sent_at - email.recorded_at).total_seconds() * 1000
        with self._mutex:
            self._emails += 1
            self._recent_ms.append(latency_ms)
            item = self._by_alert.get(email.alert_id)
            if item is not None:
                item.latency_ms = latency_ms
        if self.on_email is not None:
            self.on_email(item.alert if item is not None else None, latency_ms)

    def totals(self) -> Totals:
        """The numbers now."""
        with self._mutex:
            self._refresh_marks()
            (since, before), (_, events) = self._marks[0], self._marks[-1]
            ordered = sorted(self._recent_ms)
            return Totals(
                events=self._events,
                events_per_s=(events - before) / max(self._monotonic() - since, 0.5),
                alerts=self._alerts,
                emails=self._emails,
                p50_ms=percentile(ordered, 0.50),
                p99_ms=percentile(ordered, 0.99),
            )

    def feed(self, count: int) -> list[FeedItem]:
        """The last alerts, newest first."""
        with self._mutex:
            return [FeedItem(item.alert, item.latency_ms) for item in list(self._feed)[-count:][::-1]]

    def balances(self) -> list[ShownBalance]:
        """The balances to show, in an order that does not change while they do."""
        with self._mutex:
            return [ShownBalance(shown.balance, shown.changed_s) for shown in self._balances.values()]

    def now_s(self) -> float:
        """The monotonic clock that ``changed_s`` is on."""
        return self._monotonic()

    def _refresh_marks(self) -> None:
        now = self._monotonic()
        while len(self._marks) > 1 and now - self._marks[1][0] > RATE_WINDOW_S:
            self._marks.popleft()


def percentile(ordered: Sequence[float], fraction: float) -> float | None:
    """The smallest value that at least ``fraction`` of the ascending values do not exceed; None for no values."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]
