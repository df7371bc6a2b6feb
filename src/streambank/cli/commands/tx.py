"""``streambank tx`` and its sub-commands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import App, Parameter

from streambank.cli.api import (
    USUAL_SERVER,
    ApiOption,
    connected,
    currency_of,
    find_account,
    find_category,
    parse_day,
    parse_signed,
    parse_unsigned,
    valid,
)
from streambank.cli.errors import UsageError, say
from streambank.cli.output import Format, OutputOption

if TYPE_CHECKING:
    from streambank.bank.client import Client
    from streambank.bank.transactions.schemas import SplitBody, TransactionView

app = App(
    name="tx",
    help="Transactions: list, search, add, edit, reverse, book, void, export.",
    help_format="plaintext",
)

Amount: TypeAlias = Annotated[str, Parameter(allow_leading_hyphen=True)]
ForceOption: TypeAlias = Annotated[
    bool, Parameter(name="--force", negative="", help="It is a fact: the overdraft limit does not hold it up.")
]
LinesOption: TypeAlias = Annotated[int, Parameter(name=["--lines", "-n"], help="How many to list; 0 for all.")]


@dataclass(frozen=True, slots=True)
class Which:
    """Which transactions to list.

    Attributes
    ----------
    account
        Those of this account: a name or an id.
    category
        Those of this category, and of those under it: a name, PARENT/NAME or an id.
    tag
        Those with this tag.
    from_
        Those booked on this day or later.
    to
        Those booked on this day or earlier.
    min_
        Those of at least this amount, without sign. Needs --account, for its currency.
    max_
        Those of at most this amount, without sign. Needs --account, for its currency.
    state
        current: booked, or pending and not ended.
    """

    account: str | None = None
    category: str | None = None
    tag: str | None = None
    from_: Annotated[str | None, Parameter(name="--from")] = None
    to: str | None = None
    min_: Annotated[str | None, Parameter(name="--min")] = None
    max_: Annotated[str | None, Parameter(name="--max")] = None
    state: Literal["booked", "pending", "current", "all"] = "current"


WhichOption: TypeAlias = Annotated[Which, Parameter(name="*")]
_ANY = Which()


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a transaction.

    Attributes
    ----------
    with_
        Who it went to, or came from.
    text
        What it says it is for.
    notes
        Your own notes.
    category
        A category's name, PARENT/NAME or id.
    tag
        A tag; as often as wanted.
    external_id
        What it is called where it comes from: recorded again under that id, it stays one.
    """

    with_: Annotated[str | None, Parameter(name="--with")] = None
    text: str | None = None
    notes: str | None = None
    category: str | None = None
    tag: Annotated[list[str] | None, Parameter(negative="")] = None
    external_id: str | None = None


ToldOption: TypeAlias = Annotated[Told, Parameter(name="*")]
_NOTHING = Told()


