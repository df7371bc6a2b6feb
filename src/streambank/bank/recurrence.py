"""What recurs: payments between the same two, of about the same amount, at regular intervals; and which comes next.

         9.99        9.99        9.99              12.99       12.99
    -----o-----------o-----------o--------(none)---o-----------o-----------?-----
         1 Jan       1 Feb       3 Mar             1 May       2 Jun       next: 1 Jul, 12.99; once 9.99
               monthly: within 5 days of a month later, and one in between may be missing

1. Amounts that lie close together are one cluster: two subscriptions with one provider are two.
2. Going back from a cluster's latest payment for as long as the rhythm holds gives its run; three make a rhythm.
3. What came when a run was due to go on, at up to twice or half the price, continues it: the price has changed.

It is a function of the set of payments: in whatever order they come in, the same is found. No more than the latest
:data:`OCCURRENCES_MAX` of a pair are looked at, so that the longest rhythms are not seen where much else is paid to the
same name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median_low
from typing import Literal

import msgspec

from streambank.bank.days import add_months
from streambank.bank.events import Cadence, RecurringPayment
from streambank.ids import derived_id

OCCURRENCES_MAX = 40
"""Three years of a monthly payment, three quarters of one of a weekly; two kilobytes of state at the most."""

OCCURRENCES_MIN = 3
"""Two payments make one interval, which is like any other."""

SIMILAR_PERCENT = 20
"""How far neighbours in a cluster may lie apart, of the larger one: bills for power vary so much."""

PRICE_FACTOR_MAX = 2

Status = Literal["active", "missed", "ended"]


class Occurrence(msgspec.Struct, frozen=True, gc=False):
    """One payment. ``amount_minor`` has no sign."""

    day: date
    amount_minor: int
    entry_id: str


@dataclass(frozen=True, slots=True)
class Rhythm:
    """An interval in days, or in months of the calendar, and by how many days a payment may miss it."""

    cadence: Cadence
    days: int
    months: int
    tolerance_days: int

    def later(self, day: date, times: int = 1) -> date:
        """So many intervals later; the end of the calendar where that is beyond it."""
        try:
            return add_months(day, self.months * times) if self.months else day + timedelta(self.days * times)
        except OverflowError:
            return date.max

    def intervals(self, earlier: date, day: date) -> int | None:
        """Whether ``day`` is one interval after the other, or two: one payment is missing; None: neither."""
        for times in (1, 2):
            if abs((day - self.later(earlier, times)).days) <= self.tolerance_days:
                return times
        return None


# Weekends and holidays move a payment by some days; the more time there is between two, the more it may slip.
RHYTHMS = {
    rhythm.cadence: rhythm
    for rhythm in (
        Rhythm(Cadence.WEEKLY, 7, 0, 2),
        Rhythm(Cadence.FORTNIGHTLY, 14, 0, 3),
        Rhythm(Cadence.MONTHLY, 0, 1, 5),
        Rhythm(Cadence.QUARTERLY, 0, 3, 10),
        Rhythm(Cadence.YEARLY, 0, 12, 20),
    )
}


@dataclass(frozen=True, slots=True)
class _Run:
    rhythm: Rhythm
    payments: tuple[Occurrence, ...]


def find(group_id: str, occurrences: Sequence[Occurrence]) -> tuple[RecurringPayment, ...]:
    """What recurs among the payments of one group, the longest known first."""
    runs = [run for cluster in clusters(occurrences) if (run := _latest_run(cluster)) is not None]
    runs.sort(key=lambda run: (run.payments[0].day, run.payments[0].entry_id))
    found: list[_Run] = []
    used: set[str] = set()
    for run in runs:
        if run.payments[0].entry_id in used:
            continue
        others = [other for other in runs if other is not run]
        run = _continued(run, occurrences, others, used)
        used.update(one.entry_id for one in run.payments)
        found.append(run)
    numbers: dict[Cadence, int] = {}
    payments = []
    for run in found:
        number = numbers[run.rhythm.cadence] = numbers.get(run.rhythm.cadence, 0) + 1
        recurring_id = derived_id("recurring", group_id, run.rhythm.cadence.value, str(number))
        payments.append(_payment(recurring_id, run))
    return tuple(payments)


def clusters(occurrences: Sequence[Occurrence]) -> Iterator[list[Occurrence]]:
    """The payments by amount: each cluster's in the order of their days, of several on one day only the first."""
    cluster: list[Occurrence] = []
    for one in sorted(occurrences, key=lambda one: (one.amount_minor, one.day, one.entry_id)):
        if cluster and not _similar(cluster[-1].amount_minor, one.amount_minor):
            yield _by_day(cluster)
            cluster = []
        cluster.append(one)
    if cluster:
        yield _by_day(cluster)


