"""From the topologies' figures to what is shown: pure functions of rows, days and rates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from iso4217 import Currency

from streambank.bank.days import add_months, month_end
from streambank.bank.spending import ALL
from streambank.bank.views.conversion import Converted, Rates, Sum
from streambank.bank.views.schemas import (
    Every,
    Flow,
    FlowOfMonth,
    Spent,
    SpentOnCategory,
    TotalOf,
    WorthPoint,
    WorthSeries,
)

USUAL_MONTHS_MAX = 6
"""Half a year: long enough to even out, short enough to be how one lives now."""


def ends(first: date, last: date, every: Every) -> list[date]:
    """The last day of each day, week (ISO 8601) or month from the first day to the last, which is always one."""
    days = []
    ordinal = first.toordinal()
    while ordinal <= last.toordinal():
        day = date.fromordinal(ordinal)
        if every is Every.WEEK:
            ordinal += 6 - day.weekday()
        elif every is Every.MONTH:
            ordinal = month_end(day).toordinal()
        days.append(date.fromordinal(min(ordinal, last.toordinal())))
        ordinal += 1
    return days


def worth(
    before: Mapping[Currency, int], changes: Iterable[tuple[Currency, date, int]], days: Sequence[date]
) -> dict[Currency, list[int]]:
    """What there was of each currency at the end of the days. ``changes`` ascend, and begin after ``before``."""
    by_day: dict[date, list[tuple[Currency, int]]] = {}
    currencies = dict.fromkeys(before)
    for currency, day, change_minor in changes:
        by_day.setdefault(day, []).append((currency, change_minor))
        currencies[currency] = None
    totals = {currency: before.get(currency, 0) for currency in currencies}
    series: dict[Currency, list[int]] = {currency: [] for currency in sorted(currencies, key=_code)}
    moved = iter(sorted(by_day))
    upcoming = next(moved, None)
    for day in days:
        while upcoming is not None and upcoming <= day:
            for currency, change_minor in by_day[upcoming]:
                totals[currency] += change_minor
            upcoming = next(moved, None)
        for currency, points in series.items():
            points.append(totals[currency])
    return series


def worth_series(currency: Currency, days: Sequence[date], amounts: Sequence[int]) -> WorthSeries:
    """A series in its own currency."""
    points = [WorthPoint(day=day, amount_minor=minor, missing=[]) for day, minor in zip(days, amounts, strict=True)]
    return WorthSeries(currency=_code(currency), points=points)


def worth_total(
    currency: Currency, days: Sequence[date], series: Mapping[Currency, Sequence[int]], rates: Rates
) -> WorthSeries:
    """All series in one currency, each day at its own rates."""
    points = []
    for place, day in enumerate(days):
        sum_ = Sum(currency, rates)
        for of, amounts in series.items():
            sum_.add(amounts[place], of, day)
        found = sum_.result()
        points.append(WorthPoint(day=day, amount_minor=found.amount_minor, missing=_codes(found)))
    return WorthSeries(currency=_code(currency), points=points)


def total(currency: Currency, amounts: Mapping[Currency, int], day: date, rates: Rates) -> TotalOf:
    """Amounts of several currencies in one."""
    sum_ = Sum(currency, rates)
    for of, minor in amounts.items():
        sum_.add(minor, of, day)
    found = sum_.result()
    return TotalOf(currency=_code(currency), amount_minor=found.amount_minor, missing=_codes(found))


def cash_flow(
    rows: Iterable[tuple[Currency, date, int, int]],
    months: Sequence[date],
    today: date,
    currency: Currency | None,
    rates: Rates,
) -> list[FlowOfMonth]:
    """Each month's flow; in one currency at the rates of the month's last day, or of today while it lasts."""
    by_month: dict[date, list[tuple[Currency, int, int]]] = {month: [] for month in months}
    for of, month, in_minor, out_minor in rows:
        by_month[month].append((of, in_minor, out_minor))
    found = []
    for month, flows in by_month.items():
        whole = None if currency is None else _flow_total(currency, flows, min(month_end(month), today), rates)
        each = [_flow(_code(of), Converted(in_minor), Converted(out_minor)) for of, in_minor, out_minor in flows]
        found.append(FlowOfMonth(month=f"{month:%Y-%m}", currencies=each, total=whole))
    return found


def _flow_total(currency: Currency, flows: Iterable[tuple[Currency, int, int]], day: date, rates: Rates) -> Flow:
    came, went = Sum(currency, rates), Sum(currency, rates)
    for of, in_minor, out_minor in flows:
        came.add(in_minor, of, day)
        went.add(out_minor, of, day)
    return _flow(_code(currency), came.result(), went.result())


def _flow(code: str, came: Converted, went: Converted) -> Flow:
    known = came.amount_minor is not None and went.amount_minor is not None
    return Flow(
        currency=code,
        in_minor=came.amount_minor,
        out_minor=went.amount_minor,
        net_minor=(came.amount_minor or 0) - (went.amount_minor or 0) if known else None,
        missing=sorted({*_codes(came), *_codes(went)}),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A month up to a day, and what it is compared with.

    usual_first       usual_last                before_until
    |--- full months ----|                           |
    +---------+----------+---------------------------+--------+-----------------+------
                         month before, up to the same day     month ... until
    """

    month: date
    until: date
    usual_months: int

    @property
    def month_before(self) -> date:
        """The first day of the month before."""
        return add_months(self.month, -1)

    @property
    def before_until(self) -> date:
        """The same day of the month before: of a month that is over, its end."""
        if self.until == month_end(self.until):
            return month_end(self.month_before)
        return add_months(self.until, -1)

    @property
    def first(self) -> date:
        """The first day that anything is needed of."""
        return add_months(self.month, -max(1, self.usual_months))

    @property
    def usual_first(self) -> date:
        """The first day of the full months before."""
        return add_months(self.month, -self.usual_months)


