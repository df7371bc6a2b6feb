"""Windows over streams: which spans of event time a record belongs to. All durations in ms; immutable and validated."""

from dataclasses import dataclass

from streambank.streams.errors import StreamsError


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """Windows of one size, one every ``advance_ms``: ``[start, end)``, aligned to the epoch.

    ``grace_ms`` is how long after its end, in stream time, a window still takes late records. Made by :meth:`tumbling`
    and :meth:`hopping`. (Kafka Streams' ``TimeWindows``.)

    Raises:
        StreamsError: a size or advance that is not positive, an advance beyond the size, or a negative grace.
    """

    size_ms: int
    advance_ms: int
    grace_ms: int = 0

    def __post_init__(self) -> None:
        if self.size_ms <= 0:
            raise StreamsError(f"a window's size_ms must be positive, not {self.size_ms}")
        if not 0 < self.advance_ms <= self.size_ms:
            raise StreamsError(f"advance_ms must be 1 to size_ms ({self.size_ms}), not {self.advance_ms}")
        _check_grace(self.grace_ms)

    @classmethod
    def tumbling(cls, size_ms: int, grace_ms: int = 0) -> "TimeWindows":
        """Windows one after the other: each record is in one."""
        return cls(size_ms, size_ms, grace_ms)

    @classmethod
    def hopping(cls, size_ms: int, advance_ms: int, grace_ms: int = 0) -> "TimeWindows":
        """Windows that overlap: each record is in up to ``size_ms / advance_ms`` of them."""
        return cls(size_ms, advance_ms, grace_ms)

    def starts(self, timestamp: int) -> range:
        """The starts of the windows that a record of that time belongs to, earliest first."""
        first = max(0, timestamp - self.size_ms + self.advance_ms) // self.advance_ms * self.advance_ms
        return range(first, timestamp + 1, self.advance_ms)

    @property
    def retention_ms(self) -> int:
        """How long a window has to be kept after its start."""
        return self.size_ms + self.grace_ms


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """For each record the window that ends with it, and the one that begins right after it, if another record falls
    into that: ``[start, start + time_difference_ms]``, both ends inclusive (KIP-450).

    Raises:
        StreamsError: a negative duration.
    """

    time_difference_ms: int
    grace_ms: int = 0

    def __post_init__(self) -> None:
        if self.time_difference_ms < 0:
            raise StreamsError(f"time_difference_ms must not be negative, but is {self.time_difference_ms}")
        _check_grace(self.grace_ms)

    @property
    def retention_ms(self) -> int:
        """How long a window has to be kept after its end: an earlier record may still need the one before it."""
        return 2 * self.time_difference_ms + self.grace_ms


@dataclass(frozen=True, slots=True)
class SessionWindows:
    """Windows of activity: records of a key that are no more than ``gap_ms`` apart are in one ``[first, last]``.

    Raises:
        StreamsError: a gap that is not positive, or a negative grace.
    """

    gap_ms: int
    grace_ms: int = 0

    def __post_init__(self) -> None:
        if self.gap_ms <= 0:
            raise StreamsError(f"gap_ms must be positive, not {self.gap_ms}")
        _check_grace(self.grace_ms)

    @property
    def retention_ms(self) -> int:
        """How long a session has to be kept after its end."""
        return self.gap_ms + self.grace_ms


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """Which records of two streams meet: those of the right whose time is in ``[left - before_ms, left + after_ms]``.

    ``grace_ms`` is how long after that, in stream time, late records still join; a record without a match is known to
    have none only then.

    Raises:
        StreamsError: a window that ends before it starts, or a negative grace.
    """

    before_ms: int
    after_ms: int
    grace_ms: int = 0

    def __post_init__(self) -> None:
        if self.before_ms + self.after_ms < 0:
            raise StreamsError(f"a join window from -{self.before_ms} to {self.after_ms} ms ends before it starts")
        _check_grace(self.grace_ms)

    @classmethod
    def of(cls, time_difference_ms: int, grace_ms: int = 0) -> "JoinWindows":
        """Records that are at most that far apart."""
        if time_difference_ms < 0:
            raise StreamsError(f"time_difference_ms must not be negative, but is {time_difference_ms}")
        return cls(time_difference_ms, time_difference_ms, grace_ms)


def _check_grace(grace_ms: int) -> None:
    if grace_ms < 0:
        raise StreamsError(f"grace_ms must not be negative, but is {grace_ms}")
