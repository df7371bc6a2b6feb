"""``streambank profile`` and its sub-commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from streambank.cli.api import (
    USUAL_SERVER,
    ApiOption,
    PasswordStdinOption,
    ask_password,
    connected,
    valid,
)
from streambank.cli.errors import UsageError, say
from streambank.cli.output import OutputOption

if TYPE_CHECKING:
    from streambank.bank.client import Client
    from streambank.bank.users.schemas import QuietHoursView
    from streambank.cli.output import Format

app = App(
    name="profile",
    help="Your profile: name, language, time zone; when to be left in peace; password and address.",
    help_format="plaintext",
)

_TIME = r"([01]?\d|2[0-3]):([0-5]\d)"
_QUIET = re.compile(rf"{_TIME}-{_TIME}")


@app.command(name="show")
def show_profile(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Show your profile, and how you want to be notified."""
    with connected(server) as client:
        _show(client, output)


@app.command(name="set")
def change_profile(
    *,
    name: str | None = None,
    locale: str | None = None,
    timezone: str | None = None,
    quiet_hours: Annotated[str | None, Parameter(name="--quiet-hours")] = None,
    digest: Literal["none", "daily", "weekly"] | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Change your profile, or how you want to be notified; what is not named stays.

    Parameters
    ----------
    name
        What you want to be called.
    locale
        Your language and perhaps region, such as en or de-AT.
    timezone
        Where your days begin and end, such as Europe/Prague.
    quiet_hours
        When not to be disturbed, by that time zone, such as 22:00-07:00; "none" for never.
    digest
        Whether e-mails are gathered into one.
    """
    from streambank.bank.events import Digest
    from streambank.bank.users.schemas import Preferences, ProfileChange

    if all(given is None for given in (name, locale, timezone, quiet_hours, digest)):
        raise UsageError("name what to change; `streambank profile set --help` lists it")
    quiet = _parse_quiet_hours(quiet_hours) if quiet_hours is not None else None
    with connected(server) as client:
        if name is not None or locale is not None or timezone is not None:
            change = valid(ProfileChange, name=name, locale=locale, timezone=timezone)
            client.users.change_profile(client.users.profile(), change)
        if quiet_hours is not None or digest is not None:
            before = client.users.preferences()
            wanted = Preferences(
                quiet_hours=quiet if quiet_hours is not None else before.value.quiet_hours,
                digest=Digest(digest) if digest is not None else before.value.digest,
            )
            client.users.set_preferences(before, wanted)
        _show(client, output)


@app.command(name="password")
def change_password(*, password_stdin: PasswordStdinOption = False, server: ApiOption = USUAL_SERVER) -> None:
    """Change your password. Everybody who is logged in as you has to log in again.

    On stdin, where it is read from there: the present password, and on the next line the new one.
    """
    from streambank.bank.users.schemas import PasswordChange

    present = ask_password("Present password", password_stdin)
    new = ask_password("New password", password_stdin, twice=True)
    with connected(server) as client:
        body = valid(PasswordChange, password=present, new_password=new)
        client.users.change_password(client.users.profile(), body)
    server.credentials().remove(server.url)
    say("changed; log in again with `streambank login`")


@app.command(name="email")
def change_email(
    email: str, /, *, password_stdin: PasswordStdinOption = False, server: ApiOption = USUAL_SERVER
) -> None:
    """Change your e-mail address, once you have confirmed it by the mail that is sent there.

    Parameters
    ----------
    email
        The address to be.
    """
    from streambank.bank.users.schemas import EmailChange

    body = valid(EmailChange, email=email, password=ask_password("Password", password_stdin))
    with connected(server) as client:
        client.users.change_email(client.users.profile(), body)
    say("a mail is on its way there: `streambank verify CODE` with the code in it makes the change")


def _parse_quiet_hours(text: str) -> QuietHoursView | None:
    from streambank.bank.users.schemas import QuietHoursView

    if text == "none":
        return None
    found = _QUIET.fullmatch(text)
    if found is None:
        raise UsageError(f"--quiet-hours: {text!r} is not a time of day; write it like 22:00-07:00, or none")
    hours = [int(part) for part in found.groups()]
    return valid(QuietHoursView, from_minute=60 * hours[0] + hours[1], to_minute=60 * hours[2] + hours[3])


def _show(client: Client, output: Format) -> None:
    from streambank.cli.entries import item_of, print_facts
    from streambank.cli.formats import time_of_day

    profile, preferences = client.users.profile().value, client.users.preferences().value
    quiet = preferences.quiet_hours
    facts = {
        "name": profile.name,
        "e-mail": profile.email if profile.email_verified else f"{profile.email} (not verified)",
        "locale": profile.locale,
        "time zone": profile.timezone,
        "quiet hours": "none" if quiet is None else f"{time_of_day(quiet.from_minute)}-{time_of_day(quiet.to_minute)}",
        "digest": preferences.digest.value,
    }
    print_facts(output, {**item_of(profile), **item_of(preferences)}, facts)
