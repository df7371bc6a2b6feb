"""How entries of the ledger are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streambank.bank.events import CreditDebit, parse_currency
from streambank.cli.formats import local_time, money
from streambank.cli.output import Column, Format, print_json, print_json_line, print_listing

if TYPE_CHECKING:
    from pydantic import BaseModel

    from streambank.bank.client import Client
    from streambank.bank.transactions.schemas import TransactionView

ENTRY_COLUMNS = (
    Column("DATE"),
    Column("ACCOUNT", elastic=True),
    Column("AMOUNT", right=True),
    Column("WITH", elastic=True),
    Column("TEXT", elastic=True),
    Column("CATEGORY", elastic=True),
    Column("STATE"),
    Column("ID"),
)


class Names:
    """The names of accounts and categories."""

    def __init__(self, client: Client) -> None:
        self.accounts = {account.value.id: account.value.name for account in client.accounts.list()}
        self.categories = {category.value.id: category.value.name for category in client.categories.list()}

    def category(self, entry: TransactionView) -> str:
        """The categories of an entry, or of its parts. Those of an account that is shared are known to its owner."""
        ids = [part.category_id for part in entry.splits] or [entry.category_id]
        return ", ".join(self.categories.get(one, one) for one in ids if one is not None)


def signed_minor(entry: TransactionView) -> int:
    """What the entry changes, in minor units: negative for a debit."""
    minor = entry.amount.amount_minor
    return minor if entry.credit_debit is CreditDebit.CREDIT else -minor


def amount_of(entry: TransactionView) -> str:
    """The amount with its sign and currency."""
    return money(signed_minor(entry), parse_currency(entry.amount.currency))


def state_of(entry: TransactionView) -> str:
    """What has become of the entry."""
    if entry.reversed_by_id is not None:
        return "reversed"
    return "reversal" if entry.reverses_id is not None else entry.state


def print_entries(output: Format, entries: Sequence[TransactionView], names: Names) -> None:
    """List entries."""
    rows = [
        (
            entry.booking_date,
            names.accounts.get(entry.account_id, entry.account_id),
            amount_of(entry),
            entry.counterparty or "",
            entry.remittance or entry.kind or "",
            names.category(entry),
            state_of(entry),
            entry.id,
        )
        for entry in entries
    ]
    print_listing(output, [item_of(entry) for entry in entries], ENTRY_COLUMNS, rows)


def print_entry(output: Format, entry: TransactionView, names: Names) -> None:
    """Show all that is known of one entry."""
    facts: dict[str, object] = {
        "id": entry.id,
        "account": names.accounts.get(entry.account_id, entry.account_id),
        "amount": amount_of(entry),
        "booking date": entry.booking_date,
        "value date": entry.value_date,
        "state": state_of(entry),
        "with": entry.counterparty,
        "their account": entry.counterparty_account,
        "text": entry.remittance,
        "kind": entry.kind,
        "reference": entry.end_to_end_id,
        "category": names.category(entry),
        "tags": ", ".join(entry.tags),
        "notes": entry.notes,
        "recorded": local_time(entry.recorded_at),
        "expires": local_time(entry.expires_at) if entry.expires_at is not None else None,
        "reverses": entry.reverses_id,
        "reversed by": entry.reversed_by_id,
    }
    currency = parse_currency(entry.amount.currency)
    for n, part in enumerate(entry.splits, start=1):
        what = names.categories.get(part.category_id or "", part.category_id or "no category")
        facts[f"part {n}"] = f"{money(part.amount_minor, currency)} {what}{f': {part.note}' if part.note else ''}"
    print_facts(output, item_of(entry), facts)


def print_facts(output: Format, item: dict[str, Any], facts: Mapping[str, object]) -> None:
    """Show one thing: ``item`` as JSON, or ``facts`` by their names; those without a value are left out."""
    if output == "table":
        rows = [(name, value) for name, value in facts.items() if value not in (None, "")]
        print_listing(output, [], [Column("WHAT"), Column("VALUE")], rows)
    else:
        (print_json if output == "json" else print_json_line)(item)


def item_of(view: BaseModel) -> dict[str, Any]:
    """Something as the API's JSON has it."""
    item: dict[str, Any] = view.model_dump(mode="json")
    return item
