"""Who is asking."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom an access token speaks for, and what it may be used for. ``expires_at`` is in seconds since the epoch."""

    user_id: str
    scopes: frozenset[str]
    client_id: str
    token_id: str
    expires_at: int
