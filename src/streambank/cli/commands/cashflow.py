"""``streambank cashflow``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.output import Column, OutputOption, print_listing


def cashflow(
    *,
    currency: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show what came in and went out in each month. What moved between your own accounts is in neither.

    Parameters
    ----------
    currency
        Add all currencies up in this one too, by the exchange rates of each month's end.
    from_
        The first month, like 2026-01; a year of months unless you say otherwise.
    to
        The last month; this one unless you say otherwise.
    """
    from streambank.cli.entries import item_of
    from streambank.cli.figures import amount_or_missing, parse_month

    first, last = parse_month(from_, "--from"), parse_month(to, "--to")
    with connected(server) as client:
        found = client.views.cash_flow(currency=currency, from_month=first, to_month=last)
    columns = [
        Column("MONTH"),
        Column("CURRENCY"),
        Column("IN", right=True),
        Column("OUT", right=True),
        Column("LEFT OVER", right=True),
    ]
    rows = [
        (
            month.month,
            flow.currency if flow is not month.total else f"all in {flow.currency}",
            *(
                amount_or_missing(minor, flow.currency, flow.missing)
                for minor in (flow.in_minor, flow.out_minor, flow.net_minor)
            ),
        )
        for month in found.months
        for flow in (*month.currencies, *([month.total] if month.total is not None else []))
    ]
    print_listing(output, [item_of(month) for month in found.months], columns, rows)
