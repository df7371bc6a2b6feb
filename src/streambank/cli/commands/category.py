"""``streambank category`` and its sub-commands."""

from __future__ import annotations

from cyclopts import App

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, find_category, valid
from streambank.cli.errors import say
from streambank.cli.output import Column, OutputOption, print_listing

app = App(name="category", help="Categories of transactions: list, add.", help_format="plaintext")


@app.command(name="ls")
def list_categories(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your categories."""
    with connected(server) as client:
        categories = [one.value for one in client.categories.list()]
    from streambank.cli.entries import item_of

    names = {category.id: category.name for category in categories}
    rows = sorted((names.get(c.parent_id or "", ""), c.name, c.id) for c in categories)
    print_listing(output, [item_of(c) for c in categories], [Column("UNDER"), Column("CATEGORY"), Column("ID")], rows)


@app.command(name="add")
def add_category(name: str, /, *, under: str | None = None, server: ApiOption = USUAL_SERVER) -> None:
    """Add a category.

    Parameters
    ----------
    name
        Its name.
    under
        The category that it is a part of: a name or an id.
    """
    from streambank.bank.transactions.schemas import CategoryBody

    with connected(server) as client:
        parent = find_category(client, under).value.id if under is not None else None
        added = client.categories.add(valid(CategoryBody, name=name, parent_id=parent)).value
    print(added.id)
    say("added")
