"""The demo on a log: its history, and then live entries at a chosen rate until it is stopped."""

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import TypeAlias, TypeVar, cast

from streambank.bank.booked import Booked, read_booked
from streambank.bank.demo.generator import DemoEvent, Generator, Position
from streambank.bank.demo.people import person
from streambank.bank.events import ACCOUNT, ACCOUNT_THRESHOLDS, BALANCE_CHANGED, USER_PROFILE, BalanceChanged
from streambank.clock import Clock, to_datetime
from streambank.errors import StreambankError, check
from streambank.log import EventLog, FencedError, Producer

TRANSACTIONAL_ID = "demo"
CHUNK_EVENTS = 4_000
TICK_S = 0.05
"""How often live entries are written: below it nobody sees the difference, and each write is a durable commit."""

BURST_S = 0.5
"""Entries that could not be written in time are made up for at most so far; the rest is let go."""

Progress: TypeAlias = Callable[[int, float], None]
"""Told how many events were written so far, and which part of the history is done, 0 to 1."""

T = TypeVar("T")


class DemoError(StreambankError):
    """The demo cannot go on."""


class DemoSource:
    """A demo bank on ``log``: ``people`` people with ``days`` days behind them, and ``rate`` live entries a second.

    On a log that has the same seed's people already, it goes on with them: accounts' numbers stay gapless, nothing is
    written twice, and a history that was interrupted is completed; its length is then what it was at first. One demo
    at a time on each log: a second one stops the first.

    Raises:
        ValueError: people, days or rate is not positive.
    """

    def __init__(self, log: EventLog, clock: Clock, *, seed: int = 1, people: int, days: int, rate: float) -> None:
        if people < 1 or days < 1 or rate <= 0:
            raise ValueError("people and days must be at least 1, and rate above 0")
        self._log = log
        self._clock = clock
        self._days = days
        self._rate = rate
        self._people = people
        self._seed = seed
        self._producer: Producer | None = None
        self._generator: Generator | None = None

    def load_history(self, progress: Progress | None = None) -> int:
        """Write what is missing of the history. Returns how many events were written; 0 if it is all there.

        Raises:
            DemoError: another demo began on this log.
            StorageFullError: no space; running it again adds the rest.
        """
        topics = (USER_PROFILE, ACCOUNT, ACCOUNT_THRESHOLDS, BALANCE_CHANGED)
        self._log.create_topics(topic.config for topic in topics)
        if self._producer is not None:
            self._producer.close()
        # Fencing comes before reading: what an earlier demo had not committed by now it cannot commit any more.
        self._producer = self._log.producer(TRANSACTIONAL_ID)
        demo_accounts = {
            account.account_id for number in range(self._people) for account in person(self._seed, number).accounts
        }
        booked = read_booked(self._log, demo_accounts.__contains__)
        start, end = self._period(booked)
        days = (end - start).days
        generator = Generator(self._seed, people=self._people, start=start, clock=self._clock)
        written = 0
        missing = _missing(generator.history(days), booked)
        for chunk in _chunks(missing, CHUNK_EVENTS):
            self._write(chunk)
            written += len(chunk)
            if progress is not None:
                done = (chunk[-1].timestamp / 86_400_000 - _day_number(start)) / days
                progress(written, min(1.0, max(0.0, done)))
        if progress is not None:
            progress(written, 1.0)
        self._go_on(generator, booked, end)
        self._generator = generator
        return written

    def run(self, stop: threading.Event) -> int:
        """Write live entries at the rate until ``stop`` is set. Returns how many were written.

        Loads the history first if that was not done. Ends within a tick of ``stop``.

        Raises:
            DemoError: another demo began on this log.
        """
        entries = self._loaded().live()
        tokens, last_ms, written = 0.0, self._clock(), 0
        burst = max(1.0, self._rate * BURST_S)
        while not stop.wait(TICK_S):
            now_ms = self._clock()
            tokens = min(burst, tokens + max(0, now_ms - last_ms) * self._rate / 1000)
            last_ms = now_ms
            due = int(tokens)
            if due:
                tokens -= due
                self._write(list(islice(entries, due)))
                written += due
        return written

    def _loaded(self) -> Generator:
        if self._generator is None:
            self.load_history()
        generator = self._generator
        check(generator is not None, "the history is loaded without a generator")
        return cast(Generator, generator)

    def close(self) -> None:
        """Release the producer. The log stays open."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _period(self, booked: Booked) -> tuple[date, date]:
        """The history's first day and the day after its last: those of the log's demo, if it has one.

        A later run has to make the same history, whatever the date is by then: it ends on the day it was first written.
        """
        known = booked.accounts.get(person(self._seed, 0).checking.account_id)
        if known is not None:
            return known.occurred_at.date(), known.recorded_at.date()
        today = to_datetime(self._clock()).date()
        return today - timedelta(days=self._days), today

    def _go_on(self, generator: Generator, booked: Booked, end: date) -> None:
        """Where the log has live entries, stand where they stand, and live the rest of their last day."""
        positions: dict[str, Position] = {}
        done: set[str] = set()
        next_day = end
        for account_id, account in booked.entries.items():
            day = _day_of(account.last_reference)
            if day is not None and day >= end:
                positions[account_id] = Position(account.balance_minor, account.last_seq)
                done |= account.entry_ids
                next_day = max(next_day, day)
        generator.resume(positions, next_day, done)

    def _write(self, events: Iterable[DemoEvent]) -> None:
        if self._producer is None:
            raise DemoError("the demo was closed: make a new one")
        try:
            with self._producer.transaction() as transaction:
                for topic, key, value, timestamp in events:
                    topic.write(transaction, key, value, timestamp)
        except FencedError:
            raise DemoError("another demo began on this log, so this one stopped; nothing is doubled") from None


def _missing(events: Iterable[DemoEvent], booked: Booked) -> Iterator[DemoEvent]:
    for event in events:
        value = event.value
        if isinstance(value, BalanceChanged):
            account = booked.entries.get(value.account_id)
            if account is None or value.entry_id not in account.entry_ids:
                yield event
        elif event.topic is ACCOUNT:
            if event.key not in booked.accounts:
                yield event
        elif event.key not in booked.profiles and value.user_id not in booked.profiles:
            yield event


def _day_of(reference: str | None) -> date | None:
    return date.fromisoformat(reference[:10]) if reference else None


def _day_number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
