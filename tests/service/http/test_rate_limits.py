"""Rate limits, with the time that passes between requests."""

from pathlib import Path

import pytest
from tests.service.http.support import bench, problem
from tests.service.support import Ticker

from streambank.service.http import rate_limits
from streambank.service.http.problems import Problem
from streambank.service.http.rate_limits import RateLimits, RatePolicy

THREE = RatePolicy("caller", 3, 60)
ONE = RatePolicy("anonymous", 1, 10)


def left(headers: dict[str, str]) -> str:
    return headers["RateLimit"]


def test_a_bucket_empties_and_fills() -> None:
    clock = Ticker()
    limits = RateLimits(clock, caller=THREE, anonymous=ONE)
    assert [left(limits.take("ada", known=True)) for _ in range(3)] == [
        '"caller";r=2;t=20',
        '"caller";r=1;t=40',
        '"caller";r=0;t=60',
    ]
    with pytest.raises(Problem, match="wait 20 s") as refused:
        limits.take("ada", known=True)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "20")
    assert left(limits.take("bob", known=True)) == '"caller";r=2;t=20'
    clock.now_ms += 19_999
    with pytest.raises(Problem, match="wait 1 s"):
        limits.take("ada", known=True)
    clock.now_ms += 1
    assert left(limits.take("ada", known=True)) == '"caller";r=0;t=60'
    clock.now_ms += 3_600_000
    assert left(limits.take("ada", known=True)) == '"caller";r=2;t=20'


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = Ticker()
    limits = RateLimits(clock, caller=THREE, anonymous=ONE)
    limits.take("ada", known=True)
    clock.now_ms -= 3_600_000
    assert left(limits.take("ada", known=True)) == '"caller";r=1;t=40'


def test_an_address_and_a_user_are_counted_apart() -> None:
    limits = RateLimits(Ticker(), caller=THREE, anonymous=ONE)
    limits.take("127.0.0.1", known=False)
    limits.take("127.0.0.1", known=True)
    with pytest.raises(Problem, match="too many"):
        limits.take("127.0.0.1", known=False)


def test_buckets_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "CALLERS_MAX", 2)
    limits = RateLimits(Ticker(), caller=RatePolicy("caller", 1, 60), anonymous=ONE)
    for who in ("ada", "bob", "eve", "ada"):
        limits.take(who, known=True)
    with pytest.raises(Problem, match="too many"):
        limits.take("ada", known=True)


async def test_over_http(tmp_path: Path) -> None:
    limits = RateLimits(Ticker(), caller=THREE, anonymous=RatePolicy("anonymous", 2, 10))
    with bench(tmp_path, limits=limits) as numbers:
        async with numbers.client() as client:
            for _ in range(3):
                assert (await client.get("/v1/numbers")).status_code == 200
            answer = await client.get("/v1/numbers")
            assert problem(answer) == (429, "too-many-requests")
            assert answer.headers["Retry-After"] == "20"
        async with numbers.client("a.wrong.token") as client:
            # Guessing tokens counts against the address, like everything that nobody is known for.
            assert [(await client.get("/v1/numbers")).status_code for _ in range(3)] == [401, 401, 429]
