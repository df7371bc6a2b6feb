"""The order of a bank's rows inside one account-day, recovered from the bank's running balance.

The Berka files (PKDD'99) store no order within a day. Each row has the balance after it, so that the right order is
the one in which each row's balance is the one before plus the row's amount. Both columns are rounded to ten hellers,
so that in 4 of 100 rows this misses by exactly ten hellers.
"""

from collections.abc import Sequence
from typing import NamedTuple

ROUNDING_MINOR = 10
DAY_ROWS_MAX = 10
"""Every order of so many rows is weighed (at most 2^10 x 10 x 10 steps); the known files have at most 7 in a day."""

_EXACT, _ROUNDED = 1_000_000, 999_999
"""An exact link and one within rounding: a chain without a break always beats one with a break."""


class ChainRow(NamedTuple):
    """A row as the chain sees it. ``rank`` decides between orders that fit equally well."""

    signed_minor: int
    balance_minor: int
    rank: tuple[int, ...]


class Chained(NamedTuple):
    """The rows' positions in order; ``proven`` is False if there were too many rows to weigh every order."""

    order: list[int]
    proven: bool


def day_order(rows: Sequence[ChainRow], before_minor: int | None) -> Chained:
    """The order of a day's rows that links most of them, from the balance before the day (None: unknown).

    A link is exact, or off by ``ROUNDING_MINOR`` at most, or a break; the order has the fewest breaks and then the
    most exact links, and among equal ones follows ``rank``. Days of more than ``DAY_ROWS_MAX`` rows are walked from
    link to link without weighing all orders, so that they may come out with a break that another order would not have.
    """
    ranked = sorted(range(len(rows)), key=lambda i: rows[i].rank)
    if len(ranked) == 1:
        return Chained(ranked, True)
    if len(ranked) > DAY_ROWS_MAX:
        return Chained(_walk(rows, ranked, before_minor), False)
    return Chained(_best(rows, ranked, before_minor), True)


def _weight(before_minor: int | None, row: ChainRow) -> int:
    if before_minor is None:
        return 0
    miss = abs(before_minor + row.signed_minor - row.balance_minor)
    return _EXACT if miss == 0 else _ROUNDED if miss <= ROUNDING_MINOR else 0


def _best(rows: Sequence[ChainRow], ranked: list[int], before_minor: int | None) -> list[int]:
    """Held and Karp: the best weight of each set of rows already placed, by the row placed last."""
    count = len(ranked)
    day = [rows[i] for i in ranked]
    links = [[_weight(day[a].balance_minor, day[b]) for b in range(count)] for a in range(count)]
    best: dict[tuple[int, int], int] = {(1 << i, i): _weight(before_minor, day[i]) for i in range(count)}
    came_from: dict[tuple[int, int], int] = {}
    for placed in range(1, 1 << count):
        for last in range(count):
            weight = best.get((placed, last))
            if weight is None:
                continue
            for following in range(count):
                if placed >> following & 1:
                    continue
                state = (placed | 1 << following, following)
                if weight + links[last][following] > best.get(state, -1):
                    best[state] = weight + links[last][following]
                    came_from[state] = last
    everything = (1 << count) - 1
    last = max(range(count), key=lambda i: best[everything, i])
    order: list[int] = []
    placed = everything
    while True:
        order.append(ranked[last])
        previous = came_from.get((placed, last))
        if previous is None:
            return order[::-1]
        placed &= ~(1 << last)
        last = previous


def _walk(rows: Sequence[ChainRow], ranked: list[int], before_minor: int | None) -> list[int]:
    order: list[int] = []
    left = list(ranked)
    balance = before_minor
    while left:
        chosen = max(left, key=lambda i: _weight(balance, rows[i]))
        left.remove(chosen)
        order.append(chosen)
        balance = rows[chosen].balance_minor
    return order
