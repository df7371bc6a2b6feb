"""``streambank worth``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, parse_day
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.views.schemas import WorthPoint, WorthSeries


def worth(
    *,
    currency: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    every: Literal["day", "week", "month"] = "day",
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show your net worth over time: what you had at the end of each day, by currency.

    Parameters
    ----------
    currency
        Add all currencies up in this one too, by the exchange rates of each day.
    from_
        The first day; 30 days ago unless you say otherwise.
    to
        The last day; today unless you say otherwise.
    every
        One figure for each day, week or month.
    """
    from streambank.bank.views.schemas import Every
    from streambank.cli.entries import item_of

    first, last = parse_day(from_, "--from"), parse_day(to, "--to")
    with connected(server) as client:
        found = client.views.net_worth(currency=currency, from_date=first, to_date=last, every=Every(every))
    series = [*found.currencies, *([found.total] if found.total is not None else [])]
    columns = [Column("DAY"), *(Column(title, right=True) for title in _titles(found.currencies, found.total))]
    rows = [
        (day_points[0].day, *(_amount(one, point) for one, point in zip(series, day_points, strict=True)))
        for day_points in zip(*(one.points for one in series), strict=True)
    ]
    print_listing(output, [item_of(found)], columns, rows)


def _titles(currencies: list[WorthSeries], total: WorthSeries | None) -> list[str]:
    return [*(one.currency for one in currencies), *([f"ALL IN {total.currency}"] if total is not None else [])]


def _amount(series: WorthSeries, point: WorthPoint) -> str:
    from streambank.cli.figures import amount_or_missing

    return amount_or_missing(point.amount_minor, series.currency, point.missing)
