"""What people want to be told of: thresholds, budgets and what they save for. Pure, and the same for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from streambank.bank.demo.life import usual_month_minor
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


@dataclass(frozen=True, slots=True)
class PlannedBudget:
    """How much is to be spent in a month on some categories, by what the demo calls them; minor units."""

    name: str
    categories: tuple[str, ...]
    target_minor: int


@dataclass(frozen=True, slots=True)
class PlannedSavings:
    """How much is to be in savings, and in how many days; minor units."""

    name: str
    target_minor: int
    within_days: int


_BUDGETS = (
    ("Groceries", ("groceries",), 0.75),
    ("Going out", ("restaurants", "leisure"), 0.45),
    ("On the way", ("fuel", "transport"), 0.25),
)
"""Name, categories, and how many people have one."""


def budgets(one: Person, seed: int) -> Iterator[PlannedBudget]:
    """Most people have one or two; some of them are a little short, and some will not be used up."""
    random = Random(f"{seed}:{one.number}:budgets")  # noqa: S311  a believable life, not a secret
    step = max(1, one.salary_minor // 200)
    for name, categories, share in _BUDGETS:
        has_one, much = random.random() < share, random.uniform(0.8, 1.3)
        if has_one or (one.number == 0 and name == _BUDGETS[0][0]):
            usual = sum(usual_month_minor(one, category) for category in categories)
            yield PlannedBudget(name, categories, max(step, round(usual * much / step) * step))


def savings(one: Person, seed: int) -> Iterator[PlannedSavings]:
    """Whoever has savings saves for something, mostly."""
    random = Random(f"{seed}:{one.number}:savings")  # noqa: S311  a believable life, not a secret
    account, step = one.account(Purpose.SAVINGS), max(1, one.salary_minor // 10)
    if account is not None and random.random() < 0.85:
        name = random.choice(("Holiday", "Rainy days", "A new bicycle", "Kitchen", "Piano"))
        target = account.opening_minor + one.salary_minor * random.uniform(0.3, 2.0)
        yield PlannedSavings(name, round(target / step) * step, random.randint(180, 540))


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
