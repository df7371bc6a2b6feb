"""``streambank pay`` and its sub-commands."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

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
from streambank.cli.output import Column, Format, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.client import Client
    from streambank.bank.payments.schemas import Money, OrderView, RequestView, TransferView
    from streambank.bank.transactions.schemas import AccountView

app = App(
    name="pay",
    help="Payments: send, list, show, cancel, refund; ask for money; what repeats; your alias; the states.",
    help_format="plaintext",
)
request = App(name="request", help="Ask for money: new, pay, decline, cancel.", help_format="plaintext")
schedule = App(name="schedule", help="Standing orders: new, list, change, end.", help_format="plaintext")
app.command(request)
app.command(schedule)

FromOption: TypeAlias = Annotated[str, Parameter(name="--from", help="The account that pays: a name or an id.")]
TextOption: TypeAlias = Annotated[str | None, Parameter(name="--text", help="What it is for; the payee reads it.")]
LinesOption: TypeAlias = Annotated[int, Parameter(name=["--lines", "-n"], help="How many to list; 0 for all.")]
Direction: TypeAlias = Literal["in", "out"]

_SIDES: dict[Direction | None, Literal["incoming", "outgoing"] | None] = {
    None: None,
    "in": "incoming",
    "out": "outgoing",
}


@app.command(name="send")
def send(
    payee: str,
    amount: str,
    /,
    *,
    from_: FromOption,
    text: TextOption = None,
    reference: str | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Pay somebody, or move money to another account of yours.

    Parameters
    ----------
    payee
        An e-mail address, an alias such as @ada, or the name or id of an account of yours.
    amount
        How much, such as 12.50.
    reference
        Your own reference, which goes along to the end: the end-to-end id.
    """
    from streambank.bank.payments.schemas import NewTransfer

    with connected(server) as client:
        account = find_account(client, from_).value
        told = _payee(client, payee)
        body = valid(
            NewTransfer,
            debtor_account_id=account.id,
            amount=_amount(account, amount),
            remittance=text,
            end_to_end_id=reference,
            **told,
        )
        _show(output, client.payments.pay(body).value)


