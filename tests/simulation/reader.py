"""Reads all that is written to topics, in order, and remembers it: compaction may take it away later."""

from dataclasses import dataclass
from typing import Any

from tests.simulation.processes import Machine

from streambank.log import TopicPartition
from streambank.streams.topic import Topic


@dataclass(frozen=True, slots=True)
class Read:
    """A record: ``value`` is None for a tombstone.

    ``look`` says at which look into the log it was first seen; ``latest`` is the highest timestamp so far in its
    partition.
    """

    offset: int
    key: Any
    value: Any
    timestamp: int
    latest: int
    look: int

    def precedes(self, other: "Read") -> bool:
        """Whether a topology that reads both, from two partitions, takes this one first, however it is delayed.

        It takes what is older by its timestamp first, but none before those that stand before it in its partition. Of
        two records that are not there yet it may see either first, and of two of the same time take either.
        """
        return self.look < other.look and self.latest < other.timestamp


class Reader:
    """What the log has held so far."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._held: dict[TopicPartition, list[Read]] = {}
        self._read_to: dict[TopicPartition, int] = {}
        self._given: dict[TopicPartition, int] = {}
        self._look = 0

    def look(self) -> None:
        """What is read from now on counts as seen later than what was read before."""
        self._look += 1

    def is_new(self, read: Read) -> bool:
        """Whether it was seen at this look, and not given before."""
        return read.look == self._look

    def begin_again(self) -> None:
        """The log is back where it was some time ago: what is still there is given again, and the rest forgotten."""
        for at, held in self._held.items():
            high = self._machine.log.watermarks(at).high
            held[:] = [read for read in held if read.offset < high]
            self._read_to[at] = min(self._read_to.get(at, 0), high)
        self._given.clear()

    def new(self, topic: Topic[Any, Any]) -> list[Read]:
        """What was not given yet, by partition and there in order."""
        found: list[Read] = []
        for partition in range(topic.partitions):
            at = TopicPartition(topic.name, partition)
            held = self._held.setdefault(at, [])
            while batch := self._machine.log.read(at, self._read_to.get(at, 0)):
                for offset, key, value, timestamp in zip(
                    batch.offsets, batch.keys, batch.values, batch.timestamps, strict=True
                ):
                    key = None if key is None else topic.key.deserialize(key)
                    value = None if value is None else topic.value.deserialize(value)
                    latest = max(timestamp, held[-1].latest) if held else timestamp
                    held.append(Read(offset, key, value, timestamp, latest, self._look))
                self._read_to[at] = batch.next_offset
            found.extend(held[self._given.get(at, 0) :])
            self._given[at] = len(held)
        return found
