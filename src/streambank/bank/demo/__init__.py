"""A demo bank: invented people with believable accounts and transactions, the same for the same seed."""

from streambank.bank.demo.generator import DemoEvent, Generator, Position
from streambank.bank.demo.people import DemoAccount, Person, Purpose, person
from streambank.bank.demo.source import DemoError, DemoSource

__all__ = [
    "DemoAccount",
    "DemoError",
    "DemoEvent",
    "DemoSource",
    "Generator",
    "Person",
    "Position",
    "Purpose",
    "person",
]
