"""``streambank reset``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from streambank.cli.asking import DryRunOption, YesOption, confirmed
from streambank.cli.errors import EXIT_USAGE, CommandError, say
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.streams.reset import Reset


def reset(
    group: str,
    /,
    *,
    to: Annotated[str, Parameter(name="--to", allow_leading_hyphen=True)] = "start",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    place: PlaceOption = USUAL_PLACE,
    output: OutputOption = "table",
) -> int:
    """Let a group read again from elsewhere, once everything that belongs to it is stopped.

    A stream application forgets its state with that and computes it anew from there: its changelogs and repartition
    topics are deleted. What it has written stays, and what it writes again comes after that.

    Parameters
    ----------
    group
        The group; `streambank lag` lists them. Of a stream application: its application id, such as balances.
    to
        start, end, an offset, -N for N records before the end of each partition, @MOMENT such as @2026-11-01T10:00,
        or @-15m for a quarter of an hour ago.
    """
    from streambank.bank.notifications.service import GROUP
    from streambank.cli.reading import offset_at
    from streambank.streams.reset import apply_reset, plan_reset

    if group in (GROUP, f"{GROUP}-outbox"):
        raise CommandError(f"{group} keeps its positions in a database of its own, and sends no e-mail twice")
    with place.folder().open_log() as log:
        plan = plan_reset(log, group, lambda at: offset_at(log, at, to, "--to"))
        _show(plan, output)
        if not confirmed("Reset it?", yes=yes, dry_run=dry_run):
            return 0 if dry_run else EXIT_USAGE
        apply_reset(log, plan)
    say(f"{group} reads on from there")
    return 0


def _show(plan: Reset, output: OutputOption) -> None:
    items = [
        {
            "topic": at.topic,
            "partition": at.partition,
            "offset": offset,
            "new_offset": plan.after.get(at),
        }
        for at, offset in plan.before.items()
    ]
    columns = [Column("TOPIC"), *(Column(title, right=True) for title in ("PARTITION", "OFFSET", "NEW OFFSET"))]
    rows = [
        (item["topic"], item["partition"], item["offset"], "-" if item["new_offset"] is None else item["new_offset"])
        for item in items
    ]
    print_listing(output, items, columns, rows)
    if plan.deleted:
        say(f"deleted with it, as they are its state: {', '.join(plan.deleted)}")
