"""How many live entries are due: a rate, and what may be made up for when it was not kept."""

BURST_S = 0.5
"""What could not be written in time is made up for at most so far; the rest is let go."""


class Pace:
    """Counts entries that are due, at ``rate`` a second. ``let_go``: how many never will be."""

    def __init__(self, rate: float, now_ms: int) -> None:
        self.let_go = 0.0
        self._rate = rate
        self._burst = max(1.0, rate * BURST_S)
        self._last_ms = now_ms
        self._waiting = 0.0

    def due(self, now_ms: int) -> int:
        """How many are due since it was asked last; a clock that was set back gives none."""
        waiting = self._waiting + max(0, now_ms - self._last_ms) * self._rate / 1000
        self._last_ms = now_ms
        self.let_go += max(0.0, waiting - self._burst)
        waiting = min(self._burst, waiting)
        self._waiting = waiting - int(waiting)
        return int(waiting)
