"""``streambank api-key`` and its sub-commands."""

from __future__ import annotations

from cyclopts import App

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, valid
from streambank.cli.errors import say
from streambank.cli.output import Column, OutputOption, print_listing

app = App(name="api-key", help="API keys for programs of yours: list, make, revoke.", help_format="plaintext")

DAYS = 90
DAY_MS = 86_400_000


@app.command(name="ls")
def list_api_keys(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your API keys."""
    from streambank.cli.entries import item_of
    from streambank.cli.formats import local_time

    with connected(server) as client:
        keys = list(client.users.api_keys())
    columns = [Column("NAME"), Column("SCOPE"), Column("UNTIL"), Column("LAST USED"), Column("ID")]
    rows = [
        (
            key.name,
            key.scope,
            local_time(key.expires_at),
            local_time(key.last_used_at) if key.last_used_at is not None else "never",
            key.key_id,
        )
        for key in keys
    ]
    print_listing(output, [item_of(key) for key in keys], columns, rows)


@app.command(name="new")
def make_api_key(
    name: str,
    /,
    *,
    scope: str = "transactions:read",
    days: int = DAYS,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Make an API key. Its secret is shown this once.

    Parameters
    ----------
    name
        What it is for.
    scope
        What it may be used for, with blanks between: users:read users:write transactions:read transactions:write.
    days
        How long it is good.
    """
    from streambank.bank.users.schemas import NewApiKey
    from streambank.cli.entries import item_of, print_facts
    from streambank.clock import system_clock, to_datetime

    until = to_datetime(system_clock() + days * DAY_MS)
    body = valid(NewApiKey, name=name, scope=scope, expires_at=until)
    with connected(server) as client:
        made = client.users.make_api_key(body)
    facts = {"id": made.key_id, "secret": made.secret, "scope": made.scope, "until": f"{made.expires_at:%Y-%m-%d}"}
    print_facts(output, item_of(made), facts)
    say("the secret is not shown again; `streambank login --api-key-id ID` reads it from stdin")


@app.command(name="rm")
def revoke_api_key(key_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Revoke an API key.

    Parameters
    ----------
    key_id
        Its id, as `streambank api-key ls` shows it.
    """
    with connected(server) as client:
        client.users.revoke_api_key(key_id)
    say("revoked; access tokens that it got end within minutes")
