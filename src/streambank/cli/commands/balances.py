"""``streambank balances``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_json, print_json_line, print_table

if TYPE_CHECKING:
    from streambank.bank.events import Balance
    from streambank.cli.people import People


def balances(*, user: str | None = None, place: PlaceOption = USUAL_PLACE, output: OutputOption = "table") -> None:
    """Show every account's balance, and each person's totals by currency.

    Parameters
    ----------
    user
        Only this person: a user id, or a part of a name or an e-mail address.
    """
    from streambank.bank.events import ACCOUNT_BALANCE, USER_BALANCE
    from streambank.cli.people import People
    from streambank.cli.reading import latest

    with place.folder().open_log() as log:
        people = People.read(log)
        users = people.matching(user) if user is not None else None
        accounts = _sorted(latest(log, ACCOUNT_BALANCE), people, users)
        totals = _sorted(latest(log, USER_BALANCE), people, users)
    if output == "table":
        _print_tables(accounts, totals, people)
    elif output == "json":
        print_json({"accounts": [_item(b, people) for b in accounts], "totals": [_item(b, people) for b in totals]})
    else:
        for balance in (*accounts, *totals):
            print_json_line(_item(balance, people))


def _sorted(found: dict[str, Balance], people: People, users: set[str] | None) -> list[Balance]:
    chosen = [balance for balance in found.values() if users is None or balance.user_id in users]
    return sorted(chosen, key=lambda b: (people.name(b.user_id), b.user_id, people.scope(b), b.scope_id))


def _item(balance: Balance, people: People) -> dict[str, Any]:
    from streambank.bank.events import to_decimal

    available = balance.available_after_minor
    return {
        "scope": balance.scope.value,
        "scope_id": balance.scope_id,
        "user_id": balance.user_id,
        "user": people.name(balance.user_id),
        "account": people.account_name(balance.scope_id) if balance.scope.value == "account" else None,
        "currency": balance.currency.value,
        "balance": str(to_decimal(balance.after_minor, balance.currency)),
        "balance_minor": balance.after_minor,
        "available_minor": balance.after_minor if available is None else available,
        "entries": balance.entry_count,
        "changed_at": balance.occurred_at.isoformat(),
    }


def _print_tables(accounts: list[Balance], totals: list[Balance], people: People) -> None:
    from rich.text import Text

    from streambank.cli.formats import local_time, money

    def amount(balance: Balance) -> Text:
        return Text(money(balance.after_minor, balance.currency), style="red" if balance.after_minor < 0 else "")

    columns = [
        Column("PERSON"),
        Column("ACCOUNT"),
        Column("BALANCE", right=True),
        Column("ENTRIES", right=True),
        Column("LAST ENTRY"),
    ]
    rows: list[tuple[object, ...]] = [
        (people.name(b.user_id), people.scope(b), amount(b), f"{b.entry_count:,}", local_time(b.occurred_at))
        for b in accounts
    ]
    rows += [
        (people.name(b.user_id), "all accounts", amount(b), f"{b.entry_count:,}", local_time(b.occurred_at))
        for b in totals
    ]
    rows.sort(key=lambda row: (str(row[0]), row[1] == "all accounts"))
    print_table(columns, rows)
