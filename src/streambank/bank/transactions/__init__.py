"""The transactions service: accounts, a double-entry ledger, and what people make of their entries."""

from streambank.bank.transactions.endpoints import router
from streambank.bank.transactions.entries import Money, NewEntry
from streambank.bank.transactions.models import DATABASE
from streambank.bank.transactions.service import NAME, RECEIVES, TransactionsService
from streambank.bank.transactions.verification import check_ledger

__all__ = [
    "DATABASE",
    "NAME",
    "RECEIVES",
    "Money",
    "NewEntry",
    "TransactionsService",
    "check_ledger",
    "router",
]
