"""Names for ids: who a user is, and what an account is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streambank.cli.errors import CommandError
from streambank.cli.personal import ERASED, Keys

if TYPE_CHECKING:
    from streambank.bank.events import Account, AlertRaised, Balance, UserProfile
    from streambank.log import EventLog


@dataclass(slots=True)
class People:
    """The profiles and accounts of a log, as they are there: names and addresses may be sealed.

    What the methods return can be read. An id that is not known is its own name, and one that was erased is (erased).
    """

    profiles: dict[str, UserProfile] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: Keys = field(default_factory=Keys)
    erased_users: set[str] = field(default_factory=set)
    erased_accounts: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, log: EventLog) -> People:
        """Those that are in the log now."""
        from streambank.bank.events import ACCOUNT, USER_PROFILE
        from streambank.cli.reading import latest_and_removed

        profiles, erased_users = latest_and_removed(log, USER_PROFILE)
        accounts, erased_accounts = latest_and_removed(log, ACCOUNT)
        return cls(profiles, accounts, Keys.read(log), erased_users, erased_accounts)

    def name(self, user_id: str) -> str:
        """The user's name."""
        if user_id in self.erased_users:
            return ERASED
        profile = self.profiles.get(user_id)
        return self.keys.unsealed(user_id, profile.name) if profile is not None else user_id

    def address(self, user_id: str) -> str:
        """The user's e-mail address; empty where there is no profile."""
        profile = self.profiles.get(user_id)
        return self.keys.unsealed(user_id, profile.email) if profile is not None else ""

    def account_name(self, account_id: str) -> str:
        """The account's name."""
        account = self.accounts.get(account_id)
        if account_id in self.erased_accounts or (account is not None and account.user_id in self.erased_users):
            return ERASED
        return self.keys.unsealed(account.user_id, account.name) if account is not None else account_id

    def scope(self, about: Balance | AlertRaised) -> str:
        """What a balance or an alert is about: an account's name, or all accounts in one currency."""
        if about.scope.value == "total":
            return f"all {about.currency.value} accounts"
        return self.account_name(about.scope_id)

    def counterparty(self, of: Balance) -> str:
        """Who the last entry of a balance was with; empty if it does not say."""
        text = of.entry.counterparty
        return self.keys.unsealed(of.user_id, text) if text else ""

    def matching(self, text: str) -> set[str]:
        """The ids of the users that ``text`` names: by id, or by a part of the name or address.

        Raises:
            CommandError: nobody is.
        """
        accounts = self.accounts.values()
        known = self.profiles.keys() | self.erased_users | {account.user_id for account in accounts}
        if text in known:
            return {text}
        wanted = text.casefold()
        found = {
            user_id
            for user_id in self.profiles
            if wanted in self.name(user_id).casefold() or wanted in self.address(user_id).casefold()
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
        wanted = text.casefold()
        named = [a for a in self.accounts.values() if self.account_name(a.account_id).casefold() == wanted]
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(sorted(account.account_id for account in named)[:5])
            raise CommandError(f"{len(named)} accounts are called {text!r}; give an id, such as {ids}")
        raise CommandError(f"there is no account {text!r}; `streambank balances -o jsonl` shows names and ids")
