"""How long to wait before trying again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

RandomFraction: TypeAlias = Callable[[], float]
"""Returns a random number in [0, 1); :func:`random.random` outside tests."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from ``first_ms`` up to ``most_ms``; half of each wait is random, so that many do not return at once."""

    first_ms: int
    most_ms: int

    def delay_ms(self, attempt: int, random: RandomFraction) -> int:
        """The wait after the ``attempt``-th failure in a row, counted from 1."""
        # The exponent is bounded since 2**attempt of a service that was down for a year is a number of many digits.
        whole_ms = min(self.most_ms, self.first_ms << min(attempt - 1, 40))
        return round(whole_ms * (0.5 + 0.5 * random()))
