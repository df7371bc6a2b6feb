"""A demo bank: invented people with believable accounts and entries, the same for the same seed.

What is here is pure: who they are and what they do. Whoever carries it out is elsewhere.
"""

from streambank.bank.demo.generator import Deed, Entry, Generator, Place
from streambank.bank.demo.life import USUAL_CATEGORIES
from streambank.bank.demo.people import DemoAccount, Person, Purpose, person
from streambank.bank.demo.plans import PlannedBudget, PlannedSavings, Watch, budgets, savings, watches
from streambank.bank.demo.sharing import Payment

__all__ = [
    "USUAL_CATEGORIES",
    "Deed",
    "DemoAccount",
    "Entry",
    "Generator",
    "Payment",
    "Person",
    "Place",
    "PlannedBudget",
    "PlannedSavings",
    "Purpose",
    "Watch",
    "budgets",
    "person",
    "savings",
    "watches",
]
