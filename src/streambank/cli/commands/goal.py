"""``streambank goal`` and its sub-commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from streambank.cli.api import (
    USUAL_SERVER,
    ApiOption,
    connected,
    currency_of,
    find_account,
    parse_day,
    parse_unsigned,
    valid,
)
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
    from streambank.bank.personalization.schemas import SavingsGoalView, SpendingGoalView

app = App(
    name="goal",
    help="What you save for, and what you may spend once: list, add, change, remove.",
    help_format="plaintext",
)


@app.command(name="ls")
def list_goals(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your goals, and how far they are."""
    from streambank.cli.entries import item_of

    with connected(server) as client:
        saving = [one.value for one in client.goals.list_savings()]
        spending = [one.value for one in client.goals.list_spending()]
    columns = [
        Column("GOAL", elastic=True),
        Column("KIND"),
        Column("IS", right=True),
        Column("OF", right=True),
        Column("DONE"),
        Column("BY"),
        Column("STANDS", elastic=True),
        Column("ID"),
    ]
    items = [{"kind": "savings", **item_of(one)} for one in saving]
    items += [{"kind": "spending", **item_of(one)} for one in spending]
    print_listing(output, items, columns, [*map(_saving_row, saving), *map(_spending_row, spending)])


@app.command(name="save")
def add_savings_goal(
    name: str,
    amount: str,
    /,
    *,
    account: Annotated[list[str], Parameter(negative="")],
    by: str | None = None,
    mark: Marks = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Save for something: how much is to be on some of your accounts.

    Parameters
    ----------
    name
        What you save for.
    amount
        How much is to be saved.
    account
        Where: the name or id of an account that you opened; as often as wanted.
    by
        The day by which it is to be saved, if it matters.
    mark
        Be told when so many percent are saved; as often as wanted, in their order. 50, 80 and 100, if none is named.
    """
    from streambank.bank.personalization.schemas import SavingsGoalBody

    target_date = parse_day(by, "--by")
    with connected(server) as client:
        accounts = [find_account(client, one).value for one in account]
        body = valid(
            SavingsGoalBody,
            name=name,
            currency=accounts[0].currency,
            target_minor=parse_unsigned(amount, currency_of(accounts[0]), "AMOUNT"),
            account_ids=[one.id for one in accounts],
            target_date=target_date,
            marks=mark,
        )
        print(client.goals.add_savings(body).value.id)
    say("added; `streambank goal ls` shows how far it is")


@app.command(name="spend")
def add_spending_goal(
    name: str,
    amount: str,
    /,
    *,
    until: str,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    category: Texts = None,
    currency: CurrencyOption = None,
    mark: Marks = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Plan how much you may spend once: on a holiday, a new kitchen.

    Parameters
    ----------
    name
        What it is for.
    amount
        How much may be spent.
    until
        The last day on which spending counts.
    from_
        The first one. Today, if nothing is said.
    category
        Only this category counts, with those under it; as often as wanted. Everything, if none is named.
    mark
        Be told when so many percent are spent; as often as wanted, in their order. 50, 80 and 100, if none is named.
    """
    from streambank.bank.personalization.schemas import SpendingGoalBody

    ends_on, starts_on = parse_day(until, "--until"), parse_day(from_, "--from")
    with connected(server) as client:
        minor, known = amount_and_currency(client, amount, currency, "AMOUNT")
        body = valid(
            SpendingGoalBody,
            name=name,
            currency=known.value,
            target_minor=minor,
            starts_on=starts_on,
            ends_on=ends_on,
            category_ids=category_ids(client, category or []),
            marks=mark,
        )
        print(client.goals.add_spending(body).value.id)
    say("added; `streambank goal ls` shows how it stands")


@app.command(name="change")
def change_goal(
    goal: str,
    /,
    *,
    amount: str | None = None,
    name: str | None = None,
    by: str | None = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Change a goal; what is not named stays.

    Parameters
    ----------
    goal
        Its name or id.
    amount
        How much is to be saved, or may be spent.
    name
        What it is for.
    by
        The day by which it is to be saved, or the last on which spending counts.
    """
    from streambank.bank.events import parse_currency
    from streambank.bank.personalization.schemas import SavingsGoalBody, SavingsGoalView, SpendingGoalBody

    if amount is None and name is None and by is None:
        raise UsageError("say what to change: --amount, --name or --by")
    day = parse_day(by, "--by")
    with connected(server) as client:
        found = _find(client, goal)
        saving = isinstance(found.value, SavingsGoalView)
        minor = parse_unsigned(amount, parse_currency(found.value.currency), "--amount") if amount is not None else None
        changes: dict[str, Any] = {"target_minor": minor, "name": name, "target_date" if saving else "ends_on": day}
        named = {field: value for field, value in changes.items() if value is not None}
        kind = SavingsGoalBody if saving else SpendingGoalBody
        body = valid(kind, **{**found.value.model_dump(include=set(kind.model_fields)), **named})
        # Which of the two it is, is told by the view.
        replace: Any = client.goals.replace_savings if saving else client.goals.replace_spending
        replace(found, body)
    say("changed")


@app.command(name="rm")
def remove_goal(goal: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Give a goal up.

    Parameters
    ----------
    goal
        Its name or id.
    """
    from streambank.bank.personalization.schemas import SavingsGoalView

    with connected(server) as client:
        found = _find(client, goal)
        remove: Any = client.goals.remove_savings
        if not isinstance(found.value, SavingsGoalView):
            remove = client.goals.remove_spending
        remove(found)
    say("removed")


def _find(client: Client, text: str) -> Versioned[SavingsGoalView | SpendingGoalView]:
    goals: list[Versioned[SavingsGoalView | SpendingGoalView]] = [
        *client.goals.list_savings(),
        *client.goals.list_spending(),
    ]
    return find_named(goals, text, "goal", "goal")


def _saving_row(one: SavingsGoalView) -> tuple[object, ...]:
    target, by = money_of(one.target_minor, one.currency), one.target_date or ""
    if one.progress is None:
        return (one.name, "savings", "", target, "", by, "not known yet", one.id)
    stands: str = one.progress.status
    if one.progress.needed_per_month_minor and stands != "overdue":
        stands = f"{stands}: {money_of(one.progress.needed_per_month_minor, one.currency)} a month"
    is_ = money_of(one.progress.amount_minor, one.currency)
    return (one.name, "savings", is_, target, bar(one.progress.percent), by, stands, one.id)


def _spending_row(one: SpendingGoalView) -> tuple[object, ...]:
    is_, target = money_of(one.progress.amount_minor, one.currency), money_of(one.target_minor, one.currency)
    stands = f"{one.progress.status}: {money_of(one.progress.left_minor, one.currency)} left"
    return (one.name, "spending", is_, target, bar(one.progress.percent), one.ends_on, stands, one.id)
