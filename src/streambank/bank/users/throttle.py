"""Throttling: after some attempts, each further one has to wait longer. Pure rules; the counts are the repository's.

An attempt is counted before it is known how it ends, so that a thousand at once are not all let through. A success
takes its own count back.
"""

import hashlib
import ipaddress
from dataclasses import dataclass

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS


@dataclass(frozen=True, slots=True)
class ThrottlePolicy:
    """``free_attempts`` at will; the wait after that begins with ``first_wait_ms`` and doubles up to ``most_wait_ms``.

    After ``forget_ms`` without an attempt all is as if there had been none.
    """

    name: str
    free_attempts: int
    first_wait_ms: int
    most_wait_ms: int
    forget_ms: int


ACCOUNT_LOG_INS = ThrottlePolicy("account", 5, SECOND_MS, 15 * MINUTE_MS, 24 * 60 * MINUTE_MS)
"""People mistype a password a few times; a guesser gets a hundred attempts a day. A quarter of an hour is also the
longest that somebody can keep the owner out by guessing, and only from where there is no session yet."""

ADDRESS_LOG_INS = ThrottlePolicy("address", 30, SECOND_MS, 5 * MINUTE_MS, 60 * MINUTE_MS)
"""Many people share an address; a guesser who tries one password with many names has one too."""

MAILS = ThrottlePolicy("mails", 3, MINUTE_MS, 60 * MINUTE_MS, 24 * 60 * MINUTE_MS)
"""Nobody's mailbox is filled by somebody who knows the address: some thirty mails a day. And nobody can keep its owner
from a mail for longer than an hour."""

FORGET_MS_MAX = max(policy.forget_ms for policy in (ACCOUNT_LOG_INS, ADDRESS_LOG_INS, MAILS))


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many there were, and when the last one was, in ms since the epoch."""

    count: int
    last_at: int


def wait_ms(policy: ThrottlePolicy, attempts: Attempts | None, now_ms: int) -> int:
    """How long the next attempt has to wait from now on; 0: it need not."""
    attempts = _remembered(policy, attempts, now_ms)
    if attempts is None or attempts.count < policy.free_attempts:
        return 0
    # The exponent is bounded since 2**count of a patient guesser is a number of many digits.
    doublings = min(attempts.count - policy.free_attempts, 40)
    return max(0, attempts.last_at + min(policy.most_wait_ms, policy.first_wait_ms << doublings) - now_ms)


def counted(policy: ThrottlePolicy, attempts: Attempts | None, now_ms: int) -> Attempts:
    """The attempts with one more, made now."""
    attempts = _remembered(policy, attempts, now_ms)
    return Attempts((attempts.count if attempts else 0) + 1, now_ms)


def subject(policy: ThrottlePolicy, text: str) -> bytes:
    """What attempts are counted under: nothing can be read in it."""
    return hashlib.sha256(f"{policy.name}\x1f{text}".encode(errors="surrogatepass")).digest()


def network(address: str) -> str:
    """The part of an IP address that one machine has: of IPv6 the first 64 bits, since it may choose the others."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def _remembered(policy: ThrottlePolicy, attempts: Attempts | None, now_ms: int) -> Attempts | None:
    return None if attempts is None or now_ms - attempts.last_at >= policy.forget_ms else attempts
