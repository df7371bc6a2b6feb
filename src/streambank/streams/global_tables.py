"""Keeps a runner's global tables: whole topics, read without a group, shared by all of its tasks."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import structlog

from streambank.log import EventLog, TopicPartition
from streambank.streams.restore import READ_RECORDS, OnRestore, RestoreProgress, load_rows
from streambank.streams.stores import KeyValueStore, StoreSpec
from streambank.streams.topic import Topic

logger = structlog.get_logger(__name__)


class GlobalTables:
    """The stores, each filled from all partitions of its topic when this is made, and by :meth:`refresh` from then on.

    Nothing is committed for them: another start reads the topics anew.

    Attributes:
        stores: by topic.
        drops: how many records were passed over, by reason.
    """

    def __init__(self, topics: Iterable[Topic[Any, Any]], log: EventLog, on_restore: OnRestore) -> None:
        self._log = log
        self.drops: Counter[str] = Counter()
        self.stores: dict[str, KeyValueStore] = {}
        self._positions: dict[TopicPartition, int] = {}
        for topic in topics:
            spec = StoreSpec(topic.name, topic.key, topic.value, changelog=topic.name, read_only=True)
            self.stores[topic.name] = KeyValueStore(spec, None)
            for partition in range(topic.partitions):
                self._catch_up(TopicPartition(topic.name, partition), on_restore)

    def refresh(self) -> None:
        """Read what is new; where nothing is, that costs one look at the ends of the partitions."""
        if self._positions and self._log.wait(self._positions, 0.0):
            for at in self._positions:
                self._catch_up(at, lambda _progress: None)

    def _catch_up(self, at: TopicPartition, on_progress: OnRestore) -> None:
        """Read one partition up to its present end."""
        store = self.stores[at.topic]
        low, end = self._log.watermarks(at)
        start = offset = max(low, self._positions.get(at, low))
        records = 0
        on_progress(RestoreProgress(at.topic, at, start, offset, end, records))
        while offset < end:
            batch = self._log.read(at, offset, READ_RECORDS)
            if batch.next_offset == offset:
                break
            load_rows(store, batch, len(batch), lambda row_offset, error: self._pass_over(at, row_offset, error))
            records, offset = records + len(batch), batch.next_offset
            on_progress(RestoreProgress(at.topic, at, start, offset, end, records))
        self._positions[at] = offset

    def _pass_over(self, at: TopicPartition, offset: int, error: Exception | None) -> None:
        reason = "null key" if error is None else "undecodable"
        self.drops[reason] += 1
        count = self.drops[reason]
        if count & (count - 1) == 0:
            logger.warning("record passed over in global table", at=f"{at} offset {offset}", reason=reason, count=count)
