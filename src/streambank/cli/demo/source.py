"""The demo on a bank: people who join, their history, and then live entries at a chosen rate until it is stopped.

Everything goes through the bank's API, each person logged in as themselves. One request of a person is made at a time,
those of several people at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import httpx

from streambank.bank.demo import Deed, Entry, Generator, Person
from streambank.cli.demo.acting import Asked, Outcome, act, is_refused, record
from streambank.cli.demo.crew import Crew, check_stop
from streambank.cli.demo.customer import Customer
from streambank.cli.demo.errors import DemoError, StoppedError
from streambank.cli.demo.joining import Joining
from streambank.cli.demo.mail import FindCode
from streambank.cli.demo.pace import Pace
from streambank.cli.demo.period import kept_period
from streambank.cli.people import People
from streambank.clock import Clock, to_datetime
from streambank.log import EventLog

AT_ONCE_MAX = 8
"""Requests at once. Two cores are busy with half of them; the others wait for a disk, a password's hash or a mail."""

PROGRESS_ENTRIES = 100
"""How often the progress of one person's history is told."""

TICK_S = 0.05
"""How often live entries are sent: below it nobody sees the difference."""

REST_S = 0.05
"""What is under way at a stop may take that long; the process is to be gone in a second."""

Progress: TypeAlias = Callable[[float], None]
"""Told which part is done, 0 to 1."""


