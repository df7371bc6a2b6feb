"""``streambank budget`` and its sub-commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, parse_day, parse_unsigned, valid
from streambank.cli.errors import UsageError, say
from streambank.cli.output import Column, OutputOption, print_listing
from streambank.cli.plans import (
    CurrencyOption,
    Marks,
    Texts,
    amount_and_currency,
    bar,
    category_ids,
    find_named,
    money_of,
)

if TYPE_CHECKING:
    from streambank.bank.client import Client, Versioned
    from streambank.bank.personalization.schemas import BudgetView

app = App(name="budget", help="Budgets: list, add, change, remove.", help_format="plaintext")


@app.command(name="ls")
def list_budgets(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your budgets, and how they stand."""
    from streambank.cli.entries import item_of

    with connected(server) as client:
        budgets = [one.value for one in client.budgets.list()]
    columns = [
        Column("BUDGET", elastic=True),
        Column("FROM"),
        Column("TO"),
        Column("SPENT", right=True),
        Column("OF", right=True),
        Column("LEFT", right=True),
        Column("USED"),
        Column("ID"),
    ]
    rows = [
        (
            one.name,
            one.progress.period_start,
            one.progress.period_end,
            *(
                money_of(minor, one.currency)
                for minor in (one.progress.amount_minor, one.progress.target_minor, one.progress.left_minor)
            ),
            bar(one.progress.percent),
            one.id,
        )
        for one in budgets
    ]
    print_listing(output, [item_of(one) for one in budgets], columns, rows)


@app.command(name="add")
def add_budget(
    name: str,
    amount: str,
    /,
    *,
    period: Literal["week", "month", "year"] = "month",
    category: Texts = None,
    currency: CurrencyOption = None,
    carry_over: Annotated[bool, Parameter(negative="")] = False,
    mark: Marks = None,
    again_after_refund: Annotated[bool, Parameter(negative="")] = False,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Add a budget: how much you want to spend in each week, month or year.

    Parameters
    ----------
    name
        What you call it.
    amount
        How much may be spent.
    period
        In each of these.
    category
        On this category and those under it; as often as wanted. On everything, if none is named.
    carry_over
        What is left is added to the next period, and what was overspent is taken off it.
    mark
        Be told when so many percent are used; as often as wanted, in their order. 50, 80 and 100, if none is named.
    again_after_refund
        Tell a mark again that was reached before a refund.
    from_
        The day it begins on. The present period, if nothing is said.
    """
    from streambank.bank.events import Period
    from streambank.bank.personalization.schemas import BudgetBody

    starts_on = parse_day(from_, "--from")
    with connected(server) as client:
        minor, known = amount_and_currency(client, amount, currency, "AMOUNT")
        body = valid(
            BudgetBody,
            name=name,
            currency=known.value,
            target_minor=minor,
            period=Period(period),
            category_ids=category_ids(client, category or []),
            carry_over=carry_over,
            marks=mark,
            again_after_refund=again_after_refund,
            starts_on=starts_on,
        )
        print(client.budgets.add(body).value.id)
    say("added; `streambank budget ls` shows how it stands")


@app.command(name="change")
def change_budget(
    budget: str,
    /,
    *,
    amount: str | None = None,
    name: str | None = None,
    category: Texts = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Change a budget; what is not named stays.

    Parameters
    ----------
    budget
        Its name or id.
    amount
        How much may be spent.
    name
        What you call it.
    category
        What it is on, in place of what it was on; as often as wanted.
    """
    from streambank.bank.events import parse_currency
    from streambank.bank.personalization.schemas import BudgetBody

    if amount is None and name is None and category is None:
        raise UsageError("say what to change: --amount, --name or --category")
    with connected(server) as client:
        found = _find(client, budget)
        fields = found.value.model_dump(include=set(BudgetBody.model_fields))
        if amount is not None:
            fields["target_minor"] = parse_unsigned(amount, parse_currency(found.value.currency), "--amount")
        if name is not None:
            fields["name"] = name
        if category is not None:
            fields["category_ids"] = category_ids(client, category)
        client.budgets.replace(found, valid(BudgetBody, **fields))
    say("changed")


@app.command(name="rm")
def remove_budget(budget: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Give a budget up.

    Parameters
    ----------
    budget
        Its name or id.
    """
    with connected(server) as client:
        client.budgets.remove(_find(client, budget))
    say("removed")


def _find(client: Client, text: str) -> Versioned[BudgetView]:
    return find_named(client.budgets.list(), text, "budget", "budget")
