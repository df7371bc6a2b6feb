"""What a topic is: its name, its partitions, and how long it keeps records. Names follow Kafka's."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

CleanupPolicy: TypeAlias = Literal["delete", "compact", "compact,delete"]

DELETE_RETENTION_MS = 86_400_000
"""Kafka's ``delete.retention.ms``: a day."""

MAX_COMPACTION_LAG_MS = 7 * 86_400_000
"""Kafka's ``max.compaction.lag.ms``, which has no bound by default: whatever a later record of its key replaced is gone
that long after, however little is written. Erasing a person rests on it. A week is well within the month that people
may be made to wait (GDPR article 12), and seldom enough to go through a large partition for little."""

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """The settings of one topic.

    ``retention_ms`` works on event time, as in Kafka: records older than that against the clock are deleted; -1 keeps
    them for ever and is the default, since events may be years old when they are written. ``delete_retention_ms`` is
    how long, after it was written, a tombstone stays readable in a compacted topic.

    Raises:
        ValueError: a name that Kafka would refuse, or a number out of range.
    """

    name: str
    partitions: int = 4
    cleanup_policy: CleanupPolicy = "delete"
    retention_ms: int = -1
    delete_retention_ms: int = DELETE_RETENTION_MS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in {".", ".."}:
            raise ValueError(f"topic name {self.name!r}: use 1 to 249 letters, digits, '.', '_' and '-'")
        if not 1 <= self.partitions <= 10_000:
            raise ValueError(f"topic {self.name}: partitions must be 1 to 10,000, not {self.partitions}")
        if self.cleanup_policy not in ("delete", "compact", "compact,delete"):
            raise ValueError(f"topic {self.name}: unknown cleanup policy {self.cleanup_policy!r}")
        if self.retention_ms < -1 or self.delete_retention_ms < 0:
            raise ValueError(f"topic {self.name}: a retention must be -1 (for ever) or a number of milliseconds")

    @property
    def compacted(self) -> bool:
        """Whether only the last record of each key is sure to stay."""
        return self.cleanup_policy != "delete"