class DemoSource:
    """``people`` people who use the bank at ``url``: ``days`` days behind them, and ``rate`` live entries a second.

    In order: :meth:`join`, :meth:`load_history`, :meth:`run`, and :meth:`close` at the end. In a folder that has the
    same seed's people already it goes on with them: nothing is done twice, and a history that was interrupted is
    completed; its length is then what it was at first.

    Attributes:
        live_entries: entries that were booked live, so far.
        payments: payments between people that the bank has taken on.
        let_go: what was due and never sent, since the bank could not keep up.
        refused: entries and payments that the bank did not take: somebody has closed the account, say.
    """

    def __init__(
        self,
        url: str,
        log: EventLog,
        folder: Path,
        find_code: FindCode,
        clock: Clock,
        *,
        seed: int = 1,
        people: int,
        days: int,
        rate: float,
    ) -> None:
        """Nothing is sent yet. The ``log`` is only looked into, for who is known.

        Raises:
            ValueError: people, days or rate is not positive.
            DemoError: the folder cannot be used.
        """
        if people < 1 or days < 1 or rate <= 0:
            raise ValueError("people and days must be at least 1, and rate above 0")
        self.live_entries = self.payments = self.let_go = self.refused = 0
        self._url, self._log, self._find_code, self._clock = url, log, find_code, clock
        self._seed, self._rate = seed, rate
        self._period = kept_period(folder, seed, days, to_datetime(clock()).date())
        self._generator = Generator(seed, people=people, start=self._period.start, clock=clock)
        self._deeds = self._generator.live()
        self._customers: dict[int, Customer] = {}
        # Requests for money by who is to pay, which they do in the next tick.
        self._asked: dict[int, list[Asked]] = {}
        self._transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=AT_ONCE_MAX))
        self._crew = Crew(AT_ONCE_MAX)

    @property
    def people(self) -> Sequence[Person]:
        """Everyone, by number."""
        return self._generator.people

    def join(self, stop: threading.Event, progress: Progress | None = None) -> None:
        """Let everyone become a customer who is not one yet, and log everyone in.

        Raises:
            DemoError: nobody can log in, or no mail arrives.
            StoppedError: ``stop`` was set.
        """
        known = People.read(self._log)
        joining = Joining(
            self._url,
            self._transport,
            self._find_code,
            seed=self._seed,
            known=[known.address(user_id) for user_id in known.profiles],
            sleep=_sleep_until(stop),
        )
        end, today = self._period.end, to_datetime(self._clock()).date()
        joined = self._crew.each(lambda one: joining.join(one, end, today), self.people, stop)
        for done, customer in enumerate(joined, start=1):
            if customer is not None:
                self._customers[customer.person.number] = customer
            if progress is not None:
                progress(done / len(self.people))
        if not self._customers:
            raise DemoError("nobody can log in with the demo's passwords: give it another folder with --data")

    def load_history(self, stop: threading.Event, progress: Progress | None = None) -> int:
        """Have booked what is missing of everyone's past. Returns how many entries were; 0 if all were there.

        Raises:
            StoppedError: ``stop`` was set; running it again adds the rest.
            ClientError: the bank refuses, or cannot be reached.
        """
        behind = [customer for customer in self._customers.values() if customer.place.day is None]
        lock, shares, booked = threading.Lock(), dict.fromkeys((one.person.number for one in behind), 0.0), 0

        def write(customer: Customer) -> int:
            entries = self._generator.history(customer.person, self._period.days)
            new = 0
            for count, (entry, result) in enumerate(record(customer, entries, stop), start=1):
                new += result.status == "created"
                if is_refused(result):
                    self._generator.take_back([entry])
                if count % PROGRESS_ENTRIES == 0:
                    report(customer, (entry.day - self._period.start).days / self._period.days)
            report(customer, 1.0)
            return new

        def report(customer: Customer, share: float) -> None:
            with lock:
                shares[customer.person.number] = share
                if progress is not None:
                    progress(sum(shares.values()) / len(shares))

        for new in self._crew.each(write, behind, stop):
            booked += new
        places = {number: customer.place for number, customer in self._customers.items()}
        self._generator.resume(places, self._period.end)
        return booked

    def run(self, stop: threading.Event) -> None:
        """Let people do things at the rate until ``stop`` is set; ends within a tick's requests of it.

        Run again, it goes on where it was.

        Raises:
            DemoError: nobody is left who may use the bank.
            ClientError: the bank cannot be reached.
        """
        pace, let_go = Pace(self._rate, self._clock()), self.let_go
        try:
            while not stop.wait(TICK_S):
                due = pace.due(self._clock())
                self.let_go = let_go + int(pace.let_go)
                if due or self._asked:
                    self._send(list(islice(self._deeds, due)))
        except StoppedError:
            return

    def close(self) -> None:
        """Close the connections, unless one is waited on by a thread that a stop has left behind. Idempotent."""
        if self._crew.rests(REST_S):
            self._transport.close()

    def _send(self, deeds: Sequence[Deed]) -> None:
        """One tick: everyone who does something in it, several at once. A stop lets it end."""
        by_person: dict[int, list[Deed]] = {number: [] for number in self._asked}
        for deed in deeds:
            by_person.setdefault(_doer(deed).number, []).append(deed)
        asked, self._asked = self._asked, {}

        def do(number: int) -> tuple[int, Outcome]:
            customer, own, answers = self._customers.get(number), by_person[number], asked.get(number, [])
            if customer is None:
                return number, Outcome(refused=[*own, *(one.payment for one in answers)])
            return number, act(customer, own, answers)

        for number, outcome in self._crew.each(do, by_person, threading.Event()):
            self.live_entries += outcome.entries
            self.payments += outcome.payments
            self.refused += len(outcome.refused)
            self._generator.take_back(outcome.refused)
            for one in outcome.asked:
                self._asked.setdefault(one.payment.payer.number, []).append(one)
            if outcome.has_left:
                self._leave(number)

    def _leave(self, number: int) -> None:
        del self._customers[number]
        if not self._customers:
            raise DemoError("none of the demo's people may use the bank any more")


def _doer(deed: Deed) -> Person:
    """Who has to do something: for money that is asked for, first the one who asks."""
    if isinstance(deed, Entry):
        return deed.person
    return deed.payee if deed.is_asked else deed.payer


def _sleep_until(stop: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        stop.wait(seconds)
        check_stop(stop)

    return sleep
