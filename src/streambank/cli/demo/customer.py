"""A person of the demo as a customer of the bank."""

from __future__ import annotations

from dataclasses import dataclass, field

from streambank.bank.client import Client
from streambank.bank.demo import Person, Place, Purpose


@dataclass(frozen=True, slots=True)
class Customer:
    """A person, and what they have with the bank: ids of accounts, and of categories by what the demo calls them."""

    person: Person
    client: Client
    accounts: dict[Purpose, str]
    categories: dict[str, str]
    place: Place = field(default_factory=lambda: Place({}))