def status(payment: RecurringPayment, today: date) -> Status:
    """Whether it goes on: the next payment may still come in time, is overdue, or the one after it is overdue too."""
    rhythm = RHYTHMS[payment.cadence]
    late = timedelta(rhythm.tolerance_days)
    if today - late <= payment.next_on:
        return "active"
    return "missed" if today - late <= rhythm.later(payment.next_on) else "ended"


def _similar(smaller: int, larger: int) -> bool:
    return (larger - smaller) * 100 <= larger * SIMILAR_PERCENT


def _by_day(cluster: Sequence[Occurrence]) -> list[Occurrence]:
    days: dict[date, Occurrence] = {}
    for one in sorted(cluster, key=lambda one: (one.day, one.entry_id)):
        days.setdefault(one.day, one)
    return list(days.values())


def _latest_run(cluster: Sequence[Occurrence]) -> _Run | None:
    """The rhythm that reaches back farthest from the latest payment; None where there is none."""
    best: _Run | None = None
    for rhythm in RHYTHMS.values():
        run = _run(cluster, rhythm)
        if run is not None and (best is None or len(run.payments) > len(best.payments)):
            best = run
    return best


def _run(cluster: Sequence[Occurrence], rhythm: Rhythm) -> _Run | None:
    start, missing = len(cluster) - 1, 0
    while start > 0:
        intervals = rhythm.intervals(cluster[start - 1].day, cluster[start].day)
        if intervals is None:
            break
        missing += intervals - 1
        start -= 1
    gaps = len(cluster) - 1 - start
    # Where every second one is missing it is another rhythm.
    if gaps + 1 < OCCURRENCES_MIN or missing * 2 >= gaps:
        return None
    return _Run(rhythm, tuple(cluster[start:]))


def _continued(run: _Run, occurrences: Sequence[Occurrence], others: Sequence[_Run], used: set[str]) -> _Run:
    """The run with what came at another price when it was due to go on."""
    payments = list(run.payments)
    # A run that began while this one still went on is something else, and so is one of another rhythm.
    taken = used | {
        one.entry_id
        for other in others
        if other.rhythm is not run.rhythm or other.payments[0].day <= payments[-1].day
        for one in other.payments
    }
    while True:
        last = payments[-1]
        following = [
            one
            for one in occurrences
            if one.day > last.day
            and one.entry_id not in taken
            and run.rhythm.intervals(last.day, one.day) is not None
            and max(one.amount_minor, last.amount_minor) <= PRICE_FACTOR_MAX * min(one.amount_minor, last.amount_minor)
        ]
        if not following:
            return _Run(run.rhythm, tuple(payments))
        due = run.rhythm.later(last.day)
        payments.append(min(following, key=lambda one: (abs((one.day - due).days), one.amount_minor, one.entry_id)))


def _payment(recurring_id: str, run: _Run) -> RecurringPayment:
    amounts = [one.amount_minor for one in run.payments]
    changes = [n for n in range(1, len(amounts)) if amounts[n] != amounts[n - 1]]
    varies = len(changes) * 2 > len(amounts) - 1
    changed = changes[-1] if changes and not varies else None
    last = run.payments[-1]
    return RecurringPayment(
        recurring_id=recurring_id,
        cadence=run.rhythm.cadence,
        count=len(amounts),
        first_on=run.payments[0].day,
        last_on=last.day,
        last_minor=last.amount_minor,
        next_on=_next_day(run),
        next_minor=median_low(amounts[-3:]) if varies else last.amount_minor,
        varies=varies,
        previous_minor=None if changed is None else amounts[changed - 1],
        changed_on=None if changed is None else run.payments[changed].day,
    )


def _next_day(run: _Run) -> date:
    """The usual day of the month that is nearest to one interval from now: a weekend moves a payment only once."""
    last = run.payments[-1].day
    due = run.rhythm.later(last)
    if not run.rhythm.months or due.year == date.max.year:
        return due
    usual = median_low(one.day.day for one in run.payments[-6:])
    around = (add_months(due, months, day_of_month=usual) for months in (-1, 0, 1))
    return min(around, key=lambda day: abs((day - due).days))
