"""``streambank lag``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from streambank.cli.errors import EXIT_FAILED, CommandError, say
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.cli.reading import PartitionLag
    from streambank.log import GroupDescription


def lag(
    group: str | None = None,
    /,
    *,
    fail_above: Annotated[int | None, Parameter(name="--fail-above")] = None,
    place: PlaceOption = USUAL_PLACE,
    output: OutputOption = "table",
) -> int:
    """Show how many records each consumer group has still to read; with a GROUP, partition by partition.

    Parameters
    ----------
    group
        Show this group's partitions: committed offset, end, lag, and the member that reads it.
    fail_above
        Exit with 1 if a group's total lag is above this number; for scripts and monitoring.
    """
    from streambank.cli.reading import lags

    with place.folder().open_log() as log:
        groups = log.groups()
        if group is not None:
            groups = [found for found in groups if found.group == group]
            if not groups:
                known = ", ".join(found.group for found in log.groups()) or "none yet"
                raise CommandError(f"there is no consumer group {group!r}. Groups: {known}")
        found = lags(log, groups)
    if group is None:
        _print_groups(groups, found, output)
    else:
        _print_partitions(found, output)
    return _check(groups, found, fail_above)


def _check(groups: list[GroupDescription], found: list[PartitionLag], fail_above: int | None) -> int:
    if fail_above is None:
        return 0
    above = {group.group: _total(found, group.group) for group in groups}
    above = {name: total for name, total in above.items() if total > fail_above}
    for name, total in above.items():
        say(f"streambank: group {name} is {total:,} records behind, more than {fail_above:,}")
    return EXIT_FAILED if above else 0


def _total(found: list[PartitionLag], group: str) -> int:
    return sum(partition.lag for partition in found if partition.group == group)


def _print_groups(groups: list[GroupDescription], found: list[PartitionLag], output: OutputOption) -> None:
    items = [
        {
            "group": group.group,
            "members": len(group.members),
            "partitions": sum(partition.group == group.group for partition in found),
            "lag": _total(found, group.group),
        }
        for group in groups
    ]
    columns = [Column("GROUP"), *(Column(title, right=True) for title in ("MEMBERS", "PARTITIONS", "LAG"))]
    rows = [(item["group"], item["members"], item["partitions"], f"{item['lag']:,}") for item in items]
    print_listing(output, items, columns, rows)


def _print_partitions(found: list[PartitionLag], output: OutputOption) -> None:
    items = [
        {
            "group": at.group,
            "topic": at.topic,
            "partition": at.partition,
            "committed": at.committed,
            "end": at.end,
            "lag": at.lag,
            "member": at.member,
        }
        for at in found
    ]
    columns = [
        Column("TOPIC"),
        *(Column(title, right=True) for title in ("PARTITION", "COMMITTED", "END", "LAG")),
        Column("MEMBER"),
    ]
    rows: list[tuple[object, ...]] = [
        (at.topic, at.partition, "-" if at.committed is None else at.committed, at.end, f"{at.lag:,}", at.member or "-")
        for at in found
    ]
    rows.append(("total", "", "", "", f"{sum(at.lag for at in found):,}", ""))
    print_listing(output, items, columns, rows)
