"""What people want to be told of: thresholds on their accounts. Pure, and the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from streambank.bank.demo.people import Person, Purpose
from streambank.bank.events import Direction


@dataclass(frozen=True, slots=True)
class Watch:
    """To be told when a balance crosses a level: an account's, or without ``account`` that of all of them together.

    Amounts are minor units. The alert is armed again once the balance is ``margin_minor`` beyond the level.
    """

    account: Purpose | None
    direction: Direction
    level_minor: int
    margin_minor: int


def watches(one: Person, seed: int) -> Iterator[Watch]:
    """Most people watch for little money in checking, some for much of it, a few for the total of all accounts."""
    random = Random(f"{seed}:{one.number}:thresholds")  # noqa: S311  a believable life, not a secret
    below, above, total = random.random() < 0.85, random.random() < 0.25, random.random() < 0.2 or one.number == 0
    salary, step = one.salary_minor, max(1, one.salary_minor // 20)

    def watch(account: Purpose | None, direction: Direction, share: float) -> Watch:
        return Watch(account, direction, round(salary * share / step) * step, max(1, round(salary * 0.05)))

    low, high, all_of_it = random.uniform(0.1, 0.35), random.uniform(1.5, 2.1), random.uniform(0.15, 0.5)
    if below:
        yield watch(Purpose.CHECKING, Direction.BELOW, low)
    if above:
        yield watch(Purpose.CHECKING, Direction.ABOVE, high)
    if total:
        savings = one.account(Purpose.SAVINGS)
        base = (savings.opening_minor if savings is not None else 0) / salary
        yield watch(None, Direction.BELOW, base + all_of_it)
