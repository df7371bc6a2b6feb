"""``streambank replay``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from streambank.cli.asking import DryRunOption, YesOption, confirmed
from streambank.cli.errors import EXIT_USAGE, UsageError, say
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.formats import counted


def replay(
    topic: str,
    /,
    *,
    into: str,
    start: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "start",
    until: Annotated[str, Parameter(allow_leading_hyphen=True)] = "end",
    partition: Annotated[int | None, Parameter(name=["--partition", "-p"])] = None,
    key: Annotated[str | None, Parameter(name=["--key", "-k"])] = None,
    grep: str | None = None,
    rate: float | None = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    place: PlaceOption = USUAL_PLACE,
) -> int:
    """Write records of a topic again, into another topic, in the order of their time.

    Keys, values, timestamps and headers are kept; the header replayed-from says where each comes from. The other topic
    is made if there is none. Records keep their partitions where it has as many, else their keys place them.

    Parameters
    ----------
    topic
        The topic to read.
    into
        The topic to write.
    start
        Where to begin: start, end, an offset, -N, @MOMENT such as @2026-11-01T10:00, or @-15m.
    until
        Where to end, in the same way; the record there is left out.
    partition
        Only this partition.
    key
        Only records with this key.
    grep
        Only records whose key, value or headers contain this text, in any case.
    rate
        At most so many records per second; as fast as can be without this.
    """
    from streambank.cli.replaying import Replay
    from streambank.cli.selecting import Filter

    if into == topic:
        raise UsageError(f"--into: {topic} cannot be replayed into itself")
    if rate is not None and rate <= 0:
        raise UsageError("--rate must be more than 0")
    with place.folder().open_log() as log:
        replaying = Replay(log, topic, into, Filter(partition, key, grep), start, until)
        say(f"{counted(replaying.count(), 'record', 'records')} of {topic}, into {into}")
        if not confirmed("Replay them?", yes=yes, dry_run=dry_run):
            return 0 if dry_run else EXIT_USAGE
        written = replaying.run(rate)
    say(f"replayed {counted(written, 'record', 'records')}")
    return 0
