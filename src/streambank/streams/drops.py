"""Counts the records that went no further, by reason; what a rolled back transaction dropped does not count."""

from collections import Counter


class Drops:
    """Drops counted since the start, and those of the transaction in work."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()

    def add(self, reason: str) -> int:
        """Count one more; returns how many there are with it."""
        self._pending[reason] += 1
        return self.counts[reason] + self._pending[reason]

    def committed(self) -> None:
        """The transaction committed."""
        self.counts.update(self._pending)
        self._pending.clear()

    def rollback(self) -> None:
        """The transaction is undone."""
        self._pending.clear()
