"""The demo's people and their accounts: the same for the same seed, each independent of how many others there are."""

import unicodedata
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from random import Random

from streambank.bank.demo.countries import COUNTRIES, Country
from streambank.bank.events import to_minor

_WORDS = tuple(
    word
    for line in (
        "amber anchor apple autumn barley basket beacon birch bridge bronze candle canyon cedar",
        "cherry clover copper coral cotton ember falcon feather ginger granite harvest hazel island",
        "juniper kettle lantern lemon linen maple marble meadow mirror mosaic nutmeg olive orchard",
        "paddle pebble pepper pillow planet quartz raven ribbon saddle saffron silver sparrow sunset",
        "thimble thunder timber tulip velvet violin walnut willow window winter yellow zephyr",
    )
    for word in line.split()
)


class Purpose(Enum):
    """What an account is for."""

    CHECKING = "checking"
    SAVINGS = "savings"
    CARD = "card"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of a person: what it holds at the start (a card nothing), and how far below zero it may go."""

    purpose: Purpose
    name: str
    number_last4: str
    opening_minor: int
    overdraft_limit_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An invented person: who they are, and how they live.

    Amounts are minor units of the country's currency. ``spending`` scales what they spend: around 1 it is what they
    earn; above, their money runs low before the next salary.
    """

    number: int
    name: str
    email: str
    password: str = field(repr=False)
    country: Country
    salary_minor: int
    payday: int
    employer: str
    rent_minor: int
    spending: float
    drives: bool
    saves: float
    subscriptions: tuple[str, ...]
    holiday_month: int
    holiday_day: int
    accounts: tuple[DemoAccount, ...]

    def account(self, purpose: Purpose) -> DemoAccount | None:
        """The person's account for that purpose, if there is one. Everyone has a checking account."""
        return next((account for account in self.accounts if account.purpose is purpose), None)

    @property
    def checking(self) -> DemoAccount:
        """The account that the salary goes to."""
        return self.accounts[0]


def person(seed: int, number: int) -> Person:
    """The person of that number, from 0."""
    random = Random(f"{seed}:person:{number}")  # noqa: S311  a believable life, not a secret
    country = COUNTRIES[number % len(COUNTRIES)]
    first, last = random.choice(country.first_names), random.choice(country.last_names)
    low, high = country.salary
    salary = minor(country, low + (high - low) * random.betavariate(2, 3.5), step=max(1, low // 100))
    overdraft = minor(country, low * 0.4, step=country.note) if random.random() < 0.6 else 0
    saves = random.choice((0.0, 0.05, 0.08, 0.1, 0.15))
    return Person(
        number=number,
        name=f"{first} {last}",
        email=f"{_ascii(first)}.{_ascii(last)}.{seed}-{number}@example.org",
        password=_password(seed, number),
        country=country,
        salary_minor=salary,
        payday=random.choice((1, 5, 10, 15, 20, 25, 27)),
        employer=random.choice(country.employers),
        rent_minor=_rounded(salary * random.uniform(0.24, 0.34), country),
        spending=random.triangular(0.78, 1.18, 1.0),
        drives=random.random() < 0.6,
        saves=saves,
        subscriptions=tuple(random.sample(country.merchants["subscriptions"], random.randint(1, 3))),
        holiday_month=random.choice((2, 7, 7, 8, 8, 9)),
        holiday_day=random.randint(1, 20),
        accounts=_accounts(country, salary, overdraft, saves, random),
    )


def _accounts(country: Country, salary: int, overdraft: int, saves: float, random: Random) -> tuple[DemoAccount, ...]:
    def account(purpose: Purpose, name: str, opening: float, limit: int) -> DemoAccount:
        last4 = f"{random.randrange(10_000):04d}"
        return DemoAccount(purpose, name, last4, _rounded(opening, country), limit)

    accounts = [account(Purpose.CHECKING, country.checking, salary * random.uniform(0.35, 1.3), overdraft)]
    if saves:
        accounts.append(account(Purpose.SAVINGS, country.savings, salary * random.uniform(0.8, 6), 0))
    if random.random() < 0.35:
        accounts.append(account(Purpose.CARD, country.card, 0, round(salary * 0.6)))
    return tuple(accounts)


def _password(seed: int, number: int) -> str:
    """A password that people can type. It keeps nobody out who knows the seed: there is nothing of anybody's behind."""
    return "-".join(Random(f"{seed}:{number}:password").sample(_WORDS, 4))  # noqa: S311


def minor(country: Country, units: float, *, step: int) -> int:
    """Whole currency units, rounded to ``step``, as minor units."""
    return to_minor(Decimal(round(units / step) * step), country.currency)


def _rounded(amount_minor: float, country: Country) -> int:
    unit = to_minor(Decimal(1), country.currency)
    return round(amount_minor / unit) * unit


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ł", "l").replace("Ł", "L"))
    return "".join(char for char in plain if char.isascii() and char.isalpha()).lower()
