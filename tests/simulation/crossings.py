"""The model of the alerts: which entries cross which levels. Own code, by the rules in the documentation.

level + margin - - - - - - - -      a threshold is armed by a balance here (below: at or above it)
         level ---------------      an entry that takes an armed one past here is an alert
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Level:
    """A threshold: alert when the balance falls below, or rises above, the level."""

    threshold_id: str
    below: bool
    level: int
    margin: int

    def distance(self, balance: int) -> int:
        """How far the balance is on the good side of the level."""
        return balance - self.level if self.below else self.level - balance


@dataclass(slots=True)
class Watched:
    """One account or total: its entries in their order, and what is watched.

    ``definitions`` has, with the levels of each, how many entries there were when they were set.
    """

    definitions: list[tuple[int, tuple[Level, ...]]] = field(default_factory=list)
    balance: int = 0
    count: int = 0
    _armed: dict[Level, bool] = field(default_factory=dict)

    def define(self, levels: tuple[Level, ...]) -> None:
        """From the next entry on these are watched, and no others."""
        self.definitions.append((self.count, levels))

    def entry(self, signed: int) -> list[str]:
        """An entry; the ids of the thresholds that it crosses."""
        for since, levels in self.definitions:
            if since == self.count:
                # They begin by the side that the balance is on; one that nobody has seen is on none.
                self._armed = {level: since > 0 and level.distance(self.balance) >= level.margin for level in levels}
        self.balance += signed
        self.count += 1
        crossed = []
        for level, armed in self._armed.items():
            distance = level.distance(self.balance)
            if armed and distance < 0:
                crossed.append(level.threshold_id)
            self._armed[level] = distance >= 0 if armed else distance >= level.margin
        return crossed

    def again(self) -> None:
        """Back to before the first entry; the definitions stay."""
        self.balance = self.count = 0
        self._armed = {}
