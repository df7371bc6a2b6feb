"""Accounts: opened, renamed, shared and closed; their balances and statements."""

from dataclasses import dataclass
from datetime import date

from streambank.bank.client.part import Part, parse_versioned, path_of
from streambank.bank.client.versioned import Versioned, versioned
from streambank.bank.events import Role
from streambank.bank.transactions.schemas import (
    AccountList,
    AccountView,
    BalanceView,
    ChangeAccount,
    MemberBody,
    MemberList,
    MemberView,
    OpenAccount,
    Statement,
)
from streambank.service.http.page import LIMIT_MAX


@dataclass(frozen=True, slots=True)
class Shared:
    """The members of an account. What changes them needs the account's version, which this has."""

    account_id: str
    members: list[MemberView]
    version: int


class Accounts(Part):
    """Your accounts, and those that are shared with you."""

    service = "transactions"

    def list(self) -> "list[Versioned[AccountView]]":
        """All of them, in the order in which they were opened."""
        return versioned(self._get(AccountList, "/v1/accounts").items)

    def open(self, body: OpenAccount, *, key: str | None = None) -> Versioned[AccountView]:
        """Open an account."""
        return self._post_versioned(AccountView, "/v1/accounts", body, key)

    def get(self, account_id: str) -> Versioned[AccountView]:
        """One account with its balance."""
        return self._get_versioned(AccountView, path_of("accounts", account_id))

    def change(self, account: Versioned[AccountView], body: ChangeAccount) -> Versioned[AccountView]:
        """Rename an account, or set its overdraft limit."""
        return self._change(AccountView, "PATCH", path_of("accounts", account.value.id), account, body)

    def close(self, account: Versioned[AccountView]) -> Versioned[AccountView]:
        """Close an account that is empty. Its entries stay."""
        return self._change(AccountView, "DELETE", path_of("accounts", account.value.id), account)

    def reopen(self, account_id: str, *, key: str | None = None) -> Versioned[AccountView]:
        """Open a closed account again."""
        return self._post_versioned(AccountView, f"{path_of('accounts', account_id)}:reopen", None, key)

    def balance(self, account_id: str) -> BalanceView:
        """An account's balance: booked, pending and available."""
        return self._get(BalanceView, path_of("accounts", account_id, "balance"))

    def statement(self, account_id: str, from_date: date, to_date: date) -> Statement:
        """What was booked from the one day to the other, with the balances before and after it: all its pages in one.

        Entries that are booked meanwhile may be missing in it, as in any statement.
        """
        path = path_of("accounts", account_id, "statements")
        query: dict[str, str | int | None] = {
            "from": from_date.isoformat(),
            "to": to_date.isoformat(),
            "limit": LIMIT_MAX,
        }
        whole = page = self._get(Statement, path, query)
        items = [*whole.items]
        while page.next is not None:
            page = self._get(Statement, path, {**query, "cursor": page.next})
            items += page.items
        return whole.model_copy(update={"items": items, "next": None})

    def members(self, account_id: str) -> Shared:
        """Who may use or see an account."""
        found = self._get_versioned(MemberList, path_of("accounts", account_id, "members"))
        return Shared(account_id, found.value.items, found.version)

    def share(self, account: Versioned[AccountView], user_id: str, role: Role) -> Versioned[MemberView]:
        """Share an account with another user, or give them another role. The result has the account's new version."""
        path = path_of("accounts", account.value.id, "members", user_id)
        response = self._send("PUT", path, body=MemberBody(role=role), version=account.version)
        return parse_versioned(MemberView, response)

    def unshare(self, account: Versioned[AccountView], user_id: str) -> None:
        """End a member's share. Anybody may end their own."""
        path = path_of("accounts", account.value.id, "members", user_id)
        self._send("DELETE", path, version=account.version)
