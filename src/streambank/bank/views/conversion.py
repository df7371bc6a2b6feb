"""Converting amounts, exactly: sums are made of fractions, and rounded once, at the end, half to even.

A rate holds from its day until there is a later one. It is used as it was told, or the other way round; two currencies
without one of their own go by way of the euro, as the European Central Bank publishes all its rates. Of several ways
the one with the latest rates is taken, and of equals the shortest.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from iso4217 import Currency

from streambank.bank.events.money import exponent

PIVOT = Currency("EUR")

Pair = tuple[Currency, Currency]


@dataclass(frozen=True, slots=True)
class Converted:
    """A sum in one currency; None where a rate is missing: ``missing`` says of which currencies."""

    amount_minor: int | None
    missing: tuple[Currency, ...] = ()


class Rates:
    """What is known of some currencies, by day."""

    def __init__(self, rates: Mapping[Pair, Iterable[tuple[date, Fraction]]]) -> None:
        """``rates``: of each pair the days, and how much of the second one of the first is worth."""
        self._days: dict[Pair, list[date]] = {}
        self._rates: dict[Pair, list[Fraction]] = {}
        told = {pair: dict(known) for pair, known in rates.items()}
        for base, quote in {*told, *((quote, base) for base, quote in told)}:
            turned = {day: 1 / rate for day, rate in told.get((quote, base), {}).items()}
            # What was told of a day in this direction comes before what follows from the other.
            known = sorted({**turned, **told.get((base, quote), {})}.items())
            self._days[base, quote] = [day for day, _ in known]
            self._rates[base, quote] = [rate for _, rate in known]

    def rate(self, base: Currency, quote: Currency, day: date) -> Fraction | None:
        """How much of ``quote`` one ``base`` was worth on the day; None where nobody has told."""
        if base is quote:
            return Fraction(1)
        ways = [self._latest((base, quote), day)]
        if PIVOT not in (base, quote):
            first, second = self._latest((base, PIVOT), day), self._latest((PIVOT, quote), day)
            if first is not None and second is not None:
                ways.append((min(first[0], second[0]), first[1] * second[1]))
        known = [way for way in ways if way is not None]
        # max takes the first of equals.
        return max(known, key=lambda way: way[0])[1] if known else None

    def _latest(self, pair: Pair, day: date) -> tuple[date, Fraction] | None:
        days = self._days.get(pair)
        place = bisect_right(days, day) if days is not None else 0
        return (days[place - 1], self._rates[pair][place - 1]) if days is not None and place else None


@dataclass(slots=True)
class Sum:
    """Adds amounts up in one currency."""

    currency: Currency
    rates: Rates
    _total: Fraction = Fraction(0)
    _missing: set[Currency] = field(default_factory=set)

    def add(self, minor: int, currency: Currency, day: date) -> None:
        """Add an amount at the rate of the day. Nothing is nothing in any currency."""
        if minor == 0:
            return
        rate = self.rates.rate(currency, self.currency, day)
        if rate is None:
            self._missing.add(currency)
        else:
            self._total += minor * rate * Fraction(10) ** (exponent(self.currency) - exponent(currency))

    def result(self, *, of: int = 1) -> Converted:
        """The sum, or the mean of so many."""
        if self._missing:
            return Converted(None, tuple(sorted(self._missing, key=lambda currency: str(currency.value))))
        # From half way to the even one, so that sums do not drift.
        return Converted(round(self._total / of))
