"""``streambank notify`` and its sub-commands."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, valid
from streambank.cli.commands.inbox import LINES_MAX
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.client import Client, Versioned
    from streambank.bank.notifications.schemas import SettingsView, WebhookMade, WebhookView
    from streambank.cli.output import Format

app = App(name="notify", help="How the bank tells you: e-mails, webhooks.", help_format="plaintext")
webhook = App(name="webhook", help="Webhooks: list, add, change, test, remove.", help_format="plaintext")
app.command(webhook)

OnOff: TypeAlias = Literal["on", "off"]
Categories: TypeAlias = Annotated[
    list[Literal["alerts", "goals", "payments", "security"]] | None, Parameter(negative="")
]


@app.command(name="settings")
def settings(
    *,
    alerts: OnOff | None = None,
    goals: OnOff | None = None,
    payments: OnOff | None = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show of what you get e-mails, and change it. Your inbox has everything; what is about security always comes.

    Parameters
    ----------
    alerts
        E-mails about balances.
    goals
        E-mails about budgets and goals.
    payments
        E-mails about payments.
    """
    from streambank.bank.notifications.schemas import ChangeSettings

    wanted = {"alerts": alerts, "goals": goals, "payments": payments}
    with connected(server) as client:
        found = client.notifications.settings()
        changed = {name: value == "on" for name, value in wanted.items() if value is not None}
        if changed:
            email = found.value.email.model_copy(update=changed)
            found = client.notifications.set_settings(found, ChangeSettings(email=email))
    _print_settings(output, found.value)


@app.command(name="bounce")
def bounce(*, server: ApiOption = USUAL_SERVER) -> None:
    """Hand in a mail server's report, from stdin, that an e-mail did not arrive. For the mailbox that they come to.

    A mail server can pipe its reports here. Nobody has to be logged in: a report counts only if it holds the mark of an
    e-mail that was sent from here.
    """
    from streambank.bank.client import ApiError, Client

    with Client(server.url) as client:
        try:
            client.notifications.report_bounce(sys.stdin.buffer.read())
        except ApiError as error:
            if error.slug != "not-a-report":
                raise
            # A mail server would send a failure back to whoever wrote, and others write there, too.
            say(f"{error}: nothing was done")


@webhook.command(name="ls")
def list_webhooks(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List your webhooks."""
    from streambank.cli.entries import item_of

    with connected(server) as client:
        hooks = [one.value for one in client.notifications.webhooks()]
    columns = [Column("ADDRESS", elastic=True), Column("ABOUT"), Column("STATE"), Column("ID")]
    rows = [(hook.url, ", ".join(hook.categories) or "everything", _state(hook), hook.id) for hook in hooks]
    print_listing(output, [item_of(hook) for hook in hooks], columns, rows)


@webhook.command(name="add")
def add_webhook(
    url: str, /, *, about: Categories = None, server: ApiOption = USUAL_SERVER, output: OutputOption = "table"
) -> None:
    """Make a webhook: what you are told is sent there. Its secret is shown this once.

    Parameters
    ----------
    url
        Where to, beginning with https://.
    about
        What it is for; as often as wanted, everything if not at all.
    """
    from streambank.bank.notifications.schemas import NewWebhook

    body = valid(NewWebhook, url=url, categories=about)
    with connected(server) as client:
        _print_made(output, client.notifications.add_webhook(body))


@webhook.command(name="set")
def change_webhook(
    hook: str,
    /,
    *,
    url: str | None = None,
    about: Categories = None,
    on: Annotated[bool | None, Parameter(negative="--off")] = None,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Change a webhook.

    Parameters
    ----------
    hook
        Its id, or its address.
    url
        Where it leads from now on.
    about
        What it is for from now on.
    on
        Whether anything is sent there; one that failed for days is off.
    """
    from streambank.bank.notifications.schemas import ChangeWebhook

    body = valid(ChangeWebhook, url=url, categories=about, enabled=on)
    if not body.model_fields_set:
        raise UsageError("say what to change: --url, --about, --on or --off")
    with connected(server) as client:
        client.notifications.change_webhook(_find(client, hook), body)
    say("changed")


@webhook.command(name="rotate")
def rotate_secret(hook: str, /, *, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """Get another secret for a webhook. For a day what is sent is signed with both.

    Parameters
    ----------
    hook
        Its id, or its address.
    """
    with connected(server) as client:
        _print_made(output, client.notifications.rotate_secret(_find(client, hook).value.id))


@webhook.command(name="ping")
def ping_webhook(hook: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Send a webhook a test; `notify webhook log` shows what became of it.

    Parameters
    ----------
    hook
        Its id, or its address.
    """
    with connected(server) as client:
        print(client.notifications.ping(_find(client, hook).value.id).id)
    say("it is on its way")


@webhook.command(name="log")
def list_deliveries(
    hook: str,
    /,
    *,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 20,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """List what was sent to a webhook, the latest first.

    Parameters
    ----------
    hook
        Its id, or its address.
    lines
        How many to list, 1 to 1,000.
    """
    if not 1 <= lines <= LINES_MAX:
        raise UsageError(f"--lines: {lines} is not within 1 to {LINES_MAX:,}")
    from streambank.cli.entries import item_of
    from streambank.cli.formats import local_time

    with connected(server) as client:
        found = client.notifications.deliveries(_find(client, hook).value.id, page_items=lines)
        sent = list(islice(found, lines))
    columns = [Column("WHEN"), Column("STATE"), Column("TRIES", right=True), Column("LAST", elastic=True), Column("ID")]
    rows = [(local_time(d.created_at), d.state, d.attempts, d.last_error or d.last_status or "", d.id) for d in sent]
    print_listing(output, [item_of(d) for d in sent], columns, rows)


@webhook.command(name="rm")
def remove_webhook(hook: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Delete a webhook.

    Parameters
    ----------
    hook
        Its id, or its address.
    """
    with connected(server) as client:
        client.notifications.remove_webhook(_find(client, hook))
    say("removed")


def _find(client: Client, text: str) -> Versioned[WebhookView]:
    hooks = client.notifications.webhooks()
    found = [one for one in hooks if one.value.id == text] or [one for one in hooks if one.value.url == text]
    if len(found) != 1:
        what = f"{len(found)} webhooks lead to {text!r}: give the id" if found else f"there is no webhook {text!r}"
        raise CommandError(f"{what}; `streambank notify webhook ls` shows those there are")
    return found[0]


def _state(hook: WebhookView) -> str:
    if not hook.enabled:
        return f"off: {hook.disabled_reason}"
    return "on" if hook.failing_since is None else f"fails since {hook.failing_since:%Y-%m-%d}"


def _print_made(output: Format, made: WebhookMade) -> None:
    from streambank.cli.entries import item_of, print_facts

    print_facts(output, item_of(made), {"id": made.id, "address": made.url, "secret": made.secret})
    say("the secret is not shown again")


def _print_settings(output: Format, found: SettingsView) -> None:
    from streambank.cli.entries import item_of, print_facts
    from streambank.cli.formats import time_of_day

    facts: dict[str, object] = {
        f"e-mails about {name}": "on" if wanted else "off" for name, wanted in found.email.model_dump().items()
    }
    if found.email_stopped_at is not None:
        facts["your address"] = f"refused {found.refusals} e-mails: only what is urgent goes there"
    if (quiet := found.quiet_hours) is not None:
        facts["quiet hours"] = f"{time_of_day(quiet.from_minute)} to {time_of_day(quiet.to_minute)} ({found.timezone})"
    facts["gathered"] = {"none": "no"}.get(found.digest.value, found.digest.value)
    print_facts(output, item_of(found), facts)
