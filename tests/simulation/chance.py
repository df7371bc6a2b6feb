"""Where everything that is not decided comes from: one seed."""

from random import Random

HOUR_MS = 3_600_000
START_MS = 1_780_000_000_000
"""Spring 2026."""


class Chance:
    """Random numbers by name, so that one part that asks more often does not change what the others are told."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, name: str) -> Random:
        """The numbers of that name, from the first on. The same in every process, unlike what ``hash`` would give."""
        return Random(f"{self.seed}/{name}")


class SimClock:
    """The time of the simulated machine, which passes only when it is moved.

    ``wall`` is what people and services read; it can be set back. ``monotonic`` only moves forward. ``sessions`` is
    what consumer groups look at: it stands still while time is skipped in which nobody would have done anything but
    show that they are alive.
    """

    def __init__(self) -> None:
        self._monotonic_ms = self._sessions_ms = 0
        self._set_by_ms = START_MS

    def wall(self) -> int:
        return self._monotonic_ms + self._set_by_ms

    def monotonic(self) -> int:
        return self._monotonic_ms

    def sessions(self) -> int:
        return self._sessions_ms

    def pass_ms(self, duration_ms: int) -> None:
        """Time passes."""
        self._monotonic_ms += duration_ms
        self._sessions_ms += duration_ms

    def skip_ms(self, duration_ms: int) -> None:
        """Time passes in which all is idle."""
        self._monotonic_ms += duration_ms

    def set_by_ms(self, change_ms: int) -> None:
        """Somebody sets the clock."""
        self._set_by_ms += change_ms
