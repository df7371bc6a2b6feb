"""How many entries are due: a rate, a bounded burst, and what is let go."""

import pytest

from streambank.cli.demo.pace import Pace


def test_the_rate_is_kept_over_ticks_of_any_length() -> None:
    pace = Pace(60, 0)
    assert sum(pace.due(now_ms) for now_ms in range(0, 10_001, 7)) in (599, 600)
    assert pace.let_go == 0


@pytest.mark.parametrize(
    ("rate", "looks", "due", "let_go"),
    [
        # A stall of an hour: half a second of it is made up for, and the rest let go.
        (100, [3_600_000], [50], 359_950),
        # A stall just as long as what may be made up for.
        (100, [500], [50], 0),
        # Slow: less than one a tick adds up, and one is always allowed.
        (0.5, [1_000, 2_000, 3_000, 4_000], [0, 1, 0, 1], 0),
        (0.5, [10_000], [1], 4),
        # A clock that is set back makes nothing due, and then goes on from there.
        (100, [100, 50, 150], [10, 0, 10], 0),
    ],
)
def test_stalls(rate: float, looks: list[int], due: list[int], let_go: float) -> None:
    pace = Pace(rate, 0)
    assert [pace.due(now_ms) for now_ms in looks] == due
    assert pace.let_go == pytest.approx(let_go)