@app.command(name="ls")
def list_transactions(
    *,
    which: WhichOption = _ANY,
    lines: LinesOption = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List transactions, the latest recorded first."""
    _list(None, which, lines, server, output)


@app.command(name="search")
def search_transactions(
    *words: str,
    which: WhichOption = _ANY,
    lines: LinesOption = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List the transactions that have all these words in their counterparty, text or notes.

    Parameters
    ----------
    words
        The words; case and accents do not count.
    """
    if not words:
        raise UsageError("say what to search for: `streambank tx search WORD...`")
    _list(" ".join(words), which, lines, server, output)


@app.command(name="add")
def add_transaction(
    account: str,
    amount: Amount,
    /,
    *,
    date: str | None = None,
    told: ToldOption = _NOTHING,
    pending: Annotated[bool, Parameter(negative="")] = False,
    force: ForceOption = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Record a transaction.

    Parameters
    ----------
    account
        The account's name or id.
    amount
        What goes out, with a minus, or comes in: -12.50, '-12.50 EUR' or 100.
    date
        The booking date, such as 2026-11-29; today (UTC), if it is left out.
    pending
        It is expected and not booked yet: see `tx book` and `tx void`.
    """
    from streambank.bank.events import CreditDebit, EntryStatus
    from streambank.bank.transactions.schemas import Money, NewTransaction

    day = parse_day(date, "--date")
    with connected(server) as client:
        found = find_account(client, account).value
        minor = parse_signed(amount, currency_of(found), "AMOUNT")
        body = valid(
            NewTransaction,
            account_id=found.id,
            credit_debit=CreditDebit.DEBIT if minor < 0 else CreditDebit.CREDIT,
            amount=valid(Money, amount_minor=abs(minor), currency=found.currency),
            booking_date=day,
            status=EntryStatus.PENDING if pending else None,
            external_id=told.external_id,
            counterparty=told.with_,
            remittance=told.text,
            notes=told.notes,
            category_id=find_category(client, told.category).value.id if told.category is not None else None,
            tags=told.tag,
            force=force or None,
        )
        _show(client, client.transactions.record(body).value, output)


@app.command(name="show")
def show_transaction(
    transaction_id: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table"
) -> None:
    """Show all that is known of a transaction.

    Parameters
    ----------
    transaction_id
        Its id, as `streambank tx ls` shows it.
    """
    with connected(server) as client:
        _show(client, client.transactions.get(transaction_id).value, output)


@app.command(name="edit")
def edit_transaction(
    transaction_id: str,
    /,
    *,
    notes: str | None = None,
    category: str | None = None,
    tag: Annotated[list[str] | None, Parameter(negative="")] = None,
    split: Annotated[list[str] | None, Parameter(negative="")] = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Change what stands beside a transaction. What happened cannot be changed, only reversed.

    An empty text takes away: --notes "", --category "", --tag "", --split "".

    Parameters
    ----------
    transaction_id
        Its id.
    notes
        Your own notes.
    category
        A category's name, PARENT/NAME or id.
    tag
        The tags that it is to have; as often as wanted.
    split
        A part of it, AMOUNT=CATEGORY, as often as needed; the parts make up the whole.
    """
    from streambank.bank.transactions.schemas import ChangeTransaction

    with connected(server) as client:
        entry = client.transactions.get(transaction_id)
        changes: dict[str, Any] = {}
        if notes is not None:
            changes["notes"] = notes or None
        if category is not None:
            changes["category_id"] = find_category(client, category).value.id if category else None
        if tag is not None:
            changes["tags"] = [one for one in tag if one]
        if split is not None:
            changes["splits"] = [_split(client, entry.value, one) for one in split if one]
        if not changes:
            raise UsageError("say what to change: --notes, --category, --tag or --split")
        # What is left out stays, and None takes away: nothing may be dropped here as ``valid`` does it.
        body = valid(ChangeTransaction, **changes)
        body = body.model_copy(update={name: None for name, value in changes.items() if value is None})
        _show(client, client.transactions.change(entry, body).value, output)


@app.command(name="reverse")
def reverse_transaction(
    transaction_id: str,
    /,
    *,
    notes: str | None = None,
    force: ForceOption = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Take back a booked transaction, by one of the opposite sign.

    Parameters
    ----------
    transaction_id
        Its id.
    notes
        Why.
    """
    from streambank.bank.transactions.schemas import ReverseTransaction

    body = valid(ReverseTransaction, notes=notes, force=force or None)
    with connected(server) as client:
        _show(client, client.transactions.reverse(transaction_id, body).value, output)


@app.command(name="book")
def book_transaction(
    transaction_id: str,
    /,
    *,
    amount: str | None = None,
    date: str | None = None,
    force: ForceOption = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Say that a pending transaction was booked.

    Parameters
    ----------
    transaction_id
        Its id.
    amount
        The amount without sign, if it is another than was expected.
    date
        The booking date, such as 2026-11-29; today (UTC), if it is left out.
    """
    from streambank.bank.events import parse_currency
    from streambank.bank.transactions.schemas import BookTransaction

    day = parse_day(date, "--date")
    with connected(server) as client:
        minor = None
        if amount is not None:
            currency = parse_currency(client.transactions.get(transaction_id).value.amount.currency)
            minor = parse_unsigned(amount, currency, "--amount")
        body = valid(BookTransaction, amount_minor=minor, booking_date=day, force=force or None)
        _show(client, client.transactions.book(transaction_id, body).value, output)


@app.command(name="void")
def void_transaction(
    transaction_id: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table"
) -> None:
    """Say that a pending transaction does not come.

    Parameters
    ----------
    transaction_id
        Its id.
    """
    with connected(server) as client:
        _show(client, client.transactions.void(transaction_id).value, output)


@app.command(name="export")
def export_transactions(file: Path | None = None, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Write every transaction of your accounts, oldest first, each a line of JSON.

    Parameters
    ----------
    file
        Where to; stdout, if it is left out.
    """
    import sys

    from streambank.cli.exporting import write_lines

    with connected(server) as client:
        lines = (entry.model_dump_json() for entry in client.transactions.export())
        if file is None:
            for line in lines:
                sys.stdout.write(f"{line}\n")
            return
        count = write_lines(file, lines)
    say(f"{count:,} written to {file}")


def _list(words: str | None, which: Which, lines: int, server: ApiOption, output: Format) -> None:
    from streambank.cli.entries import Names, print_entries

    if lines < 0:
        raise UsageError(f"--lines: {lines} is less than 0")
    first, last = parse_day(which.from_, "--from"), parse_day(which.to, "--to")
    with connected(server) as client:
        account = find_account(client, which.account).value if which.account is not None else None
        bounds: list[int | None] = []
        for text, option in ((which.min_, "--min"), (which.max_, "--max")):
            if text is not None and account is None:
                raise UsageError(f"{option} needs --account: amounts of several currencies cannot be compared")
            bounds.append(parse_unsigned(text, currency_of(account), option) if text and account is not None else None)
        found = client.transactions.search(
            words=words,
            account_id=account.id if account is not None else None,
            category_id=find_category(client, which.category).value.id if which.category is not None else None,
            tag=which.tag,
            amount_min_minor=bounds[0],
            amount_max_minor=bounds[1],
            from_date=first,
            to_date=last,
            state=which.state,
            page_items=lines + 1 if lines else None,
        )
        shown = [one.value for one in (islice(found, lines) if lines else found)]
        more = lines > 0 and next(found, None) is not None
        names = Names(client)
    print_entries(output, shown, names)
    if more and output == "table":
        say("older ones are not shown; -n 0 shows all")


def _split(client: Client, entry: TransactionView, text: str) -> SplitBody:
    from streambank.bank.events import parse_currency
    from streambank.bank.transactions.schemas import SplitBody

    amount, equals, category = text.partition("=")
    if not equals:
        raise UsageError(f"--split: {text!r} is not AMOUNT=CATEGORY, such as 7.20=Groceries")
    minor = parse_unsigned(amount, parse_currency(entry.amount.currency), "--split")
    category_id = find_category(client, category).value.id if category else None
    return valid(SplitBody, amount_minor=minor, category_id=category_id)


def _show(client: Client, entry: TransactionView, output: Format) -> None:
    from streambank.cli.entries import Names, print_entry

    print_entry(output, entry, Names(client))
