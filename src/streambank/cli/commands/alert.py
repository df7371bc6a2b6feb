"""``streambank alert`` and its sub-commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected, find_account, parse_signed, parse_unsigned, valid
from streambank.cli.errors import CommandError, UsageError, say
from streambank.cli.output import Column, OutputOption, print_json, print_json_line, print_table
from streambank.cli.plans import money_of

if TYPE_CHECKING:
    from streambank.bank.client import Client, Versioned
    from streambank.bank.personalization.schemas import ThresholdView, WhatIfAnswer

app = App(name="alert", help="What you are alerted of: list, add, remove; try it on the past.", help_format="plaintext")

AmountText: TypeAlias = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
Moment: TypeAlias = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


@dataclass(frozen=True, slots=True)
class Watching:
    """What to be alerted of.

    Attributes
    ----------
    total
        Not one account: the total of all your accounts in this currency.
    below
        When the balance falls below this amount.
    above
        When the balance rises above this amount.
    margin
        How far the balance has to be back before the next alert.
    cooldown
        After an alert none for so long, such as 1h or 2d.
    available
        Watch what is available, which pending payments are taken off, and not the booked balance.
    """

    total: str | None = None
    below: AmountText = None
    above: AmountText = None
    margin: str = "0"
    cooldown: str | None = None
    available: Annotated[bool, Parameter(negative="")] = False


WatchingOption: TypeAlias = Annotated[Watching, Parameter(name="*")]
_NOTHING = Watching()


@app.command(name="ls")
def list_alerts(*, server: ApiOption = USUAL_SERVER, output: OutputOption = "table") -> None:
    """List what you are alerted of."""
    from streambank.cli.entries import item_of
    from streambank.cli.output import print_listing

    with connected(server) as client:
        found = [one.value for one in client.thresholds.list()]
        names = {one.value.id: one.value.name for one in client.accounts.list()}
    columns = [
        Column("ABOUT", elastic=True),
        Column("ALERT WHEN"),
        Column("MARGIN", right=True),
        Column("AT MOST EVERY"),
        Column("ID"),
    ]
    rows = [
        (_about(one, names), _when(one), money_of(one.rearm_margin_minor, one.currency), _span(one.cooldown_s), one.id)
        for one in found
    ]
    print_listing(output, [item_of(one) for one in found], columns, rows)


@app.command(name="add")
def add_alert(
    account: str | None = None,
    /,
    *,
    watching: WatchingOption = _NOTHING,
    server: ApiOption = USUAL_SERVER,
) -> None:
    """Be alerted when a balance falls below, or rises above, an amount.

    An alert is raised when the balance crosses the amount, once, and again only after it was back by the margin. What
    was so before alerts nobody.

    Parameters
    ----------
    account
        Its name or id: one that you opened.
    """
    from streambank.bank.personalization.schemas import ThresholdBody

    with connected(server) as client:
        for fields in _fields(client, account, watching):
            print(client.thresholds.add(valid(ThresholdBody, **fields)).value.id)
    say("added")


@app.command(name="rm")
def remove_alert(threshold_id: str, /, *, server: ApiOption = USUAL_SERVER) -> None:
    """Be alerted of something no more.

    Parameters
    ----------
    threshold_id
        Its id, as `streambank alert ls` lists it; the beginning is enough if only one begins so.
    """
    with connected(server) as client:
        client.thresholds.remove(_find(client, threshold_id))
    say("removed")


@app.command(name="what-if")
def what_if(
    account: str | None = None,
    /,
    *,
    watching: WatchingOption = _NOTHING,
    from_: Annotated[Moment, Parameter(name="--from")] = None,
    to: Moment = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Show when you would have been alerted in the past. Nothing is changed.

    What was imported is looked at too, although it raises no alerts when it arrives.

    Parameters
    ----------
    account
        Its name or id: one that you opened.
    from_
        Look at what happened since then: 2026-11-01T10:00, or -90d. A year back, if nothing is said.
    to
        Look at what happened until then. Until now, if nothing is said.
    """
    from streambank.bank.personalization.schemas import WhatIf

    time = {"from_time": _moment(from_, "--from"), "to_time": _moment(to, "--to")}
    with connected(server) as client:
        all_fields = _fields(client, account, watching)
        if len(all_fields) > 1:
            raise UsageError("ask of --below and --above one after the other")
        body = valid(WhatIf, **all_fields[0], **time)
        answer = client.thresholds.what_if(body)
    if output == "table":
        _show(answer)
    else:
        (print_json if output == "json" else print_json_line)(answer.model_dump(mode="json"))


def _show(answer: WhatIfAnswer) -> None:
    from streambank.cli.formats import counted, local_time

    columns = [Column("WHEN"), Column("BEFORE", right=True), Column("AFTER", right=True), Column("CAME IN")]
    rows = [
        (
            local_time(one.occurred_at),
            money_of(one.before_minor, answer.currency),
            money_of(one.after_minor, answer.currency),
            "as history" if one.imported else "live",
        )
        for one in answer.fired
    ]
    print_table(columns, rows)
    if answer.count > len(answer.fired):
        say(f"the latest {len(answer.fired):,} are shown")
    if not answer.complete:
        say("there is more in the log than is read at once: only the latest part of the time was looked at")
    say(f"{counted(answer.count, 'alert', 'alerts')} in {counted(answer.entry_count, 'entry', 'entries')}")


def _fields(client: Client, account: str | None, watching: Watching) -> list[dict[str, Any]]:
    """The fields of the thresholds that are meant."""
    from streambank.bank.events import Direction, parse_currency
    from streambank.cli.formats import parse_duration

    if (account is None) == (watching.total is None):
        raise UsageError("name one of your accounts, or give --total CURRENCY")
    levels = [(Direction.BELOW, watching.below), (Direction.ABOVE, watching.above)]
    if all(text is None for _, text in levels):
        raise UsageError("give --below AMOUNT or --above AMOUNT, or both")
    found = find_account(client, account).value if account is not None else None
    currency = parse_currency(found.currency if found is not None else watching.total or "")
    common = {
        "account_id": found.id if found is not None else None,
        "currency": currency.value,
        "rearm_margin_minor": parse_unsigned(watching.margin, currency, "--margin"),
        "cooldown_s": parse_duration(watching.cooldown, "--cooldown") // 1000 if watching.cooldown else 0,
        "on_available": watching.available,
    }
    return [
        {**common, "direction": direction, "level_minor": parse_signed(text, currency, f"--{direction.value}")}
        for direction, text in levels
        if text is not None
    ]


def _find(client: Client, text: str) -> Versioned[ThresholdView]:
    thresholds = client.thresholds.list()
    found = [one for one in thresholds if one.value.id == text] or [
        one for one in thresholds if one.value.id.startswith(text)
    ]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} alerts have ids that begin with" if found else "there is no alert"
    raise CommandError(f"{problem} {text!r}; `streambank alert ls` shows those there are")


def _moment(text: str | None, option: str) -> datetime | None:
    from streambank.cli.formats import parse_moment
    from streambank.clock import system_clock, to_datetime

    return to_datetime(parse_moment(text, system_clock(), option)) if text is not None else None


def _about(one: ThresholdView, names: dict[str, str]) -> str:
    if one.account_id is None:
        return f"all {one.currency} accounts"
    return names.get(one.account_id, one.account_id)


def _when(one: ThresholdView) -> str:
    what = "available " if one.on_available else ""
    return f"{what}{one.direction.value} {money_of(one.level_minor, one.currency)}"


def _span(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s" if seconds else ""
