"""Opaque tokens: random, shown once, and known to the service by their SHA-256 only.

They are as long as their hash, so that nothing is gained by hashing slowly: there is nothing to guess. Their prefixes
let people, and scanners that look for leaked secrets, see what they are.
"""

import base64
import hashlib
import re
from enum import StrEnum

from streambank.ids import RandomBytes

SECRET_BYTES = 32

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

SESSION_IDLE_MS = 7 * DAY_MS
"""A page that nobody looked at for a week has to ask for the password again."""

SESSION_MS = 30 * DAY_MS
"""And every page does after a month, however busy it is: a stolen cookie is worth no more than that."""

GRANT_MS = 90 * DAY_MS
"""How long a program that keeps refreshing goes without a password. It can do less harm unseen than a page on a
machine that others use, and nobody sits before it to log in."""

API_KEY_MS_MAX = 366 * DAY_MS
"""A key that nobody renews within a year is one that nobody remembers."""

VERIFICATION_MS = 2 * DAY_MS
"""A mail may be read on the day after."""

RESET_MS = HOUR_MS
"""A reset is asked for by somebody who waits for the mail."""


class Prefix(StrEnum):
    """What a token is."""

    SESSION = "sbs_"
    REFRESH = "sbr_"
    API_KEY = "sbk_"
    MAIL = "sbm_"


_TOKEN = re.compile(r"sb[srkm]_[A-Za-z0-9_-]{43}")


def new_token(prefix: Prefix, random_bytes: RandomBytes) -> str:
    """A token with 256 random bits."""
    return prefix + base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def is_token(text: str, prefix: Prefix) -> bool:
    """Whether ``text`` has the form of such a token. What does not need not be looked up."""
    return text.startswith(prefix) and _TOKEN.fullmatch(text) is not None
