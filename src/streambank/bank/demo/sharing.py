"""What people pay each other: who was taken along pays their half. Pure, and the same for the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from streambank.bank.demo.life import Planned
from streambank.bank.demo.people import Person

_SHARED = {"restaurants": 0.12, "leisure": 0.12, "travel": 0.6}
"""What is shared, and how often."""

_ASKED = 0.3
"""How often one has to ask for the money."""

FRIENDS_MAX = 3
"""Whom one goes out with. To pay ever new people is what a bank holds up."""


@dataclass(frozen=True, slots=True)
class Payment:
    """``payer`` owes ``payee`` so many minor units for ``what``, and pays them; after a request, if ``is_asked``.

    ``reference`` names it; it begins differently from those of entries.
    """

    payer: Person
    payee: Person
    amount_minor: int
    what: str
    reference: str
    is_asked: bool


def friends_of(one: Person, everyone: Sequence[Person]) -> list[Person]:
    """Some people with the same currency: those with the next numbers, and after the last one the first ones again."""
    around = [*everyone[one.number + 1 :], *everyone[: one.number]]
    return [two for two in around if two.country.currency is one.country.currency][:FRIENDS_MAX]


def shared(one: Person, plan: Planned, day: date, friends: Sequence[Person], seed: int) -> Payment | None:
    """What somebody pays a person for their part of a bill, if one of the ``friends`` came along."""
    share = _SHARED.get(plan.category, 0.0)
    if not share or not friends or plan.counterparty is None:
        return None
    random = Random(f"{seed}:{one.number}:{day.isoformat()}:{plan.tag}:shared")  # noqa: S311  a believable life
    half = -plan.signed_minor // 2
    if random.random() >= share or half <= 0:
        return None
    reference = f"shared/{day.isoformat()}/{plan.tag}"
    return Payment(random.choice(friends), one, half, plan.counterparty, reference, random.random() < _ASKED)
