"""The model of the alerts: which entries cross which levels. Own code, by the rules in the documentation.

level + margin - - - - - - - -      a threshold is armed by a balance here (below: at or above it)
         level ---------------      an entry that takes an armed one past here is an alert

Entries and thresholds are in topics of their own, and between two the log keeps no order. What is published before an
entry, and is older than it, counts for it; what is published after one, and is younger, does not. Between the two,
either is right, and each is a story of its own:

    log:      entry 1   thresholds   entry 2          entry 3
    time:     |---------|-----------------------------|----->     of entry 2, which was booked before: either
              without   '- - - - - - either - - - - - with

Which story is the true one, alerts tell: there has to be one that has all of them and no others.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.reader import Read


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


Alert = tuple[str, str]
"""A threshold and the entry that crosses it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry; ``balance`` and ``count`` are those before it."""

    entry_id: str
    signed: int
    balance: int
    count: int
    read: Read


@dataclass(frozen=True, slots=True)
class Story:
    """What may have happened: how many definitions hold, which levels are armed, and which alerts are due."""

    definitions: int = 0
    armed: frozenset[tuple[Level, bool]] = frozenset()
    due: frozenset[Alert] = frozenset()

    def after(self, entry: Entry, definitions: int, levels: tuple[Level, ...]) -> "Story":
        """The story with a further entry, for which the levels hold."""
        before, after, crossed = dict(self.armed), {}, []
        for level in levels:
            # It begins by the side that the balance is on; one that nobody has seen is on none.
            begins = entry.count > 0 and level.distance(entry.balance) >= level.margin
            armed = before.get(level, begins)
            distance = level.distance(entry.balance + entry.signed)
            if armed and distance < 0:
                crossed.append((level.threshold_id, entry.entry_id))
            after[level] = distance >= 0 if armed else distance >= level.margin
        return Story(definitions, frozenset(after.items()), self.due.union(crossed))


class Watched:
    """One account or total: its entries in their order, and what is watched."""

    def __init__(self) -> None:
        self.balance = self.count = 0
        self.levels: tuple[Level, ...] = ()
        self._definitions: list[tuple[tuple[Level, ...], Read]] = []
        self._begun = {Story()}
        self._stories = self._begun
        self._entries: list[Entry] = []
        self._alerts: set[Alert] = set()

    def define(self, levels: tuple[Level, ...], read: Read) -> None:
        """These are watched, and no others."""
        self.levels = levels
        self._definitions.append((levels, read))
        if any(not entry.read.precedes(read) for entry in self._entries):
            # They may have been there when an entry came that was judged already.
            self._stories = self._begun
            for entry in self._entries:
                self._stories = set(self._went_on(entry))
            self._keep(story for story in self._stories if story.due >= self._alerts)

    def entry(self, entry_id: str, signed: int, read: Read) -> None:
        """A booked entry."""
        entry = Entry(entry_id, signed, self.balance, self.count, read)
        self._entries.append(entry)
        self.balance += signed
        self.count += 1
        self._stories = set(self._went_on(entry))

    def alert(self, threshold_id: str, entry_id: str) -> bool:
        """An alert; whether there may be one, which is once."""
        alert = threshold_id, entry_id
        if alert in self._alerts:
            return False
        self._alerts.add(alert)
        return self._keep(story for story in self._stories if alert in story.due)

    def settle(self) -> bool:
        """All alerts of the entries so far are there; whether that may be all of them."""
        right = self._keep(story for story in self._stories if story.due == self._alerts)
        self._begun = self._stories = {Story(story.definitions, story.armed) for story in self._stories}
        self._entries, self._alerts = [], set()
        return right

    def missing(self) -> set[frozenset[Alert]]:
        """The alerts that each story lacks."""
        return {story.due - self._alerts for story in self._stories}

    def _keep(self, stories: Iterable[Story]) -> bool:
        kept = set(stories)
        self._stories = kept or self._stories
        return bool(kept)

    def _went_on(self, entry: Entry) -> Iterator[Story]:
        least, most = 0, len(self._definitions)
        for number, (_, read) in enumerate(self._definitions):
            if read.precedes(entry.read):
                least = number + 1
            elif entry.read.precedes(read):
                most = min(most, number)
        for story in self._stories:
            for definitions in range(max(least, story.definitions), max(most, story.definitions) + 1):
                yield story.after(entry, definitions, self._definitions[definitions - 1][0] if definitions else ())
