"""What a runner counts and measures, as a snapshot that any thread may read.

Counting goes by batches and commits, never by records, so that it is always on. What every single operator takes, and
how long it works, is known only with ``StreamsConfig(operator_metrics=True)``: that costs every record a detour, as the
debug level of ``metrics.recording.level`` does in Kafka Streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from streambank.log import TopicPartition
from streambank.streams.operators.base import Process

if TYPE_CHECKING:
    from streambank.streams.task import StreamTask


class InputMetrics(msgspec.Struct, frozen=True):
    """One input partition of a task.

    Attributes:
        records: how many of its records were processed and committed since the task began.
        buffered: how many fetched records wait to be processed.
        lag: how many offsets of the partition lay behind the last one processed at the last poll.
    """

    records: int
    buffered: int
    lag: int


class TaskMetrics(msgspec.Struct, frozen=True):
    """One task since it began. What was undone and repeated counts each time.

    Attributes:
        runs: how often it had records to process.
        seconds: how long that took in all, reading and committing aside.
        longest_s: the longest of the runs.
        stream_time: the highest timestamp that it has seen, in ms; -1 before the first record.
    """

    runs: int
    seconds: float
    longest_s: float
    stream_time: int


class StoreMetrics(msgspec.Struct, frozen=True):
    """One task's part of a store.

    Attributes:
        entries: how many it holds.
        restored: how many changelog records were read to load it, each time that it was.
        restore_s: how long that took.
    """

    entries: int
    restored: int
    restore_s: float

    @property
    def restored_per_s(self) -> float:
        """How fast it was loaded, in records a second; 0 if it never was."""
        return self.restored / self.restore_s if self.restore_s else 0.0


class OperatorMetrics(msgspec.Struct, frozen=True):
    """One operator, over all tasks. What was undone and repeated counts each time.

    Attributes:
        records: how many it was called with.
        seconds: how long it worked, the operators behind it aside.
    """

    records: int
    seconds: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """A runner at the end of its last cycle that did something.

    Counts are of what was committed, if nothing else is said.

    Attributes:
        records: input records processed since the start.
        written: records written, changelogs and dead letters included.
        outputs: the same by topic.
        commits: transactions.
        commit_s: how long they took.
        rollbacks: how often the tasks went back to the last commit, because a record failed.
        retries: how often a record was put off to be tried again.
        fenced: how often this member had lost its place in the group.
        drops: records left out, by operator and reason.
        inputs: the partitions of the tasks that this member has now.
        tasks: those tasks, by sub-topology and partition.
        stores: their stores, by name and partition.
        operators: by name; empty without ``operator_metrics``.
    """

    records: int = 0
    written: int = 0
    outputs: Mapping[str, int] = {}
    commits: int = 0
    commit_s: float = 0.0
    rollbacks: int = 0
    retries: int = 0
    fenced: int = 0
    drops: Mapping[tuple[str, str], int] = {}
    inputs: Mapping[TopicPartition, InputMetrics] = {}
    tasks: Mapping[tuple[int, int], TaskMetrics] = {}
    stores: Mapping[tuple[str, int], StoreMetrics] = {}
    operators: Mapping[str, OperatorMetrics] = {}


class Counters(msgspec.Struct):
    """What a runner has done since it started."""

    records: int = 0
    written: int = 0
    commits: int = 0
    fenced: int = 0
    rollbacks: int = 0
    retries: int = 0


def observe(
    tasks: Mapping[tuple[int, int], StreamTask],
    lag: Callable[[TopicPartition], int],
    counters: Counters,
    **measured: Any,
) -> Metrics:
    """The metrics of these tasks, and what the runner counted and ``measured``. ``lag``: how far polls are behind."""
    inputs: dict[TopicPartition, InputMetrics] = {}
    stores: dict[tuple[str, int], StoreMetrics] = {}
    for task in tasks.values():
        for queue in task.queues:
            at = queue.topic_partition
            inputs[at] = InputMetrics(queue.processed, queue.buffered, lag(at) + queue.buffered)
        for name, store in task.stores.items():
            restored = task.restored.get(name, _NEVER)
            stores[name, task.partition] = StoreMetrics(len(store), restored.records, restored.seconds)
    return Metrics(
        inputs=inputs,
        stores=stores,
        tasks={
            key: TaskMetrics(task.watch.times, task.watch.seconds, task.watch.longest_s, task.stream_time)
            for key, task in tasks.items()
        },
        **msgspec.structs.asdict(counters),
        **measured,
    )


@dataclass(slots=True)
class Stopwatch:
    """Adds up how often something was done and how long it took."""

    times: int = 0
    seconds: float = 0.0
    longest_s: float = 0.0
    records: int = 0

    def add(self, seconds: float, records: int = 0) -> None:
        """It was done once more, to so many records."""
        self.times += 1
        self.records += records
        self.seconds += seconds
        self.longest_s = max(self.longest_s, seconds)


_NEVER = Stopwatch()


class OperatorMeter:
    """Counts and times every call of every operator."""

    def __init__(self, now_s: Callable[[], float] = perf_counter) -> None:
        self._now_s = now_s
        self._watches: dict[str, Stopwatch] = {}
        self._inner_s = 0.0
        """How long the operators behind the one at work have taken."""

    def measured(self, operator: str, process: Process) -> Process:
        """``process``, with its calls counted and timed."""
        watch, now_s = self._watches.setdefault(operator, Stopwatch()), self._now_s

        def process_measured(key: Any, value: Any, timestamp: int, headers: bytes | None, old: Any = None) -> None:
            outer_s, self._inner_s = self._inner_s, 0.0
            started = now_s()
            try:
                process(key, value, timestamp, headers, old)
            finally:
                elapsed = now_s() - started
                watch.add(elapsed - self._inner_s, 1)
                self._inner_s = outer_s + elapsed

        return process_measured

    def read(self) -> dict[str, OperatorMetrics]:
        """What it has measured by now."""
        return {name: OperatorMetrics(watch.records, watch.seconds) for name, watch in self._watches.items()}
