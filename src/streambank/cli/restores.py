"""How far the restoring of state is, over all stores."""

from __future__ import annotations

import threading

import structlog

from streambank.log import TopicPartition
from streambank.streams import RestoreProgress

logger = structlog.get_logger(__name__)


class Restores:
    """Called by the topologies' threads as they restore; asked by whoever draws."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._under_way: dict[tuple[str, TopicPartition], RestoreProgress] = {}

    def __call__(self, progress: RestoreProgress) -> None:
        """Take note."""
        key = progress.store, progress.changelog
        with self._mutex:
            if progress.offset < progress.end:
                self._under_way[key] = progress
                return
            self._under_way.pop(key, None)
        if progress.records:
            logger.debug("restored", store=progress.store, at=str(progress.changelog), records=progress.records)

    def __str__(self) -> str:
        """What is being restored now; empty for nothing."""
        with self._mutex:
            under_way = list(self._under_way.values())
        if not under_way:
            return ""
        done = sum(progress.offset - progress.start for progress in under_way)
        total = sum(progress.end - progress.start for progress in under_way)
        names = ", ".join(sorted({progress.store for progress in under_way}))
        return f"restoring {names}: {done:,} of {total:,} records ({100 * done // max(total, 1)} %)"
