"""What can go wrong, and when: each fault is drawn from the seed, at points that the stand-ins for I/O name."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.simulation.chance import SimClock
from tests.simulation.trace import Trace


class CrashedError(BaseException):
    """The process was killed here. Not an Exception: nothing in the program may handle it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each fault happens, of the times it could. A seed has some of them often and others not at all."""

    crash: float
    pause: float
    database_busy: float
    commit_unknown: float
    storage_full: float
    mail: float
    stop: float
    stall: float
    power_cut: float
    clock_set: float
    suspend: float
    repeat: float

    @classmethod
    def drawn(cls, random: Random) -> "Rates":
        """The rates of a seed."""

        def one(often: float) -> float:
            return random.choice((0.0, often / 10, often))

        return cls(
            crash=one(0.006),
            pause=one(0.01),
            database_busy=one(0.01),
            commit_unknown=one(0.004),
            storage_full=one(0.005),
            mail=one(0.4),
            stop=one(0.02),
            stall=one(0.02),
            power_cut=one(0.02),
            clock_set=one(0.02),
            suspend=one(0.01),
            repeat=one(0.1),
        )


NONE = Rates(*(0.0,) * 12)


class Faults:
    """Draws the faults of a run until :meth:`heal`."""

    def __init__(self, random: Random, trace: Trace, clock: SimClock) -> None:
        self.random = random
        self.rates = Rates.drawn(random)
        self._trace = trace
        self._clock = clock

    @property
    def healed(self) -> bool:
        return self.rates is NONE

    def heal(self) -> None:
        """From now on all works."""
        self.rates = NONE

    def strikes(self, rate: float, who: str, what: str, where: str = "") -> bool:
        """Whether the fault happens now; if so, it is in the trace."""
        if rate == 0.0 or self.random.random() >= rate:
            return False
        self._trace.add(self._clock.monotonic(), who, what, where)
        return True


class Life:
    """One life of a process, from its start to its end. What it holds of the outside world looks here first."""

    def __init__(self, name: str, faults: Faults, frailty: float, pause: Callable[[str], None]) -> None:
        """``frailty``: how much more often than others the process crashes. ``pause`` lets time pass, and the other
        processes work, while this one is held up."""
        self.name = name
        self.frailty = frailty
        self.faults = faults
        self.alive = True
        self.in_database = 0
        self._pause = pause

    def point(self, where: str) -> None:
        """A step outside of the process. It may be the last one, or take long."""
        if not self.alive:
            raise CrashedError(f"{self.name} goes on after its end, at {where}")
        rates = self.faults.rates
        if self.faults.strikes(rates.crash * self.frailty, self.name, "crash", where):
            self.alive = False
            raise CrashedError(f"{self.name} at {where}")
        if not self.in_database and self.faults.strikes(rates.pause, self.name, "pause", where):
            self._pause(self.name)
