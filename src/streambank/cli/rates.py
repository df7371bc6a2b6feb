"""Exchange rates, straight in the log: whoever runs the bank tells it of them, and no service asks anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import NamedTuple

from streambank.bank.events import FX_RATE, Currency, FxRate, parse_currency
from streambank.bank.reading import latest
from streambank.cli.errors import UsageError
from streambank.clock import system_clock, to_datetime, to_millis
from streambank.ids import uuid7
from streambank.log import EventLog

EURO = Currency("EUR")

WRITE_RECORDS_MAX = 5_000
"""In one transaction of the log."""

_PAIR = re.compile(r"([A-Za-z]{3})/([A-Za-z]{3})")


class Told(NamedTuple):
    """A rate: how much of ``quote`` one ``base`` is worth from a day on, in billionths."""

    base: Currency
    quote: Currency
    day: date
    rate_e9: int

    @property
    def rate_id(self) -> str:
        """The key of its record."""
        return f"{self.base.value}/{self.quote.value}/{self.day}"


def parse_pair(text: str) -> tuple[Currency, Currency]:
    """The currencies of ``EUR/USD``. Raises UsageError, or MoneyError for one that is unknown."""
    found = _PAIR.fullmatch(text)
    if found is None or found[1].upper() == found[2].upper():
        raise UsageError(f"{text!r} is not a pair of currencies; write it like EUR/USD")
    return parse_currency(found[1]), parse_currency(found[2])


def known(log: EventLog, pair: tuple[Currency, Currency] | None, until: date | None) -> list[FxRate]:
    """The rates in the log, of one pair or all, by pair and day."""
    found = [
        rate
        for rate in latest(log, FX_RATE).values()
        if (pair is None or (rate.base, rate.quote) == pair) and (until is None or rate.day <= until)
    ]
    return sorted(found, key=lambda rate: (str(rate.base.value), str(rate.quote.value), rate.day))


def put(log: EventLog, told: Sequence[Told]) -> int:
    """Write those that the log does not have; how many."""
    log.create_topics([FX_RATE.config])
    there = {rate_id: rate.rate_e9 for rate_id, rate in latest(log, FX_RATE).items()}
    new = iter([one for one in told if there.get(one.rate_id) != one.rate_e9])
    count = 0
    with closing(log.producer()) as producer:
        while chunk := list(islice(new, WRITE_RECORDS_MAX)):
            with producer.transaction() as transaction:
                for event in _events(chunk):
                    FX_RATE.write(transaction, event.rate_id, event, to_millis(event.occurred_at))
            count += len(chunk)
    return count


def _events(told: Iterable[Told]) -> Iterable[FxRate]:
    now_ms = system_clock()
    for one in told:
        yield FxRate(
            event_id=uuid7(now_ms),
            rate_id=one.rate_id,
            base=one.base,
            quote=one.quote,
            day=one.day,
            rate_e9=one.rate_e9,
            occurred_at=datetime.combine(one.day, time(), UTC),
            recorded_at=to_datetime(now_ms),
        )