def comparison(month: date, today: date, first_entry: date | None) -> Comparison:
    """What a month is compared with. A month is full if the first entry came on its first day at the latest."""
    until = min(month_end(month), max(today, month))
    usual = 0
    while usual < USUAL_MONTHS_MAX and first_entry is not None and first_entry <= add_months(month, -usual - 1):
        usual += 1
    return Comparison(month, until, usual)


class _Spent:
    """Adds up what was spent of one thing in one currency."""

    def __init__(self, currency: Currency, rates: Rates, compared: Comparison) -> None:
        self._compared = compared
        self._currency = currency
        self.now, self.usual, self.before = (Sum(currency, rates) for _ in range(3))

    def add(self, minor: int, currency: Currency, day: date) -> None:
        compared = self._compared
        if compared.month <= day <= compared.until:
            self.now.add(minor, currency, day)
        if compared.usual_first <= day < compared.month:
            self.usual.add(minor, currency, day)
        if compared.month_before <= day <= compared.before_until:
            self.before.add(minor, currency, day)

    def result(self) -> Spent:
        months = self._compared.usual_months
        now, before, usual = self.now.result(), self.before.result(), self.usual.result(of=max(1, months))
        return Spent(
            currency=_code(self._currency),
            spent_minor=now.amount_minor,
            usual_minor=usual.amount_minor if months else None,
            month_before_minor=before.amount_minor,
            missing=sorted({*_codes(now), *_codes(before), *_codes(usual)}),
        )


def spending(
    rows: Iterable[tuple[Currency, date, str | None, int]],
    compared: Comparison,
    currency: Currency | None,
    rates: Rates,
) -> tuple[list[SpentOnCategory], list[Spent]]:
    """What was spent in each category and in all, by currency, or in one. Categories that are all 0 are left out.

    All is a row of its own: what comes in lowers its category, and no income lowers what was spent in all.
    """
    by_category: dict[tuple[str | None, Currency], _Spent] = {}
    totals: dict[Currency, _Spent] = {}
    for of, day, category, minor in rows:
        shown = of if currency is None else currency
        if shown not in totals:
            totals[shown] = _Spent(shown, rates, compared)
        if category == ALL:
            totals[shown].add(minor, of, day)
            continue
        if (category, shown) not in by_category:
            by_category[category, shown] = _Spent(shown, rates, compared)
        by_category[category, shown].add(minor, of, day)
    found = [
        SpentOnCategory(category_id=category, **sums.result().model_dump())
        for (category, _), sums in by_category.items()
    ]
    found = [one for one in found if one.missing or one.spent_minor or one.usual_minor or one.month_before_minor]
    found.sort(key=lambda one: (one.currency, -(one.spent_minor or 0), -(one.usual_minor or 0), one.category_id or ""))
    return found, [totals[of].result() for of in sorted(totals, key=_code)]


def _code(currency: Currency) -> str:
    return str(currency.value)


def _codes(converted: Converted) -> list[str]:
    return [_code(currency) for currency in converted.missing]
