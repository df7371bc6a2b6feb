"""``streambank spending``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.errors import say
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.views.schemas import Spent


def spending(
    *,
    month: str | None = None,
    currency: str | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show what you spent in a month by category, beside what is usual and the month before up to the same day.

    Parameters
    ----------
    month
        Like 2026-11; this one unless you say otherwise.
    currency
        Add all currencies up in this one, by the exchange rates of each day.
    """
    from streambank.cli.entries import item_of
    from streambank.cli.figures import parse_month

    of = parse_month(month, "--month")
    with connected(server) as client:
        found = client.views.spending(month=of, currency=currency)
        names = {one.value.id: one.value.name for one in client.categories.list()} if output == "table" else {}
    columns = [
        Column("CATEGORY", elastic=True),
        Column("CURRENCY"),
        Column("SPENT", right=True),
        Column("USUAL", right=True),
        Column("MONTH BEFORE", right=True),
    ]
    rows = [
        (names.get(one.category_id or "", one.category_id or "(no category)"), *_cells(one)) for one in found.categories
    ]
    rows += [("all", *_cells(one)) for one in found.totals]
    print_listing(output, [item_of(found)], columns, rows)
    if output == "table":
        usual = f"the mean of the {found.usual_months} full months before" if found.usual_months else "not known yet"
        say(f"{found.month} up to {found.until}; what is usual: {usual}")


def _cells(spent: Spent) -> tuple[str, str, str, str]:
    from streambank.cli.figures import amount_or_missing

    figures = (spent.spent_minor, spent.usual_minor, spent.month_before_minor)
    now, usual, before = (amount_or_missing(minor, spent.currency, spent.missing) for minor in figures)
    return spent.currency, now, usual, before
