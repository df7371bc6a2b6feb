"""``streambank login``, ``logout`` and ``whoami``."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, PasswordStdinOption, ask_password, connected
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.output import OutputOption


def login(
    email: str | None = None,
    /,
    *,
    password_stdin: PasswordStdinOption = False,
    api_key_id: Annotated[
        str | None, Parameter(help="Log in with this API key; its secret is read from stdin, or asked for.")
    ] = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Log in with the bank. The password is not kept: a token is, in the data folder, until `streambank logout`.

    Parameters
    ----------
    email
        Your e-mail address; that of the last time, if it is left out.
    """
    from streambank.bank.client import ApiKey, Client, NotLoggedInError, Password
    from streambank.cli.credentials import Login

    file = server.credentials()
    before = file.find(server.url)
    if api_key_id is not None:
        secret = ask_password("Secret of the key", password_stdin or not sys.stdin.isatty())
        with connected(server, ApiKey(api_key_id, secret)) as client:
            scope = client.log_in()
        made = Login(secret, key_id=api_key_id)
    else:
        email = email or (before.email if before is not None else None)
        if email is None:
            raise UsageError("say who you are: `streambank login EMAIL`")
        shown = Password(email, ask_password("Password", password_stdin))
        try:
            with Client(server.server, shown) as client:
                scope = client.log_in()
        except NotLoggedInError as error:
            raise CommandError(str(error)) from None
        made = Login(shown.refresh_token or "", email)
    file.put(server.url, made)
    if before is not None and before.key_id is None:
        # What nobody holds any more must not stay good.
        with connected(server) as client:
            client.users.revoke_token(before.token)
    say(f"logged in at {server.url}")
    if api_key_id is None and "transactions:read" not in scope.split():
        say("your e-mail address is not verified yet: `streambank verify CODE`, with the code in the mail")


def logout(*, server: ApiOption = USUAL_SERVER) -> None:
    """Log out: the token that was kept is taken back and forgotten. An API key is only forgotten."""
    file = server.credentials()
    known = file.find(server.url)
    if known is None:
        say(f"nobody is logged in at {server.url}")
        return
    file.remove(server.url)
    if known.key_id is None:
        with connected(server) as client:
            client.users.revoke_token(known.token)
    say(f"logged out at {server.url}")


def whoami(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show who is logged in."""
    with connected(server) as client:
        profile = client.users.profile().value
    from streambank.cli.entries import item_of, print_facts

    facts = {
        "name": profile.name,
        "e-mail": profile.email if profile.email_verified else f"{profile.email} (not verified)",
        "user id": profile.user_id,
        "locale": profile.locale,
        "time zone": profile.timezone,
        "server": server.url,
    }
    print_facts(output, item_of(profile), facts)
