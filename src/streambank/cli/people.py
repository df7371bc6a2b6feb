"""Names for ids: who a user is, and what an account is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streambank.cli.errors import CommandError

if TYPE_CHECKING:
    from streambank.bank.events import Account, AlertRaised, Balance, UserProfile
    from streambank.log import EventLog


@dataclass(slots=True)
class People:
    """The profiles and accounts of a log. An id that is not known is its own name."""

    profiles: dict[str, UserProfile] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    @classmethod
    def read(cls, log: EventLog) -> People:
        """Those that are in the log now."""
        from streambank.bank.events import ACCOUNT, USER_PROFILE
        from streambank.cli.reading import latest

        return cls(latest(log, USER_PROFILE), latest(log, ACCOUNT))

    def name(self, user_id: str) -> str:
        """The user's name."""
        profile = self.profiles.get(user_id)
        return profile.name if profile is not None else user_id

    def account_name(self, account_id: str) -> str:
        """The account's name."""
        account = self.accounts.get(account_id)
        return account.name if account is not None else account_id

    def scope(self, about: Balance | AlertRaised) -> str:
        """What a balance or an alert is about: an account's name, or all accounts in one currency."""
        if about.scope.value == "total":
            return f"all {about.currency.value} accounts"
        return self.account_name(about.scope_id)

    def matching(self, text: str) -> set[str]:
        """The ids of the users that ``text`` names: by id, or by a part of the name or address.

        Raises:
            CommandError: nobody is.
        """
        known = self.profiles.keys() | {account.user_id for account in self.accounts.values()}
        if text in known:
            return {text}
        wanted = text.casefold()
        found = {
            user_id
            for user_id, profile in self.profiles.items()
            if wanted in profile.name.casefold() or wanted in profile.email.casefold()
        }
        if not found:
            raise CommandError(f"nobody here has the id, or in their name or address the text, {text!r}")
        return found

    def account(self, text: str) -> Account:
        """The account with that id, or the only one with that name.

        Raises:
            CommandError: there is none, or several have the name.
        """
        if text in self.accounts:
            return self.accounts[text]
        named = [account for account in self.accounts.values() if account.name.casefold() == text.casefold()]
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(sorted(account.account_id for account in named)[:5])
            raise CommandError(f"{len(named)} accounts are called {text!r}; give an id, such as {ids}")
        raise CommandError(f"there is no account {text!r}; `streambank balances -o jsonl` shows names and ids")
