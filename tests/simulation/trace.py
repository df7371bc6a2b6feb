"""What happened, in order: a hash of all of it, and its end for people to read."""

import hashlib
from collections import Counter, deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

LAST_MAX = 60
"""Lines kept: what led to a fault is nearly always among them."""


class Trace:
    """The trace of one run. Only what depends on nothing but the seed may get in."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._last: deque[str] = deque(maxlen=LAST_MAX)
        self._hash = hashlib.sha256()

    def add(self, at_ms: int, who: str, what: str, detail: str = "") -> None:
        """Note that ``who`` did, or met, ``what``, which is counted."""
        self.counts[what] += 1
        line = f"{at_ms / 1000:>14,.3f} s  {who}: {what} {detail}".rstrip()
        self._hash.update(line.encode() + b"\n")
        self._last.append(line)

    def digest(self) -> str:
        """Equal for equal runs."""
        return self._hash.hexdigest()

    @property
    def last(self) -> str:
        """The end of it."""
        return "\n".join(self._last)

    @contextmanager
    def with_logs(self) -> Iterator[None]:
        """What the program logs meanwhile goes into the last lines, though not the hash, and not to the screen."""

        def note(_logger: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
            text = event.pop("event", "")
            self._last.append(f"{'':>16}  log: {level} {text} " + " ".join(f"{k}={v}" for k, v in event.items()))
            raise structlog.DropEvent

        before = structlog.get_config()
        structlog.configure(processors=[note], cache_logger_on_first_use=False)
        try:
            yield
        finally:
            structlog.configure(**before)
