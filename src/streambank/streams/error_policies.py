"""What becomes of a record that fails: policies, and what they get to see (KIP-161, KIP-210, KIP-1033, KIP-1034)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streambank.log import Record
from streambank.streams.errors import StreamsError

ErrorKind: TypeAlias = Literal["deserialization", "processing", "production"]
"""What failed: to decode the record; an operator's function; to encode what came of it, or the log refuses that."""

ErrorAction: TypeAlias = Literal["fail", "skip", "dead-letter"]
"""Stop the application before the record; leave it out, with a warning; leave it out and keep it as a dead letter."""

ERROR_KINDS: tuple[ErrorKind, ...] = ("deserialization", "processing", "production")
ACTIONS: tuple[ErrorAction, ...] = ("fail", "skip", "dead-letter")


@dataclass(frozen=True, slots=True)
class ErrorContext:
    """A record that failed.

    Attributes:
        kind: what failed.
        record: the input record, as bytes, with the place it was read from.
        error: what was raised.
        operator: the operator that raised it, by its name in the topology; None where that is not known.
        attempts: how often the record has been tried; 1 at its first failure.
    """

    kind: ErrorKind
    record: Record
    error: Exception
    operator: str | None = None
    attempts: int = 1

    def __str__(self) -> str:
        """Place, error and operator."""
        record, error = self.record, self.error
        where = f", in operator {self.operator!r}" if self.operator is not None else ""
        return f"{record.topic}-{record.partition} offset {record.offset}: {type(error).__name__}: {error}{where}"


DecidedAction: TypeAlias = ErrorAction | Callable[[ErrorContext], ErrorAction]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try a record whose processing failed again, and do ``then`` if it still fails.

    The records of its task wait meanwhile, so that their order stays; other tasks go on. Decoding and encoding are not
    tried again, since they would fail again: there, ``then`` applies at once. A restart counts from the start.

    Args:
        attempts: how many times to try again.
        initial_ms: how long to wait before the first of them; the wait doubles each time.
        max_ms: what the wait grows to at most.
        then: what to do at last.
    """

    attempts: int = 3
    initial_ms: int = 100
    max_ms: int = 10_000
    then: DecidedAction = "dead-letter"

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.initial_ms <= self.max_ms:
            raise StreamsError(
                f"Retry: attempts must be positive and 0 < initial_ms <= max_ms, not attempts={self.attempts}, "
                f"initial_ms={self.initial_ms}, max_ms={self.max_ms}"
            )
        _check_action("Retry: then", self.then)

    def delay_ms(self, attempts: int) -> int:
        """How long to wait after that many attempts, the first one included."""
        return min(self.max_ms, self.initial_ms << min(attempts - 1, 62))


ErrorPolicy: TypeAlias = DecidedAction | Retry
"""An action, a function that decides on one, or :class:`Retry`. A function that raises stops the application."""


def check_policy(setting: str, policy: ErrorPolicy) -> None:
    """Raises StreamsError, naming the setting, for what is no policy."""
    if not isinstance(policy, Retry):
        _check_action(setting, policy)


def may_dead_letter(policy: ErrorPolicy) -> bool:
    """Whether there has to be a topic for dead letters."""
    action = policy.then if isinstance(policy, Retry) else policy
    return callable(action) or action == "dead-letter"


def retry_delay_ms(policy: ErrorPolicy, context: ErrorContext) -> int | None:
    """In how many ms the record is tried again; None if it is not."""
    if isinstance(policy, Retry) and context.kind == "processing" and context.attempts <= policy.attempts:
        return policy.delay_ms(context.attempts)
    return None


def decide(policy: ErrorPolicy, context: ErrorContext) -> ErrorAction:
    """What to do with a record that is not tried again.

    Raises:
        StreamsError: a function decided on something else.
    """
    action = policy.then if isinstance(policy, Retry) else policy
    if callable(action):
        action = action(context)
        if action not in ACTIONS:
            raise StreamsError(f"a {context.kind} error policy must return one of {ACTIONS}, not {action!r}")
    return action


def _check_action(setting: str, action: DecidedAction) -> None:
    if not callable(action) and action not in ACTIONS:
        raise StreamsError(f"{setting} must be 'fail', 'skip', 'dead-letter' or a function, not {action!r}")
