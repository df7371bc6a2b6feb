"""``streambank tail``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from streambank.cli.errors import UsageError
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import OutputOption


def tail(
    topic: str,
    /,
    *,
    lines: Annotated[int | None, Parameter(name=["--lines", "-n"])] = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="")] = False,
    start: Annotated[str | None, Parameter(name="--from", allow_leading_hyphen=True)] = None,
    partition: Annotated[int | None, Parameter(name=["--partition", "-p"])] = None,
    key: Annotated[str | None, Parameter(name=["--key", "-k"])] = None,
    grep: str | None = None,
    headers: Annotated[bool, Parameter(negative="")] = False,
    unseal: Annotated[bool, Parameter(negative="")] = False,
    place: PlaceOption = USUAL_PLACE,
    output: OutputOption = "table",
) -> None:
    """Print the last records of a topic, oldest first; -f goes on with new ones until Ctrl-C.

    As a table each record is one line: its time in UTC, partition-offset, key and value. JSON values are decoded in
    all formats.

    Parameters
    ----------
    topic
        The topic; `streambank topics` lists them.
    lines
        How many records: the last ones (10 without this), or with --from the first ones (all without this).
    follow
        Go on with new records as they come.
    start
        Where to begin: start, end, an offset, -N for N records before the end of each partition, @MOMENT such as
        @2026-11-01T10:00, or @-15m for a quarter of an hour ago.
    partition
        Only this partition.
    key
        Only records with this key; reads the one partition that it can be in.
    grep
        Only records whose key, value or headers contain this text, in any case.
    headers
        Show the headers too.
    unseal
        Open what is sealed, such as names, with the keys in the log. Without this records are shown as they are;
        --grep always looks at them so.
    """
    from streambank.cli.selecting import Filter
    from streambank.cli.tailing import Tail

    if lines is not None and lines < 0:
        raise UsageError(f"--lines: {lines} is less than 0")
    if follow and output == "json":
        raise UsageError("-o json is one document and cannot be followed; use -o jsonl")
    with place.folder().open_log() as log:
        tailing = Tail(log, topic, Filter(partition, key, grep), output, headers=headers, unseal=unseal)
        try:
            tailing.print_first(start, lines)
            if follow:
                tailing.follow()
        except KeyboardInterrupt:
            # The way to end --follow, so no failure.
            if not follow:
                raise
