"""``streambank topics``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streambank.cli.folder import USUAL_PLACE, PlaceOption
from streambank.cli.output import Column, OutputOption, print_listing

if TYPE_CHECKING:
    from streambank.log import EventLog, TopicConfig


def topics(name: str | None = None, /, *, place: PlaceOption = USUAL_PLACE, output: OutputOption = "table") -> None:
    """List the topics; with a NAME, that topic's partitions.

    The records of a topic are counted by offsets. In a compacted topic some of those are gone, and on Kafka marks of
    transactions have some, so that the number is an upper bound.

    Parameters
    ----------
    name
        Show the partitions and offsets of this topic.
    """
    from streambank.cli.reading import require_topic

    with place.folder().open_log() as log:
        if name is None:
            _list(log, output)
        else:
            require_topic(log, name)
            _describe(log, log.topics()[name], output)


def _list(log: EventLog, output: OutputOption) -> None:
    from streambank.log import TopicPartition

    items: list[dict[str, Any]] = []
    for config in log.topics().values():
        marks = [log.watermarks(TopicPartition(config.name, number)) for number in range(config.partitions)]
        items.append(
            {
                "topic": config.name,
                "partitions": config.partitions,
                "records_at_most": sum(high - low for low, high in marks),
                "cleanup_policy": config.cleanup_policy,
                "retention_ms": config.retention_ms,
            }
        )
    columns = [Column("TOPIC"), Column("PARTITIONS", right=True), Column("RECORDS", right=True), Column("POLICY")]
    rows = [
        (item["topic"], item["partitions"], _count(item["records_at_most"], item["cleanup_policy"]), _policy(item))
        for item in items
    ]
    print_listing(output, items, columns, rows)


def _describe(log: EventLog, config: TopicConfig, output: OutputOption) -> None:
    from streambank.log import TopicPartition

    items: list[dict[str, Any]] = []
    for number in range(config.partitions):
        at = TopicPartition(config.name, number)
        low, high = log.watermarks(at)
        items.append(
            {
                "topic": config.name,
                "partition": number,
                "first_offset": low,
                "next_offset": high,
                "records_at_most": high - low,
                "first_timestamp": _timestamp(log, at, low, high),
            }
        )
    columns = [
        Column("PARTITION", right=True),
        Column("FIRST OFFSET", right=True),
        Column("NEXT OFFSET", right=True),
        Column("RECORDS", right=True),
        Column("FIRST RECORD'S TIME"),
    ]
    rows = [
        (
            item["partition"],
            item["first_offset"],
            item["next_offset"],
            _count(item["records_at_most"], config.cleanup_policy),
            item["first_timestamp"] or "-",
        )
        for item in items
    ]
    print_listing(output, items, columns, rows)


def _timestamp(log: EventLog, at: Any, low: int, high: int) -> str | None:
    from streambank.cli.formats import rfc3339

    if low == high:
        return None
    batch = log.read(at, low, 1)
    return rfc3339(batch.timestamps[0]) if len(batch) else None


def _count(records: int, policy: str) -> str:
    return f"{'≤ ' if policy != 'delete' and records else ''}{records:,}"


def _policy(item: dict[str, Any]) -> str:
    retention_ms = item["retention_ms"]
    policy = str(item["cleanup_policy"])
    if policy == "compact":
        return "compact: the last record of each key stays"
    kept = "for ever" if retention_ms < 0 else f"for {retention_ms / 86_400_000:g} days"
    return f"{policy}: kept {kept}"
