"""``streambank alerts`` and its sub-commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from streambank.cli.errors import UsageError, say
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.bank.events import AccountThresholds, AlertRaised, EmailSent
    from streambank.cli.people import People

app = App(
    name="alerts",
    help="The alerts raised, and when their e-mails went out; set what to be alerted of.",
    help_format="plaintext",
)

AccountOption = Annotated[
    str | None, Parameter(name="--account", help="The account: its id, or its name if only one has it.")
]
UserOption = Annotated[
    str | None, Parameter(name="--user", help="All accounts of this person: an id, or a part of a name or address.")
]
CurrencyOption = Annotated[str | None, Parameter(name="--currency", help="With --user: the currency of the total.")]


@app.default
def list_alerts(
    *,
    lines: Annotated[int, Parameter(name=["--lines", "-n"])] = 20,
    user: str | None = None,
    place: PlaceOption = USUAL_PLACE,
    output: OutputOption = "table",
) -> None:
    """List the alerts raised, newest first, and when the e-mail of each went out.

    Parameters
    ----------
    lines
        How many to list; 0 for all.
    user
        Only this person's: a user id, or a part of a name or an e-mail address.
    """
    from streambank.bank.events import ALERT_RAISED, EMAIL_SENT
    from streambank.cli.people import People
    from streambank.cli.reading import values

    if lines < 0:
        raise UsageError(f"--lines: {lines} is less than 0")
    with place.folder().open_log() as log:
        people = People.read(log)
        users = people.matching(user) if user is not None else None
        raised = {
            alert.alert_id: alert for alert in values(log, ALERT_RAISED) if users is None or alert.user_id in users
        }
        emails = {email.alert_id: email for email in values(log, EMAIL_SENT)}
    newest = sorted(
        raised.values(), key=lambda alert: (alert.recorded_at, alert.occurred_at, alert.alert_id), reverse=True
    )
    shown = newest[:lines] if lines else newest
    _print_alerts(shown, emails, people, output)
    if output == "table" and len(shown) < len(newest):
        say(f"{len(newest) - len(shown):,} older ones are not shown; -n 0 shows all")


@app.command(name="set")
def set_threshold(
    *,
    account: AccountOption = None,
    user: UserOption = None,
    currency: CurrencyOption = None,
    below: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    above: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    margin: str = "0",
    add: Annotated[bool, Parameter(negative="")] = False,
    place: PlaceOption = USUAL_PLACE,
) -> None:
    """Be alerted when a balance falls below, or rises above, an amount.

    Takes the place of an earlier one in the same direction on the same account or total. An alert is raised when the
    balance crosses the amount, once, and again only after it was back.

    Parameters
    ----------
    below
        Alert when the balance falls below this amount.
    above
        Alert when the balance rises above this amount.
    margin
        How far the balance must be back on the good side before the next alert.
    add
        Keep the earlier ones in the same direction.
    """
    from streambank.bank.events import Direction
    from streambank.cli import thresholds
    from streambank.cli.formats import money, parse_amount

    if below is None and above is None:
        raise UsageError("give --below AMOUNT or --above AMOUNT, or both")
    folder = place.folder()
    with folder.open_log() as log, thresholds.editing(folder):
        scope = thresholds.find_scope(log, account, user, currency)
        rearm_minor = parse_amount(margin, scope.currency, "--margin")
        if rearm_minor < 0:
            raise UsageError(f"--margin: {margin} is less than 0")
        changes = [
            thresholds.Change(
                on=scope,
                direction=direction,
                level_minor=parse_amount(text, scope.currency, f"--{direction.value}"),
                margin_minor=rearm_minor,
                keep=add,
            )
            for direction, text in ((Direction.BELOW, below), (Direction.ABOVE, above))
            if text is not None
        ]
        thresholds.put(log, changes)
    for change in changes:
        level = money(change.level_minor, scope.currency)
        say(f"{scope.label}: an alert when the balance is {change.direction.value} {level}")


@app.command(name="thresholds")
def list_thresholds(*, place: PlaceOption = USUAL_PLACE, output: OutputOption = "table") -> None:
    """List what people are alerted of."""
    from streambank.bank.events import ACCOUNT_THRESHOLDS
    from streambank.cli.people import People
    from streambank.cli.reading import latest

    with place.folder().open_log() as log:
        people = People.read(log)
        found = latest(log, ACCOUNT_THRESHOLDS)
    configured = sorted(
        found.values(), key=lambda item: (people.name(item.user_id), item.user_id, item.scope.value, item.scope_id)
    )
    _print_thresholds(configured, people, output)


@app.command(name="remove")
def remove_threshold(threshold_id: str, /, *, place: PlaceOption = USUAL_PLACE) -> None:
    """Stop alerting.

    Parameters
    ----------
    threshold_id
        Its id, as `streambank alerts thresholds` lists it; the beginning is enough if only one begins so.
    """
    from streambank.cli import thresholds

    folder = place.folder()
    with folder.open_log() as log, thresholds.editing(folder):
        thresholds.remove(log, threshold_id)
    say("removed")


def _print_alerts(shown: list[AlertRaised], emails: dict[str, EmailSent], people: People, output: OutputOption) -> None:
    from streambank.cli.formats import local_time, money

    columns = [
        Column("RAISED"),
        Column("PERSON"),
        Column("ABOUT"),
        Column("BALANCE", right=True),
        Column("THRESHOLD"),
        Column("E-MAIL"),
    ]
    rows = [
        (
            local_time(alert.recorded_at),
            people.name(alert.user_id),
            people.scope(alert),
            money(alert.after_minor, alert.currency),
            f"{alert.threshold.direction.value} {money(alert.threshold.level_minor, alert.currency)}",
            _email(alert, emails.get(alert.alert_id), people),
        )
        for alert in shown
    ]
    items = [_alert_item(alert, emails.get(alert.alert_id), people) for alert in shown]
    print_listing(output, items, columns, rows)


def _email(alert: AlertRaised, email: EmailSent | None, people: People) -> str:
    from streambank.cli.formats import local_time, milliseconds

    if email is not None:
        return f"sent {local_time(email.sent_at)}, after {milliseconds(_latency_ms(email))}"
    if alert.user_id in people.erased_users:
        return "nobody to send it to: erased"
    profile = people.profiles.get(alert.user_id)
    if profile is None:
        return "nobody to send it to: no profile"
    return "not sent yet" if profile.email_verified else "not sent: the address is not verified"


def _latency_ms(email: EmailSent) -> float:
    return (email.sent_at - email.recorded_at).total_seconds() * 1000


def _alert_item(alert: AlertRaised, email: EmailSent | None, people: People) -> dict[str, Any]:
    from streambank.bank.events import to_decimal

    return {
        "alert_id": alert.alert_id,
        "raised_for": alert.recorded_at.isoformat(),
        "user_id": alert.user_id,
        "user": people.name(alert.user_id),
        "scope": alert.scope.value,
        "scope_id": alert.scope_id,
        "about": people.scope(alert),
        "currency": alert.currency.value,
        "balance": str(to_decimal(alert.after_minor, alert.currency)),
        "direction": alert.threshold.direction.value,
        "level": str(to_decimal(alert.threshold.level_minor, alert.currency)),
        "entry_id": alert.entry.entry_id,
        "email_sent_at": email.sent_at.isoformat() if email is not None else None,
        "email_latency_ms": _latency_ms(email) if email is not None else None,
    }


def _print_thresholds(configured: list[AccountThresholds], people: People, output: OutputOption) -> None:
    from streambank.bank.events import to_decimal
    from streambank.cli.formats import money
    from streambank.cli.thresholds import scope_label

    items, rows = [], []
    for on in configured:
        about = scope_label(on.scope, on.scope_id, on.currency, people)
        for threshold in on.thresholds:
            level, margin = threshold.level_minor, threshold.rearm_margin_minor
            items.append(
                {
                    "threshold_id": threshold.threshold_id,
                    "user_id": on.user_id,
                    "user": people.name(on.user_id),
                    "scope": on.scope.value,
                    "scope_id": on.scope_id,
                    "currency": on.currency.value,
                    "direction": threshold.direction.value,
                    "level": str(to_decimal(level, on.currency)),
                    "margin": str(to_decimal(margin, on.currency)),
                }
            )
            rows.append(
                (
                    people.name(on.user_id),
                    about,
                    f"{threshold.direction.value} {money(level, on.currency)}",
                    money(margin, on.currency),
                    threshold.threshold_id,
                )
            )
    columns = [Column("PERSON"), Column("ABOUT"), Column("ALERT WHEN"), Column("MARGIN", right=True), Column("ID")]
    print_listing(output, items, columns, rows)
