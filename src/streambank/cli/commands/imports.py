"""``streambank imports`` and its sub-commands."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.asking import YesOption, confirmed
from streambank.cli.errors import EXIT_USAGE, UsageError, say
from streambank.cli.output import Column, OutputOption, print_listing

app = App(name="imports", help="What was imported into accounts with the bank: list, undo.", help_format="plaintext")


@app.command(name="ls")
def list_imports(
    *,
    lines: Annotated[int, Parameter(name=["--lines", "-n"], help="How many to list; 0 for all.")] = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List the imports into your accounts, the latest first."""
    from streambank.cli.entries import item_of
    from streambank.cli.formats import local_time

    if lines < 0:
        raise UsageError(f"--lines: {lines} is less than 0")
    with connected(server) as client:
        listed = client.imports.list(page_items=lines or None)
        found = [one.value for one in (islice(listed, lines) if lines else listed)]
        names = {account.value.id: account.value.name for account in client.accounts.list()}
    columns = [
        Column("IMPORTED"),
        Column("ACCOUNT"),
        Column("BOOKED", right=True),
        Column("THERE ALREADY", right=True),
        Column("DIFFERING", right=True),
        Column("UNDONE"),
        Column("ID"),
    ]
    rows = [
        (
            local_time(one.created_at),
            names.get(one.account_id, one.account_id),
            f"{one.booked:,}",
            f"{one.duplicates:,}",
            f"{one.differing:,}",
            local_time(one.undone_at) if one.undone_at is not None else "",
            one.id,
        )
        for one in found
    ]
    print_listing(output, [item_of(one) for one in found], columns, rows)


@app.command(name="undo")
def undo_import(import_id: str, /, *, yes: YesOption = False, server: ApiOption = USUAL_SERVER) -> int:
    """Reverse what an import booked, but for what was corrected since. The file may be imported anew.

    Parameters
    ----------
    import_id
        Its id, as `streambank imports ls` shows it.
    """
    with connected(server) as client:
        found = client.imports.get(import_id)
        account = client.accounts.get(found.value.account_id).value.name
        question = f"Reverse the {found.value.booked:,} entries of this import into {account}?"
        if not confirmed(question, yes=yes, dry_run=False):
            return EXIT_USAGE
        undone = client.imports.undo(found).value
    say(f"reversed: {undone.reversed:,}; kept, since they were corrected: {undone.kept:,}")
    return 0