@app.command(name="ls")
def list_transfers(
    direction: Direction | None = None,
    /,
    *,
    lines: LinesOption = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List transfers by you and to you, the latest first.

    Parameters
    ----------
    direction
        in or out; without it both.
    """
    if lines < 0:
        raise UsageError(f"--lines: {lines} is less than 0")
    with connected(server) as client:
        found = client.payments.list(direction=_SIDES[direction], page_items=lines or None)
        shown = [one.value for one in (islice(found, lines) if lines else found)]
    from streambank.cli.entries import item_of

    columns = [
        Column("WHEN"),
        Column("AMOUNT", right=True),
        Column("WITH", elastic=True),
        Column("TEXT", elastic=True),
        Column("STATE"),
        Column("WHY", elastic=True),
        Column("ID"),
    ]
    rows = [
        (
            _when(t),
            _signed(t),
            t.counterparty or "",
            t.remittance or "",
            t.state.value,
            t.reason.text if t.reason is not None else "",
            t.id,
        )
        for t in shown
    ]
    print_listing(output, [item_of(t) for t in shown], columns, rows)


@app.command(name="show")
def show_transfer(transfer_id: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show all that is known of a transfer.

    Parameters
    ----------
    transfer_id
        Its id, as `streambank pay ls` shows it.
    """
    with connected(server) as client:
        _show(output, client.payments.get(transfer_id).value)


@app.command(name="cancel")
def cancel_transfer(transfer_id: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Take a transfer back, as long as it is not confirmed.

    Parameters
    ----------
    transfer_id
        Its id.
    """
    with connected(server) as client:
        _show(output, client.payments.cancel(transfer_id).value)


@app.command(name="refund")
def refund_transfer(
    transfer_id: str,
    /,
    *,
    text: TextOption = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Give back all of a transfer that you were paid.

    Parameters
    ----------
    transfer_id
        Its id.
    """
    from streambank.bank.payments.schemas import RefundTransfer

    with connected(server) as client:
        _show(output, client.payments.refund(transfer_id, valid(RefundTransfer, remittance=text)).value)


@request.command(name="new")
def new_request(
    payer: str,
    amount: str,
    /,
    *,
    to: Annotated[str, Parameter(name="--to", help="The account that is to be paid: a name or an id.")],
    text: TextOption = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Ask somebody for money.

    Parameters
    ----------
    payer
        Whom you ask: an e-mail address, or an alias such as @ada.
    amount
        How much, such as 12.50.
    """
    from streambank.bank.payments.schemas import NewRequest

    with connected(server) as client:
        account = find_account(client, to).value
        body = valid(
            NewRequest,
            payer=payer,
            amount=_amount(account, amount),
            creditor_account_id=account.id,
            remittance=text,
        )
        _list_requests(output, [client.payments.ask(body).value])


@request.command(name="pay")
def pay_request(
    request_id: str,
    /,
    *,
    from_: FromOption,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Pay what you are asked for.

    Parameters
    ----------
    request_id
        Its id, as `streambank pay requests` shows it.
    """
    from streambank.bank.payments.schemas import PayRequest

    with connected(server) as client:
        body = valid(PayRequest, debtor_account_id=find_account(client, from_).value.id)
        _show(output, client.payments.pay_request(request_id, body).value)


@request.command(name="decline")
def decline_request(request_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Decline to pay.

    Parameters
    ----------
    request_id
        Its id.
    """
    with connected(server) as client:
        client.payments.decline_request(request_id)
    say("declined")


@request.command(name="cancel")
def cancel_request(request_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Ask no longer.

    Parameters
    ----------
    request_id
        Its id.
    """
    with connected(server) as client:
        client.payments.cancel_request(request_id)
    say("cancelled")


@app.command(name="requests")
def list_requests(
    direction: Direction | None = None,
    /,
    *,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], negative="", help="Those that have ended, too.")] = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List requests for money by you and to you, the latest first.

    Parameters
    ----------
    direction
        in or out; without it both.
    """
    from streambank.bank.events import RequestState

    with connected(server) as client:
        state = None if all_ else RequestState.OPEN
        found = [one.value for one in client.payments.requests(state=state, direction=_SIDES[direction])]
    _list_requests(output, found)


@schedule.command(name="new")
def new_order(
    payee: str,
    amount: str,
    /,
    *,
    from_: FromOption,
    every: Literal["once", "week", "month"],
    starts: str,
    day: int | None = None,
    until: str | None = None,
    count: int | None = None,
    text: TextOption = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Let a transfer come by itself.

    Parameters
    ----------
    payee
        An e-mail address, an alias such as @ada, or the name or id of an account of yours.
    amount
        How much, such as 12.50.
    every
        once, week or month.
    starts
        The first day, such as 2026-12-01.
    day
        The day of the month; in a month without it, the last. Without it that of the first day.
    until
        The last day.
    count
        How many times.
    """
    from streambank.bank.payments.schemas import NewOrder

    first, last = parse_day(starts, "--starts"), parse_day(until, "--until")
    with connected(server) as client:
        account = find_account(client, from_).value
        told = _payee(client, payee)
        body = valid(
            NewOrder,
            debtor_account_id=account.id,
            amount=_amount(account, amount),
            every=every,
            starts_on=first,
            day=day,
            until=last,
            count=count,
            remittance=text,
            **told,
        )
        _list_orders(client, output, [client.payments.schedule(body).value])


@schedule.command(name="ls")
def list_orders(
    *,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], negative="", help="Those that have ended, too.")] = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List your standing orders."""
    with connected(server) as client:
        orders = [one.value for one in client.payments.orders() if all_ or one.value.next_on is not None]
        _list_orders(client, output, orders)


@schedule.command(name="change")
def change_order(
    order_id: str,
    amount: str,
    /,
    *,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Change how much a standing order pays, from its next time on.

    Parameters
    ----------
    order_id
        Its id, as `streambank pay schedule ls` shows it.
    amount
        How much, such as 12.50.
    """
    from streambank.bank.events import parse_currency
    from streambank.bank.payments.schemas import ChangeOrder

    with connected(server) as client:
        order = client.payments.order(order_id)
        minor = parse_unsigned(amount, parse_currency(order.value.amount.currency), "AMOUNT")
        changed = client.payments.change_order(order, valid(ChangeOrder, amount_minor=minor)).value
        _list_orders(client, output, [changed])


