"""Where in the log a client's own writes stand, so that other services can be asked to have seen them."""

import threading
from collections import OrderedDict

POSITIONS_MAX = 64
"""One for each service that was written to; there are a handful."""


class WrittenPositions:
    """The latest position of each service's writes. May be shared by threads."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def written(self, position: str | None) -> None:
        """A write was answered with ``position``, ``TOPIC/PARTITION/OFFSET``; None: it was no write."""
        if position is None:
            return
        with self._lock:
            place = position.rpartition("/")[0]
            self._latest[place] = position
            self._latest.move_to_end(place)
            while len(self._latest) > POSITIONS_MAX:
                self._latest.popitem(last=False)

    def to_wait_for(self, service: str) -> str | None:
        """What a read of ``service`` has to wait for: the last write to another one. Its own it has seen at once."""
        with self._lock:
            own = f"{service}.outbox/"
            return next((self._latest[place] for place in reversed(self._latest) if not place.startswith(own)), None)
