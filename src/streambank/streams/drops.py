"""Counts the records that went no further, by reason; what a rolled back transaction dropped does not count."""

from collections import Counter


class Drops:
    """Drops counted since the start, and those of the transaction in work."""

    def __init__(self) -> None:
        self.by_operator: Counter[tuple[str, str]] = Counter()
        """How many, by operator and reason."""
        self._pending: Counter[tuple[str, str]] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """How many, by reason."""
        counts: Counter[str] = Counter()
        for (_, reason), count in self.by_operator.items():
            counts[reason] += count
        return counts

    def add(self, operator: str, reason: str) -> int:
        """Count one more; returns how many there are with it."""
        self._pending[operator, reason] += 1
        return self.by_operator[operator, reason] + self._pending[operator, reason]

    def committed(self) -> None:
        """The transaction committed."""
        self.by_operator.update(self._pending)
        self._pending.clear()

    def rollback(self) -> None:
        """The transaction is undone."""
        self._pending.clear()
