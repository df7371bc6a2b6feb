"""``streambank migrate``."""

from __future__ import annotations

from streambank.cli.databases import DatabaseOption
from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import OutputOption


def migrate(
    target: str,
    /,
    *,
    place: PlaceOption = USUAL_PLACE,
    database: DatabaseOption = None,
    output: OutputOption = "table",
) -> None:
    """Move to another event log, such as from the one in the data folder to Kafka: all topics, and all positions.

    Stop everything first. What was copied is read back and compared, record by record; of compacted topics, the last
    record of each key. Where this is interrupted, the same command goes on. The first log is left as it is. From then
    on, give --log TARGET (or set STREAMBANK_LOG) with the same data folder.

    Parameters
    ----------
    target
        The event log to move to: kafka://HOST:PORT[,HOST:PORT][?SETTING=VALUE], or a folder.
    """
    from streambank.cli import migrating

    migrating.migrate(place.folder(), database, target, output)
