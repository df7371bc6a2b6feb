"""The users service: sign-up, log-in, access tokens, profile, export and erasure."""

from streambank.bank.users.endpoints import router
from streambank.bank.users.models import DATABASE
from streambank.bank.users.service import NAME, UsersService
from streambank.bank.users.settings import SettingsError, UsersSettings

__all__ = ["DATABASE", "NAME", "SettingsError", "UsersService", "UsersSettings", "router"]
