"""The bank's API from Python: typed, patient, and never doing a thing twice."""

from streambank.bank.client.accounts import Accounts, Shared
from streambank.bank.client.batch import BatchLine, LineResult
from streambank.bank.client.budgets import Budgets
from streambank.bank.client.categories import Categories
from streambank.bank.client.client import DEFAULT_URL, Client
from streambank.bank.client.connection import Patience
from streambank.bank.client.credentials import ApiKey, Ask, Credentials, Password, RefreshToken
from streambank.bank.client.errors import (
    AnswerError,
    ApiError,
    ApiFieldError,
    ClientError,
    NotLoggedInError,
    UnreachableError,
)
from streambank.bank.client.goals import Goals
from streambank.bank.client.imports import Imports
from streambank.bank.client.limits import Limits
from streambank.bank.client.payments import Payments
from streambank.bank.client.rules import Rules
from streambank.bank.client.thresholds import Thresholds
from streambank.bank.client.transactions import State, Transactions
from streambank.bank.client.users import Users
from streambank.bank.client.versioned import Versioned

__all__ = [
    "DEFAULT_URL",
    "Accounts",
    "AnswerError",
    "ApiError",
    "ApiFieldError",
    "ApiKey",
    "Ask",
    "BatchLine",
    "Budgets",
    "Categories",
    "Client",
    "ClientError",
    "Credentials",
    "Goals",
    "Imports",
    "Limits",
    "LineResult",
    "NotLoggedInError",
    "Password",
    "Patience",
    "Payments",
    "RefreshToken",
    "Rules",
    "Shared",
    "State",
    "Thresholds",
    "Transactions",
    "UnreachableError",
    "Users",
    "Versioned",
]
