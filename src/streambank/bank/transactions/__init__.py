"""The transactions service: accounts, a double-entry ledger, and what people make of their entries."""

from streambank.bank.transactions.entries import Money, NewEntry
from streambank.bank.transactions.models import DATABASE
from streambank.bank.transactions.service import GROUP, TransactionsService
from streambank.bank.transactions.verification import check_ledger

__all__ = ["DATABASE", "GROUP", "Money", "NewEntry", "TransactionsService", "check_ledger"]
