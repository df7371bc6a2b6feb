import pytest

from streambank.service.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "random", "expected"),
    [(1, 0.0, 500), (1, 0.999999, 1000), (2, 0.0, 1000), (4, 0.5, 6000), (9, 0.999999, 60_000), (10**6, 0.0, 30_000)],
)
def test_waits_double_up_to_the_most_and_half_is_random(attempt: int, random: float, expected: int) -> None:
    assert Backoff(first_ms=1000, most_ms=60_000).delay_ms(attempt, lambda: random) == expected
