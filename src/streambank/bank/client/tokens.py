"""The access token of a client: got when it is needed, and renewed before it runs out."""

import threading

from streambank.bank.client.credentials import Ask, Credentials
from streambank.bank.client.errors import ApiError, NotLoggedInError
from streambank.clock import Clock

RENEW_BEFORE_MS = 30_000
"""Before its end: longer than a request and its retries take, and than clocks of machines commonly differ."""

_REFUSED = {"invalid_grant", "invalid_client"}


class Tokens:
    """Holds one access token. May be shared by threads."""

    def __init__(self, credentials: Credentials | None, ask: Ask, clock: Clock) -> None:
        self._credentials = credentials
        self._ask = ask
        self._clock = clock
        self._token: str | None = None
        self._renew_ms = 0
        self._scope = ""
        self._lock = threading.Lock()

    def get(self) -> str:
        """An access token that is good for a while.

        Raises:
            NotLoggedInError: there are no credentials, or they are refused.
        """
        with self._lock:
            if self._token is None or self._clock() >= self._renew_ms:
                self._renew()
            assert self._token is not None
            return self._token

    @property
    def scope(self) -> str:
        """What the latest token may be used for: names with blanks between them; empty before there was one."""
        return self._scope

    def forget(self, token: str) -> None:
        """A server has refused the token: the next one is got anew, unless another thread has done so already."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _renew(self) -> None:
        if self._credentials is None:
            raise NotLoggedInError("this needs somebody to be logged in: give the client credentials")
        asked_ms = self._clock()
        try:
            answer = self._credentials.get_token(self._ask)
        except ApiError as error:
            if error.slug in _REFUSED:
                raise NotLoggedInError(str(error)) from None
            raise
        lifetime_ms = answer.expires_in * 1000
        # A token that lives hardly longer than that is used for half of its life.
        self._renew_ms = asked_ms + max(lifetime_ms - RENEW_BEFORE_MS, lifetime_ms // 2)
        self._token = answer.access_token
        self._scope = answer.scope
