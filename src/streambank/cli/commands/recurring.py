"""``streambank recurring``."""

from __future__ import annotations

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.output import Column, OutputOption, print_listing


def recurring(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show what recurs in your accounts: subscriptions, rent, salary; the one that is expected next first."""
    from streambank.bank.events import CreditDebit, parse_currency
    from streambank.cli.entries import item_of
    from streambank.cli.formats import money

    with connected(server) as client:
        found = list(client.views.recurring())
    columns = [
        Column("NEXT"),
        Column("WITH", elastic=True),
        Column("AMOUNT", right=True),
        Column("EVERY"),
        Column("STATUS"),
        Column("SEEN", right=True),
        Column("NEWS"),
    ]
    rows = []
    for one in found:
        currency = parse_currency(one.currency)
        sign = 1 if one.credit_debit is CreditDebit.CREDIT else -1
        news = "varies" if one.varies else ""
        if one.previous_minor is not None:
            news = f"{money(one.previous_minor, currency)} until {one.changed_on}"
        amount = money(sign * one.next_minor, currency)
        rows.append(
            (one.next_on, one.counterparty or "", amount, one.cadence.value, one.status, f"{one.count} times", news)
        )
    print_listing(output, [item_of(one) for one in found], columns, rows)
