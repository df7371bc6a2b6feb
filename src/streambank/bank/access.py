"""The keys that access tokens are checked with, as the users service publishes them on the log."""

import threading
from collections.abc import Callable, Mapping

from streambank.bank.events import AUTH_KEY
from streambank.bank.reading import latest
from streambank.clock import monotonic_ms
from streambank.log import EventLog

LOOK_AGAIN_MS = 1_000
"""A kid that is not known is looked for again after so long: whoever sends made-up ones costs no more than that."""

FORGET_MS = 60_000
"""How long a key that was taken back may still be taken for good."""


class LogKeys:
    """Finds the public key of a ``kid``. May be shared by threads."""

    def __init__(self, log: EventLog, monotonic: Callable[[], int] = monotonic_ms) -> None:
        self._log = log
        self._monotonic = monotonic
        self._keys: dict[str, Mapping[str, str]] = {}
        self._read_ms: int | None = None
        self._lock = threading.Lock()

    def find(self, kid: str) -> Mapping[str, str] | None:
        """The key as a JSON Web Key (RFC 7517); None where nobody has published it, or it was taken back."""
        with self._lock:
            age_ms = None if self._read_ms is None else self._monotonic() - self._read_ms
            if age_ms is None or age_ms >= (FORGET_MS if kid in self._keys else LOOK_AGAIN_MS):
                self._keys = {key: found.jwk for key, found in latest(self._log, AUTH_KEY).items()}
                self._read_ms = self._monotonic()
            return self._keys.get(kid)