@schedule.command(name="end")
def end_order(order_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """End a standing order; what it has paid stays.

    Parameters
    ----------
    order_id
        Its id.
    """
    with connected(server) as client:
        client.payments.end_order(client.payments.order(order_id))
    say("ended")


@app.command(name="alias")
def alias(
    name: str | None = None,
    /,
    *,
    remove: Annotated[bool, Parameter(negative="")] = False,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Show your alias, by which others may pay you; or take one, or give it up.

    Parameters
    ----------
    name
        The alias to take: 3 to 30 letters and digits.
    remove
        Give it up.
    """
    if name is not None and remove:
        raise UsageError("a name and --remove exclude each other")
    with connected(server) as client:
        if remove:
            client.payments.remove_alias()
            say("given up")
            return
        taken = client.payments.alias() if name is None else client.payments.set_alias(name)
    if taken is not None:
        print(f"@{taken}")
    else:
        say("you have no alias; take one with `streambank pay alias NAME`")


@app.command(name="states")
def show_states() -> None:
    """Print the states of a transfer, and what leads from one to the next, as a diagram of Mermaid."""
    from streambank.bank.payments.states import as_mermaid

    print(as_mermaid(), end="")


def _payee(client: Client, text: str) -> dict[str, str]:
    """How the API is told of a payee: addresses and aliases have an @, all else is an account of one's own."""
    if "@" in text:
        return {"payee": text}
    return {"creditor_account_id": find_account(client, text).value.id}


def _amount(account: AccountView, text: str) -> Money:
    from streambank.bank.payments.schemas import Money

    return valid(Money, amount_minor=parse_unsigned(text, currency_of(account), "AMOUNT"), currency=account.currency)


def _signed(transfer: TransferView) -> str:
    sign = {"outgoing": -1, "incoming": 1, "own": 1}[transfer.direction]
    return _money(sign * transfer.amount.amount_minor, transfer.amount.currency)


def _money(minor: int, currency: str) -> str:
    from streambank.bank.events import parse_currency
    from streambank.cli.formats import money

    return money(minor, parse_currency(currency))


def _when(transfer: TransferView) -> str:
    from streambank.cli.formats import local_time

    return local_time(transfer.created_at)


def _show(output: Format, transfer: TransferView) -> None:
    from streambank.cli.entries import item_of, print_facts
    from streambank.cli.formats import local_time

    print_facts(
        output,
        item_of(transfer),
        {
            "id": transfer.id,
            "state": transfer.state.value,
            "why": transfer.reason.text if transfer.reason is not None else None,
            "amount": _signed(transfer),
            "with": transfer.counterparty,
            "text": transfer.remittance,
            "reference": transfer.end_to_end_id,
            "made": _when(transfer),
            "changed": local_time(transfer.changed_at),
            "held until": local_time(transfer.expires_at) if transfer.state.value == "reserved" else None,
            "entry": transfer.entry_id,
            "refunds": transfer.refunds_id,
            "refunded by": transfer.refunded_by_id,
        },
    )


def _list_requests(output: Format, requests: list[RequestView]) -> None:
    from streambank.cli.entries import item_of
    from streambank.cli.formats import local_time

    columns = [
        Column("ASKED"),
        Column("AMOUNT", right=True),
        Column("WHO", elastic=True),
        Column("TEXT", elastic=True),
        Column("STATE"),
        Column("UNTIL"),
        Column("ID"),
    ]
    rows = [
        (
            local_time(one.created_at),
            _money(one.amount.amount_minor, one.amount.currency),
            f"{'you ask' if one.direction == 'outgoing' else 'asked by'} {one.counterparty or 'somebody'}",
            one.remittance or "",
            one.state.value,
            local_time(one.expires_at),
            one.id,
        )
        for one in requests
    ]
    print_listing(output, [item_of(one) for one in requests], columns, rows)


def _list_orders(client: Client, output: Format, orders: list[OrderView]) -> None:
    from streambank.cli.entries import Names, item_of

    names = Names(client).accounts
    columns = [
        Column("TO", elastic=True),
        Column("AMOUNT", right=True),
        Column("FROM", elastic=True),
        Column("EVERY"),
        Column("NEXT"),
        Column("MADE", right=True),
        Column("ID"),
    ]
    rows = [
        (
            one.payee or names.get(one.creditor_account_id or "", one.creditor_account_id or ""),
            _money(one.amount.amount_minor, one.amount.currency),
            names.get(one.debtor_account_id, one.debtor_account_id),
            one.every if one.day is None else f"{one.every}, day {one.day}",
            one.next_on or "ended",
            one.made,
            one.id,
        )
        for one in orders
    ]
    print_listing(output, [item_of(one) for one in orders], columns, rows)
