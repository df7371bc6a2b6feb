"""The lag of every group, looked up at most once a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from streambank.cli.reading import PartitionLag, counted, lags_at_most
from streambank.log import EventLog

LOOK_EVERY_S = 1.0


class LagView:
    """For a display that is drawn more often than lags are worth looking up."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._looked_s = float("-inf")
        self._counted: dict[PartitionLag, PartitionLag] = {}
        self._groups: Sequence[tuple[str, int]] = ()

    def groups(self) -> Sequence[tuple[str, int]]:
        """Each group that has members, and how many records it is behind."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._groups = self.look()
        return self._groups

    def look(self) -> Sequence[tuple[str, int]]:
        """The same, looked up now."""
        members = [group for group in self._log.groups() if group.members]
        behind: Counter[str] = Counter({group.group: 0 for group in members})
        # What has not changed since the last look is not counted again.
        self._counted = {at: self._counted.get(at) or counted(self._log, at) for at in lags_at_most(self._log, members)}
        for partition in self._counted.values():
            behind[partition.group] += partition.lag
        return sorted(behind.items())
