"""``streambank account`` and its sub-commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

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
from streambank.cli.errors import say
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.transactions.schemas import AccountView, Statement
    from streambank.cli.entries import Names
    from streambank.cli.output import Format

app = App(
    name="account",
    help="Accounts with the bank: list, open, rename, close, share; statements.",
    help_format="plaintext",
)

Kind = Literal["checking", "savings", "cash", "credit-card", "loan", "investment", "other"]


@app.command(name="ls")
def list_accounts(
    *,
    all_: Annotated[bool, Parameter(name=["--all", "-a"], negative="", help="Those that are closed, too.")] = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List your accounts and those that are shared with you, with their balances."""
    with connected(server) as client:
        accounts = [one.value for one in client.accounts.list() if all_ or one.value.closed_at is None]
    from streambank.cli.entries import item_of

    columns = [
        Column("ACCOUNT", elastic=True),
        Column("KIND"),
        Column("BALANCE", right=True),
        Column("AVAILABLE", right=True),
        Column("YOU ARE"),
        Column("ID"),
    ]
    rows = [
        (
            _label(a),
            a.kind.value,
            _money(a, a.balance.booked_minor),
            _money(a, a.balance.available_minor),
            a.role.value,
            a.id,
        )
        for a in accounts
    ]
    print_listing(output, [item_of(a) for a in accounts], columns, rows)


@app.command(name="open")
def open_account(
    name: str,
    /,
    *,
    currency: str,
    kind: Kind = "checking",
    number_last4: str | None = None,
    overdraft_limit: str | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Open an account.

    Parameters
    ----------
    name
        What you call it.
    currency
        The ISO 4217 code, such as EUR.
    kind
        What it is.
    number_last4
        The last four characters of its number, to tell it from others.
    overdraft_limit
        How far it may go below 0. Without it: not at all; for credit cards, loans and investments, any far.
    """
    from streambank.bank.events import AccountKind, parse_currency
    from streambank.bank.transactions.schemas import OpenAccount

    known = parse_currency(currency)
    limit = parse_unsigned(overdraft_limit, known, "--overdraft-limit") if overdraft_limit is not None else None
    body = valid(
        OpenAccount,
        name=name,
        currency=known.value,
        kind=AccountKind(kind),
        number_last4=number_last4,
        overdraft_limit_minor=limit,
    )
    with connected(server) as client:
        _show(output, client.accounts.open(body).value)


@app.command(name="show")
def show_account(account: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show an account and its balance, and who may use or see it.

    Parameters
    ----------
    account
        Its name or id.
    """
    with connected(server) as client:
        found = find_account(client, account).value
        members = client.accounts.members(found.id).members
    _show(output, found, ", ".join(f"{member.user_id} ({member.role.value})" for member in members))


@app.command(name="rename")
def rename_account(account: str, name: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Give an account another name.

    Parameters
    ----------
    account
        Its name or id.
    name
        The name to be.
    """
    from streambank.bank.transactions.schemas import ChangeAccount

    body = valid(ChangeAccount, name=name)
    with connected(server) as client:
        client.accounts.change(find_account(client, account), body)
    say("renamed")


@app.command(name="close")
def close_account(account: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Close an account that is empty. Its entries stay.

    Parameters
    ----------
    account
        Its name or id.
    """
    with connected(server) as client:
        client.accounts.close(find_account(client, account))
    say("closed")


@app.command(name="share")
def share_account(
    account: str,
    user_id: str,
    /,
    *,
    role: Literal["owner", "viewer"] = "viewer",
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Let another user see an account, or use it as you do.

    Parameters
    ----------
    account
        Its name or id.
    user_id
        The other user's id, as `streambank whoami` shows it to them.
    role
        viewer sees all of it, owner may change it too.
    """
    from streambank.bank.events import Role

    with connected(server) as client:
        client.accounts.share(find_account(client, account), user_id, Role(role))
    say("shared")


@app.command(name="unshare")
def unshare_account(account: str, user_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """End a share.

    Parameters
    ----------
    account
        Its name or id.
    user_id
        Whose share ends; your own, too.
    """
    with connected(server) as client:
        client.accounts.unshare(find_account(client, account), user_id)
    say("no longer shared")


@app.command(name="statement")
def show_statement(
    account: str,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show what was booked on an account in a period, and the balances before and after it.

    Parameters
    ----------
    account
        Its name or id.
    from_
        The first day, such as 2026-11-01; the first of the last day's month, if it is left out.
    to
        The last day; today (UTC), if it is left out.
    """
    from streambank.cli.entries import Names
    from streambank.clock import system_clock, to_datetime

    last = parse_day(to, "--to") or to_datetime(system_clock()).date()
    first = parse_day(from_, "--from") or last.replace(day=1)
    with connected(server) as client:
        found = find_account(client, account).value
        statement = client.accounts.statement(found.id, first, last)
        names = Names(client)
    _print_statement(output, found, statement, names)


def _print_statement(output: Format, account: AccountView, statement: Statement, names: Names) -> None:
    from streambank.cli.entries import amount_of, item_of
    from streambank.cli.output import print_json, print_json_line

    if output != "table":
        (print_json if output == "json" else print_json_line)(item_of(statement))
        return
    columns = [
        Column("DATE"),
        Column("AMOUNT", right=True),
        Column("WITH", elastic=True),
        Column("TEXT", elastic=True),
        Column("CATEGORY", elastic=True),
    ]
    print(f"{account.name}, {statement.from_date} to {statement.to_date}")
    print(f"before: {_money(account, statement.opening_minor)}\n")
    rows = [
        (e.booking_date, amount_of(e), e.counterparty or "", e.remittance or e.kind or "", names.category(e))
        for e in statement.items
    ]
    print_listing(output, [], columns, rows)
    print(
        f"\nin: {_money(account, statement.credits_minor)}, out: {_money(account, statement.debits_minor)},"
        f" entries: {statement.entry_count:,}"
    )
    print(f"after: {_money(account, statement.closing_minor)}")


def _show(output: Format, account: AccountView, members: str = "") -> None:
    from streambank.cli.entries import item_of, print_facts
    from streambank.cli.formats import local_time

    limit = account.overdraft_limit_minor
    balance = account.balance
    coming, going = balance.pending_credits_minor, balance.pending_debits_minor
    facts = {
        "name": account.name,
        "id": account.id,
        "kind": account.kind.value,
        "number": f"…{account.number_last4}" if account.number_last4 else None,
        "balance": _money(account, balance.booked_minor),
        "available": _money(account, balance.available_minor),
        "pending": f"{_money(account, coming)} in, {_money(account, going)} out",
        "overdraft limit": _money(account, limit) if limit is not None else "none",
        "you are": account.role.value,
        "opened": local_time(account.opened_at),
        "closed": local_time(account.closed_at) if account.closed_at is not None else None,
        "members": members,
    }
    print_facts(output, item_of(account), facts)


def _label(account: AccountView) -> str:
    number = f" …{account.number_last4}" if account.number_last4 else ""
    return f"{account.name}{number}{' (closed)' if account.closed_at is not None else ''}"


def _money(account: AccountView, minor: int) -> str:
    from streambank.cli.formats import money

    return money(minor, currency_of(account))
