"""Punctuations: what a task does at intervals, of stream time or by the wall clock (Kafka Streams' PunctuationType)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streambank.streams.errors import StreamsError

PunctuationKind: TypeAlias = Literal["stream-time", "wall-clock"]

_NEVER = 2**63


@dataclass(frozen=True, slots=True)
class Punctuation:
    """A schedule: every ``interval_ms``, missed times taken together as one.

    By ``stream-time`` it is due with the task's first record, and then with the first record at or after each multiple
    of the interval. So when it is due follows from the records alone: a restart neither repeats nor skips one. By
    ``wall-clock`` it is due an interval after the task's start, and so on, whether there are records or not.

    Raises:
        StreamsError: the interval is not positive, or the kind is none of the two.
    """

    interval_ms: int
    kind: PunctuationKind = "stream-time"

    def __post_init__(self) -> None:
        if self.interval_ms < 1:
            raise StreamsError(f"a punctuation's interval_ms must be positive, not {self.interval_ms}")
        if self.kind not in ("stream-time", "wall-clock"):
            raise StreamsError(f"a punctuation goes by 'stream-time' or 'wall-clock', not {self.kind!r}")


@dataclass(slots=True)
class _Schedule:
    interval_ms: int
    run: Callable[[int], None]
    due: int

    def follow(self, time: int) -> None:
        """Move on to the first time after ``time``, in steps of the interval."""
        if time >= self.due:
            self.due += ((time - self.due) // self.interval_ms + 1) * self.interval_ms


class Schedules:
    """One task's punctuations, and its operators that follow its time while no record comes."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._by_stream_time: list[_Schedule] = []
        self._by_wall_clock: list[_Schedule] = []
        self._advances: list[Callable[[int], None]] = []
        self.due = _NEVER
        """The stream time at which a punctuation is due."""

    def add(self, punctuation: Punctuation, run: Callable[[int], None]) -> None:
        """Used while operators are bound, children before parents, so that what comes last is first."""
        if punctuation.kind == "wall-clock":
            self._by_wall_clock.insert(0, _Schedule(punctuation.interval_ms, run, self._now + punctuation.interval_ms))
        else:
            self._by_stream_time.insert(0, _Schedule(punctuation.interval_ms, run, 0))
            self.due = 0

    def add_advance(self, advance: Callable[[int], None]) -> None:
        """As :meth:`add`, for an operator that follows the time."""
        self._advances.insert(0, advance)

    @property
    def any_by_stream_time(self) -> bool:
        """Whether records can make a punctuation due."""
        return bool(self._by_stream_time)

    @property
    def any_by_wall_clock(self) -> bool:
        """Whether the wall clock can make a punctuation due."""
        return bool(self._by_wall_clock)

    @property
    def any_while_idle(self) -> bool:
        """Whether anything would come of stream time going on without a record."""
        return bool(self._advances or self._by_stream_time)

    def resume_at(self, stream_time: int) -> None:
        """The task's stream time is that: everything that was due up to it has been done."""
        for schedule in self._by_stream_time:
            schedule.due = 0
            schedule.follow(stream_time)
        self._find_due()

    def run_by_stream_time(self, stream_time: int) -> None:
        """Run what is due; called once :attr:`due` has come."""
        _run(self._by_stream_time, stream_time)
        self._find_due()

    def run_by_wall_clock(self, now: int) -> bool:
        """Run what is due; whether there was any."""
        return _run(self._by_wall_clock, now)

    def advance(self, stream_time: int) -> None:
        """Let the operators follow the stream time, parents before children, and run the punctuations then due."""
        for advance in self._advances:
            advance(stream_time)
        if stream_time >= self.due:
            self.run_by_stream_time(stream_time)

    def _find_due(self) -> None:
        self.due = min((schedule.due for schedule in self._by_stream_time), default=_NEVER)


def _run(schedules: Iterable[_Schedule], time: int) -> bool:
    due = sorted((schedule for schedule in schedules if schedule.due <= time), key=lambda schedule: schedule.due)
    for schedule in due:
        schedule.run(time)
        schedule.follow(time)
    return bool(due)
