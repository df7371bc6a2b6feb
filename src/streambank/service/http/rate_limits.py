"""Rate limits: a token bucket for each caller, told in the headers of draft-ietf-httpapi-ratelimit-headers."""

from collections import OrderedDict
from dataclasses import dataclass

from streambank.clock import Clock
from streambank.service.http.problems import Problem

CALLERS_MAX = 10_000
"""Buckets kept; one that was not used for longest goes first, and would be full again by then."""


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """``quota_requests`` in any ``window_s``, which may also come all at once."""

    name: str
    quota_requests: int
    window_s: int


CALLER_POLICY = RatePolicy("caller", 60_000, 60)
"""Of one user: more than a person or a decent script needs, less than one process can answer."""

ANONYMOUS_POLICY = RatePolicy("anonymous", 120, 60)
"""Of one address, where nobody is logged in: guessing passwords or addresses is slow at that rate."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at_ms: int


class RateLimits:
    """Counts requests. For one event loop."""

    def __init__(
        self, clock: Clock, *, caller: RatePolicy = CALLER_POLICY, anonymous: RatePolicy = ANONYMOUS_POLICY
    ) -> None:
        self._clock = clock
        self._caller = caller
        self._anonymous = anonymous
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, who: str, *, known: bool) -> dict[str, str]:
        """Count one request of ``who``, a user if ``known``, else an address; the headers that tell what is left.

        Raises:
            Problem: 429, with the time to wait.
        """
        policy = self._caller if known else self._anonymous
        key, now_ms = (policy.name, who), self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(float(policy.quota_requests), now_ms)
        self._buckets[key] = bucket
        while len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        per_ms = policy.quota_requests / (policy.window_s * 1000)
        passed_ms = max(0, now_ms - bucket.at_ms)
        bucket.left = min(float(policy.quota_requests), bucket.left + passed_ms * per_ms)
        bucket.at_ms = now_ms
        allowed = bucket.left >= 1
        if allowed:
            bucket.left -= 1
        reset_s = -(-(policy.quota_requests - bucket.left) // (per_ms * 1000))
        headers = {
            "RateLimit-Policy": f'"{policy.name}";q={policy.quota_requests};w={policy.window_s}',
            "RateLimit": f'"{policy.name}";r={int(bucket.left)};t={int(reset_s)}',
        }
        if not allowed:
            wait_s = max(1, int(-(-(1 - bucket.left) // (per_ms * 1000))))
            headers["Retry-After"] = str(wait_s)
            raise Problem(429, "too-many-requests", f"too many requests: wait {wait_s} s", headers=headers)
        return headers
