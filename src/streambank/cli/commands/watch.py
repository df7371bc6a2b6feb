"""``streambank watch``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from streambank.cli.api import USUAL_SERVER, ApiOption, connected
from streambank.cli.errors import UsageError
from streambank.cli.output import OutputOption, print_json, print_json_line, printable

if TYPE_CHECKING:
    from streambank.bank.client import FeedEvent


def watch(
    *,
    since: Annotated[str | None, Parameter(name="--since")] = None,
    count: Annotated[int | None, Parameter(name=["--count", "-n"])] = None,
    server: ApiOption = USUAL_SERVER,
    output: OutputOption = "table",
) -> None:
    """Follow what happens to your money, as it happens, until Ctrl-C: balances, alerts, goals, transfers, figures.

    Parameters
    ----------
    since
        Go on behind the event of this id, as -o jsonl shows it.
    count
        End after so many events.
    """
    if count is not None and count < 1:
        raise UsageError(f"--count: {count} is less than 1")
    seen = 0
    with connected(server) as client:
        for event in client.views.stream(last_id=since):
            if not _print(event, output):
                continue
            seen += 1
            if seen == count:
                return


def _print(event: FeedEvent, output: str) -> bool:
    """Whether the event is one that counts."""
    if output == "table":
        if event.kind == "ready":
            return False
        line = f"{event.data.get('occurred_at', '')[:19].replace('T', ' ')}  {event.kind:<10}  {_told(event)}"
        print(printable(line.rstrip()))
    else:
        item = {"kind": event.kind, "id": event.id, **event.data}
        (print_json if output == "json" else print_json_line)(item)
    sys.stdout.flush()
    return event.kind not in ("ready", "reset")


def _told(event: FeedEvent) -> str:
    data = event.data
    if event.kind == "balance":
        entry = data["entry"]
        whose = "all accounts" if data["scope"] == "total" else data["account_id"]
        party = f"  {entry['counterparty']}" if entry["counterparty"] else ""
        return f"{_money(data, 'balance_minor')}  {whose}  ({_money({**data, **entry}, 'signed_minor')}){party}"
    if event.kind == "alert":
        level = f"{data['direction']} {_money(data, 'level_minor')}"
        return f"{_money(data, 'after_minor')} is {level}  {data['account_name'] or ''}"
    if event.kind in ("goal", "mark"):
        mark = f"{data['mark']} %: " if event.kind == "mark" else ""
        name = data.get("name") or data["goal_id"]
        return f"{mark}{_money(data, 'amount_minor')} of {_money(data, 'target_minor')}  {name}"
    if event.kind == "transfer":
        return f"{data['state']}  {data['direction']} {_money(data, 'amount_minor')}  {data['other_name'] or ''}"
    if event.kind == "net-worth":
        return f"{data['day']}  {_money(data, 'change_minor')}"
    if event.kind == "cash-flow":
        return f"{data['month']}  in {_money(data, 'in_minor')}, out {_money(data, 'out_minor')}"
    if event.kind == "spending":
        return f"{data['day']}  {_money(data, 'spent_minor')}  {data['category_id'] or '(no category)'}"
    if event.kind == "recurring":
        found = ", ".join(f"{one['cadence']}, next on {one['next_on']}" for one in data["payments"])
        return f"{data['counterparty'] or ''}: {found or 'nothing any more'}"
    return "something was lost: look at everything anew" if event.kind == "reset" else ""


def _money(data: dict[str, Any], name: str) -> str:
    from streambank.bank.events import parse_currency
    from streambank.cli.formats import money

    return money(data[name], parse_currency(data["currency"]))
