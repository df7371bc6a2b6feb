"""``streambank limit`` and its sub-commands."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, parse_unsigned, valid
from streambank.cli.errors import UsageError, say
from streambank.cli.output import Column, OutputOption, print_listing
from streambank.cli.plans import money_of

app = App(name="limit", help="How much may go out in transfers: list, set, remove.", help_format="plaintext")

NONE = "none"
"""What takes one limit of one's own away: the bank's holds."""


@app.command(name="ls")
def list_limits(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your payment limits."""
    from streambank.cli.entries import item_of

    with connected(server) as client:
        limits = [one.value for one in client.limits.list()]
    columns = [
        Column("CURRENCY"),
        Column("PER TRANSFER", right=True),
        Column("PER DAY", right=True),
        Column("TRANSFERS PER DAY", right=True),
        Column("TO A NEW PAYEE", right=True),
    ]

    def shown(minor: int | None, code: str) -> str:
        return "" if minor is None else money_of(minor, code)

    rows = [
        (
            one.currency,
            shown(one.per_transfer_minor, one.currency),
            shown(one.per_day_minor, one.currency),
            "" if one.per_day_count is None else one.per_day_count,
            ""
            if one.new_payee_minor is None
            else f"{shown(one.new_payee_minor, one.currency)} for {one.new_payee_hours} h",
        )
        for one in limits
    ]
    print_listing(output, [item_of(one) for one in limits], columns, rows)


@app.command(name="set")
def set_limit(
    currency: str,
    /,
    *,
    per_transfer: str | None = None,
    per_day: str | None = None,
    transfers_per_day: str | None = None,
    new_payee: str | None = None,
    new_payee_hours: int | None = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Let no more than so much go out in transfers of a currency. What is not named stays; "none": the bank's own.

    Parameters
    ----------
    currency
        The ISO 4217 code, such as EUR.
    per_transfer
        How much one transfer may be.
    per_day
        How much all transfers of a day may be together.
    transfers_per_day
        How many transfers a day may have.
    new_payee
        How much somebody may get in all while they are new.
    new_payee_hours
        For how many hours after the first transfer to them somebody is new: 24, if nothing is said.
    """
    from streambank.bank.events import parse_currency
    from streambank.bank.personalization.schemas import PaymentLimitBody

    known = parse_currency(currency)
    changes: dict[str, Any] = {
        field: None if text == NONE else parse_unsigned(text, known, option)
        for field, text, option in (
            ("per_transfer_minor", per_transfer, "--per-transfer"),
            ("per_day_minor", per_day, "--per-day"),
            ("new_payee_minor", new_payee, "--new-payee"),
        )
        if text is not None
    }
    if transfers_per_day is not None:
        changes["per_day_count"] = _count(transfers_per_day)
    if new_payee_hours is not None:
        changes["new_payee_hours"] = new_payee_hours
    if not changes:
        raise UsageError("say which limit to set: --per-transfer, --per-day, --transfers-per-day or --new-payee")
    with connected(server) as client:
        found = client.limits.get(known.value)
        before = found.value.model_dump(include=set(PaymentLimitBody.model_fields))
        client.limits.set(found, valid(PaymentLimitBody, **{**before, **changes}))
    say("set")


@app.command(name="rm")
def remove_limit(currency: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Take all your limits of a currency away: the bank's own hold.

    Parameters
    ----------
    currency
        The ISO 4217 code, such as EUR.
    """
    from streambank.bank.events import parse_currency

    with connected(server) as client:
        client.limits.remove(client.limits.get(parse_currency(currency).value))
    say("removed")


def _count(text: str) -> int | None:
    if text == NONE:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--transfers-per-day: {text!r} is not a number; write it like 5, or none")
    return int(text)
