"""``streambank inbox`` and its sub-commands."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.output import Column, OutputOption, print_listing

app = App(name="inbox", help="What the bank told you: list, read.", help_format="plaintext")

LINES_MAX = 1_000


@app.command(name="ls")
def list_inbox(
    *,
    unread: Annotated[bool, Parameter(name=["--unread", "-u"], negative="")] = False,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List what you were told, the latest first.

    Parameters
    ----------
    unread
        Only what you have not read.
    lines
        How many to list, 1 to 1,000.
    """
    if not 1 <= lines <= LINES_MAX:
        raise UsageError(f"--lines: {lines} is not within 1 to {LINES_MAX:,}")
    from streambank.cli.entries import item_of
    from streambank.cli.formats import local_time

    with connected(server) as client:
        notices = list(islice(client.inbox.list(unread=unread, page_items=lines), lines))
        unread_count = client.inbox.unread_count()
    columns = [Column("WHEN"), Column(""), Column("WHAT", elastic=True), Column("ABOUT"), Column("ID")]
    rows = [
        (local_time(n.occurred_at), "" if n.read_at is not None else "new", n.title, n.category, n.id) for n in notices
    ]
    print_listing(output, [item_of(notice) for notice in notices], columns, rows)
    if output == "table":
        say(f"{unread_count:,} not read")


@app.command(name="read")
def read_notice(
    notice: str | None = None,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Everything that is there.")] = False,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show a notice, and say that you have read it.

    Parameters
    ----------
    notice
        Its id as `streambank inbox ls` lists it, or latest.
    """
    if (notice is None) != all_:
        raise UsageError("name a notice, or give --all")
    from streambank.cli.entries import item_of, print_facts
    from streambank.cli.formats import local_time

    with connected(server) as client:
        if notice is None:
            client.inbox.read_all()
            say("all of it is read")
            return
        if notice == "latest":
            latest = next(client.inbox.list(page_items=1), None)
            if latest is None:
                raise CommandError("the inbox is empty")
            notice = latest.id
        read = client.inbox.read(notice)
    facts = {"what": read.title, "": read.text, "when": local_time(read.occurred_at), "about": read.category}
    print_facts(output, item_of(read), facts)
