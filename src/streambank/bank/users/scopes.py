"""Scopes: what a token may be used for."""

from collections.abc import Iterable

from streambank.bank.scopes import SCOPES
from streambank.errors import StreambankError

USERS_READ = "users:read"
USERS_WRITE = "users:write"

UNVERIFIED_SCOPES = frozenset({USERS_READ, USERS_WRITE})
"""Enough to verify the address, to change it, and to go away."""

VERIFIED_SCOPES = frozenset(SCOPES)


class ScopeError(StreambankError):
    """Scopes that do not exist, or that are more than can be given."""


def scopes_of_user(email_verified: bool) -> frozenset[str]:
    """What a person may do who has logged in."""
    return VERIFIED_SCOPES if email_verified else UNVERIFIED_SCOPES


def parse_scope(text: str) -> frozenset[str]:
    """The scopes in an OAuth ``scope``."""
    return frozenset(text.split())


def join_scope(scopes: Iterable[str]) -> str:
    """The OAuth ``scope`` of scopes."""
    return " ".join(sorted(scopes))


def chosen_scopes(wanted: str | None, allowed: frozenset[str]) -> frozenset[str]:
    """The scopes asked for; all that are allowed where none are.

    Raises:
        ScopeError: more than is allowed is asked for.
    """
    if wanted is None or not wanted.strip():
        return allowed
    scopes = parse_scope(wanted)
    if not scopes <= allowed:
        raise ScopeError(f"at most these scopes can be given: {join_scope(allowed)}")
    return scopes
