"""What a person does with their money on one day: bills and salary by the month, spending by the day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import exp
from random import Random
from typing import TypeAlias
from zlib import crc32

from streambank.bank.demo.people import DemoAccount, Person, Purpose
from streambank.bank.events import to_minor

Balances: TypeAlias = Mapping[Purpose, int]
"""What each of a person's accounts holds, in minor units."""

USUAL_CATEGORIES: Mapping[str, str] = {
    "income": "Salary",
    "housing": "Rent or mortgage",
    "utilities": "Utilities",
    "phone": "Internet and phone",
    "insurance": "Insurance",
    "subscriptions": "Subscriptions",
    "groceries": "Groceries",
    "restaurants": "Restaurants",
    "fuel": "Fuel",
    "transport": "Public transport",
    "online": "Shopping",
    "leisure": "Entertainment",
    "health": "Pharmacy",
    "travel": "Travel",
    "bank fees": "Fees",
    "interest": "Interest and dividends",
    "own accounts": "Transfers",
}
"""The category of every new user that each of the demo's is. Cash and what an account began with are none."""

OVERDRAFT_RATE = 0.14
SAVINGS_RATE = 0.025


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One entry to be: on which account, how much (signed minor units), at what local minute of the day.

    ``tag`` names it within the account and day, whatever else happens on that day.
    """

    account: DemoAccount
    tag: str
    signed_minor: int
    minute: int
    kind: str
    category: str
    counterparty: str | None = None
    remittance: str | None = None


@dataclass(frozen=True, slots=True)
class _Habit:
    """Something bought now and then: how often a day, a usual price as a share of the salary, when, and how."""

    category: str
    per_day: float
    share: float
    spread: float
    hours: tuple[int, int]
    by_card: bool = False
    weekend: float = 1.0


_HABITS = (
    _Habit("groceries", 0.38, 0.0125, 0.55, (8, 20), weekend=1.3),
    _Habit("restaurants", 0.26, 0.0080, 0.5, (11, 22), weekend=1.8),
    _Habit("fuel", 0.10, 0.0190, 0.3, (6, 21)),
    _Habit("transport", 0.30, 0.0016, 0.6, (6, 22), weekend=0.5),
    _Habit("online", 0.12, 0.0170, 0.8, (8, 23), by_card=True, weekend=1.2),
    _Habit("leisure", 0.10, 0.0095, 0.5, (14, 22), weekend=2.2),
    _Habit("health", 0.03, 0.0110, 0.7, (8, 18), weekend=0.3),
)
_CASH_PER_DAY, _CASH_SHARE = 0.055, 0.03
_MONTH_DAYS = 30.4


def planned_day(person: Person, day: date, seed: int, balances: Balances) -> list[Planned]:
    """What happens on a day, in the order of its time. ``balances`` are the accounts' before it, in minor units.

    The same person, day and seed make the same draws, whatever the balances; those only decide what a person can
    afford, and so keep the balances within bounds for ever.
    """
    random = Random(f"{seed}:{person.number}:{day.isoformat()}")  # noqa: S311  a believable life, not a secret
    mood = person.spending * _season(day) * _thrift(person, balances)
    plans = [
        *_bills(person, day, seed, random),
        *_spending(person, day, random, mood),
        *_occasions(person, day, random, mood),
        *_banking(person, day, seed, balances),
    ]
    return _affordable(person, sorted(plans, key=lambda plan: (plan.minute, plan.tag)), balances)


def payday_of(person: Person, year: int, month: int, seed: int) -> date:
    """When the salary of a month comes: around the usual day, on a Friday before a weekend or the Monday after."""
    jitter = (-1, 0, 0, 0, 1)[crc32(f"{seed}:{person.number}:{year}-{month}".encode()) % 5]
    day = date(year, month, min(28, max(1, person.payday + jitter)))
    friday = day - timedelta(days=max(0, day.weekday() - 4))
    return friday if friday.month == month else day + timedelta(days=7 - day.weekday())


def usual_month_minor(person: Person, category: str) -> int:
    """What a person usually spends in a month on something that is bought now and then, in minor units.

    Raises:
        KeyError: it is nothing of that kind.
    """
    habit = {habit.category: habit for habit in _HABITS}[category]
    often = habit.per_day * (5 + 2 * habit.weekend) / 7 * _MONTH_DAYS
    # The mean of the log-normal distribution that prices have.
    price = person.salary_minor * habit.share * exp(habit.spread**2 / 2)
    return round(often * price * person.spending)


def _bills(person: Person, day: date, seed: int, random: Random) -> Iterator[Planned]:
    salary, country, account = person.salary_minor, person.country, person.checking
    payday = payday_of(person, day.year, day.month, seed)

    def bill(tag: str, on: int, minor: float, kind: str, category: str, whom: str) -> Iterator[Planned]:
        if day.day == on:
            yield Planned(
                account=account,
                tag=tag,
                signed_minor=-max(1, round(minor)),
                minute=random.randint(3 * 60, 7 * 60),
                kind=kind,
                category=category,
                counterparty=whom,
            )

    if day == payday:
        bonus = 1.0 + (0.5 * random.random() if day.month == 12 else 0.03 * random.random())
        yield Planned(
            account=account,
            tag="salary",
            signed_minor=round(salary * bonus),
            minute=random.randint(2 * 60, 9 * 60),
            kind="SALARY",
            category="income",
            counterparty=person.employer,
            remittance=f"Salary {day:%Y-%m}",
        )
    yield from bill("rent", 3, person.rent_minor, "STANDING_ORDER", "housing", country.landlord)
    power, water = country.merchants["utilities"]
    winter = 1.4 if day.month in (11, 12, 1, 2, 3) else 0.9
    yield from bill("power", 12, salary * 0.035 * winter * random.uniform(0.9, 1.1), "DIRECT_DEBIT", "utilities", power)
    yield from bill("water", 16, salary * 0.011 * random.uniform(0.9, 1.1), "DIRECT_DEBIT", "utilities", water)
    yield from bill("phone", 8, salary * 0.01, "DIRECT_DEBIT", "phone", country.merchants["phone"][0])
    insurer = country.merchants["insurance"][0]
    yield from bill("insurance", 6, salary * 0.024, "DIRECT_DEBIT", "insurance", insurer)
    for number, name in enumerate(person.subscriptions):
        on = 2 + (person.number * 7 + number * 9) % 26
        yield from bill(f"subscription-{number}", on, salary * 0.0055, "CARD_PAYMENT", "subscriptions", name)


def _spending(person: Person, day: date, random: Random, mood: float) -> Iterator[Planned]:
    holiday = _on_holiday(person, day)
    weekend = day.weekday() >= 5
    card = person.account(Purpose.CARD)
    for habit in _HABITS:
        often = habit.per_day * (habit.weekend if weekend else 1.0)
        if habit.category in ("restaurants", "leisure", "online"):
            often *= _season(day) * (2.2 if holiday and habit.category != "online" else 1.0)
        for number in range(3):
            chance, minute, shop = random.random(), random.random(), random.random()
            price = random.lognormvariate(0, habit.spread)
            if chance >= often / (number + 1) ** 2 or (habit.category == "fuel" and not person.drives):
                break
            first, last = habit.hours
            shops = person.country.merchants[habit.category]
            yield Planned(
                account=card if habit.by_card and card is not None else person.checking,
                tag=f"{habit.category}-{number}",
                signed_minor=-_price(person, person.salary_minor * habit.share * price * mood),
                minute=int((first + minute * (last - first)) * 60),
                kind="CARD_PAYMENT",
                category=habit.category,
                counterparty=shops[int(shop * len(shops))],
            )


def _occasions(person: Person, day: date, random: Random, mood: float) -> Iterator[Planned]:
    """Cash, a refund now and then, and the yearly trip."""
    holiday, card = _on_holiday(person, day), person.account(Purpose.CARD)
    shops = person.country.merchants
    cash, amount, minute, refund, back = (random.random() for _ in range(5))
    if cash < _CASH_PER_DAY * (2 if holiday else 1):
        note = to_minor(Decimal(person.country.note), person.country.currency)
        notes = max(1, round(person.salary_minor * _CASH_SHARE * (0.5 + amount) * mood / note))
        yield Planned(
            account=person.checking,
            tag="cash",
            signed_minor=-notes * note,
            minute=int((8 + minute * 13) * 60),
            kind="CASH_WITHDRAWAL",
            category="cash",
        )
    if refund < 0.008:
        yield Planned(
            account=card or person.checking,
            tag="refund",
            signed_minor=_price(person, person.salary_minor * 0.017 * (0.5 + back)),
            minute=14 * 60,
            kind="REFUND",
            category="online",
            counterparty=shops["online"][int(back * len(shops["online"]))],
            remittance="Refund",
        )
    if holiday and day.day == person.holiday_day:
        hotel = shops["travel"][int(back * len(shops["travel"]))]
        yield Planned(
            account=person.checking,
            tag="trip",
            signed_minor=-_price(person, person.salary_minor * (0.14 + 0.16 * amount)),
            minute=10 * 60,
            kind="CARD_PAYMENT",
            category="travel",
            counterparty=hotel,
        )


def _banking(person: Person, day: date, seed: int, balances: Balances) -> Iterator[Planned]:
    """What follows from the balances: interest, paying the card, and moving money between one's own accounts."""
    checking, savings, card = person.checking, person.account(Purpose.SAVINGS), person.account(Purpose.CARD)
    balance = balances[Purpose.CHECKING]
    tomorrow = day + timedelta(days=1)
    if balance < 0 and tomorrow == payday_of(person, tomorrow.year, tomorrow.month, seed):
        yield _interest(checking, -max(1, round(-balance * OVERDRAFT_RATE / 12)), "OVERDRAFT_INTEREST", "bank fees")
    if savings is not None and tomorrow.day == 1:
        earned = round(balances[Purpose.SAVINGS] * SAVINGS_RATE / 12)
        if earned > 0:
            yield _interest(savings, earned, "INTEREST", "interest")
    owed = -balances[Purpose.CARD] if card is not None else 0
    if card is not None and day.day == 26 and owed > 0:
        there = max(0, balance + checking.overdraft_limit_minor // 2)
        yield from _moved(checking, card, min(owed, there), "card-payment", 6 * 60)
    if savings is None:
        return
    spare = balance - round(person.salary_minor * 0.9)
    if day.day == person.payday % 28 + 1 and spare > 0:
        standing = round(person.salary_minor * person.saves)
        much = spare - round(person.salary_minor * 1.1)
        yield from _moved(checking, savings, max(min(standing, spare), much), "saving", 5 * 60)
    elif balance < 0 and day.weekday() == 4:
        need = min(balances[Purpose.SAVINGS], round(person.salary_minor * 0.25))
        if need > person.salary_minor // 50:
            yield from _moved(savings, checking, need, "from-savings", 19 * 60)


def _interest(account: DemoAccount, signed_minor: int, kind: str, category: str) -> Planned:
    return Planned(
        account=account, tag="interest", signed_minor=signed_minor, minute=1439, kind=kind, category=category
    )


def _moved(source: DemoAccount, target: DemoAccount, amount: int, tag: str, minute: int) -> Iterator[Planned]:
    if amount <= 0:
        return
    yield Planned(
        account=source,
        tag=f"{tag}-out",
        signed_minor=-amount,
        minute=minute,
        kind="INTERNAL_TRANSFER",
        category="own accounts",
        counterparty=target.name,
    )
    yield Planned(
        account=target,
        tag=f"{tag}-in",
        signed_minor=amount,
        minute=minute,
        kind="INTERNAL_TRANSFER",
        category="own accounts",
        counterparty=source.name,
    )


def _affordable(person: Person, plans: list[Planned], balances: Balances) -> list[Planned]:
    """Card payments and cash beyond the limit are declined; bills, transfers and interest go through."""
    held = dict(balances)
    done: list[Planned] = []
    for plan in plans:
        purpose = plan.account.purpose
        after = held[purpose] + plan.signed_minor
        limit = -plan.account.overdraft_limit_minor
        if plan.kind in ("CARD_PAYMENT", "CASH_WITHDRAWAL") and after < limit:
            continue
        # Whoever is far beyond the limit has bills returned too: otherwise a debt could grow for ever.
        if plan.kind in ("DIRECT_DEBIT", "STANDING_ORDER") and after < limit - person.salary_minor // 2:
            continue
        held[purpose] = after
        done.append(plan)
    return done


def _thrift(person: Person, balances: Balances) -> float:
    """People with little left spend less, and people with much left spend a little more."""
    months = balances[Purpose.CHECKING] / person.salary_minor
    if months < 0.05:
        return 0.45
    if months < 0.2:
        return 0.75
    return 1.25 if months > 1.5 else 1.0


def _season(day: date) -> float:
    return 1.45 if day.month == 12 and day.day <= 24 else 0.88 if day.month == 1 else 1.0


def _on_holiday(person: Person, day: date) -> bool:
    return day.month == person.holiday_month and 0 <= day.day - person.holiday_day < 8


def _price(person: Person, amount_minor: float) -> int:
    """A price as shops have them: in whole units or ending in 9 where it is not small."""
    unit = to_minor(Decimal(1), person.country.currency)
    price = max(1, round(amount_minor))
    if unit == 1:
        return max(10, price // 10 * 10)
    if price > 20 * unit and price % 3 == 0:
        return price // unit * unit - 1
    return price
