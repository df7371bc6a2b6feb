"""How a person of the demo becomes a customer: they sign up, answer the mail, log in, open accounts, and make plans.

What was done by an earlier run is not done again: whoever has signed up logs in, and accounts are looked for first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date

import httpx
import structlog

from streambank.bank.client import ApiError, Client, NotLoggedInError, Password, Versioned
from streambank.bank.demo import USUAL_CATEGORIES, DemoAccount, Person, Place, Purpose
from streambank.bank.events import AccountKind, Role
from streambank.bank.transactions.schemas import AccountView, OpenAccount, TransactionView
from streambank.bank.users.schemas import SignUp
from streambank.cli.demo.customer import Customer
from streambank.cli.demo.errors import DemoError
from streambank.cli.demo.mail import FindCode
from streambank.cli.demo.planning import make_plans

logger = structlog.get_logger(__name__)

MAIL_LOOK_S = 0.05
MAIL_LOOKS_MAX = 600
"""Half a minute: a mail is there within a tenth of a second, unless the machine has other things to do."""

ENTRIES_LOOKED_AT = 1_000
"""How far back the last live day is looked for, behind what its owner may have recorded by hand since."""

_KINDS = {
    Purpose.CHECKING: AccountKind.CHECKING,
    Purpose.SAVINGS: AccountKind.SAVINGS,
    Purpose.CARD: AccountKind.CREDIT_CARD,
}
_REFERENCE = re.compile(r"(\d{4}-\d\d-\d\d)/[a-z0-9-]+")


class Joining:
    """Lets people join. May be used by several threads."""

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport,
        find_code: FindCode,
        *,
        seed: int,
        known: Iterable[str],
        sleep: Callable[[float], None],
    ) -> None:
        """``known`` are the addresses that the bank has. ``sleep`` is called between attempts, and may raise."""
        self._url = url
        self._transport = _Shared(transport)
        self._find_code = find_code
        self._seed = seed
        self._known = frozenset(known)
        self._sleep = sleep

    def join(self, one: Person, history_end: date, today: date) -> Customer | None:
        """The person as a customer; None: their password is not the demo's any more, so they are let be.

        Raises:
            DemoError: no mail arrives.
            ClientError: the bank refuses, or cannot be reached.
        """
        shown = Password(one.email, one.password)
        client = Client(self._url, shown, transport=self._transport, sleep=self._sleep)
        try:
            self._let_in(client, one)
        except NotLoggedInError:
            logger.warning("cannot log in with the demo's password, and is left out", person=one.number)
            return None
        # Fresh: the ledger has heard of its new customer then.
        named = {category.value.name: category.value.id for category in client.fresh.categories.list()}
        categories = {ours: named[name] for ours, name in USUAL_CATEGORIES.items() if name in named}
        held = _held(one, client.accounts.list())
        accounts = {
            account.purpose: held.get(account.purpose) or _open(client, one, account) for account in one.accounts
        }
        ids = {purpose: account.id for purpose, account in accounts.items()}
        customer = Customer(one, client, ids, categories)
        if not any(account.balance.last_seq for account in accounts.values()):
            # Before anything is booked: who has entries has made their plans, and may have thought better of them.
            make_plans(customer, self._seed, today)
            return customer
        balances = {purpose: account.balance.booked_minor for purpose, account in accounts.items()}
        entries = (entry.value for entry in client.transactions.search(page_items=50))
        purposes = {account_id: purpose for purpose, account_id in ids.items()}
        return replace(customer, place=place_of(balances, purposes, entries, history_end))

    def _let_in(self, client: Client, one: Person) -> None:
        if one.email not in self._known:
            before = self._find_code(one.email)
            country = one.country
            client.users.sign_up(
                SignUp(
                    email=one.email,
                    password=one.password,
                    name=one.name,
                    locale=country.locale.replace("_", "-"),
                    timezone=country.timezone,
                )
            )
            self._verify(client, one, tried=before)
            client.log_in()
        elif "transactions:write" not in client.log_in().split():
            client.users.send_verification_mail(one.email)
            self._verify(client, one, tried=None)

    def _verify(self, client: Client, one: Person, tried: str | None) -> None:
        """Answer the mail. One that came before it may have a code that is not good any more."""
        for _ in range(MAIL_LOOKS_MAX):
            code = self._find_code(one.email)
            if code is not None and code != tried:
                try:
                    client.users.verify(code)
                    return
                except ApiError as error:
                    if error.status != 422:
                        raise
                    tried = code
            self._sleep(MAIL_LOOK_S)
        raise DemoError(f"no e-mail to verify an address has come within {MAIL_LOOKS_MAX * MAIL_LOOK_S:.0f} s")


def place_of(
    balances: dict[Purpose, int], purposes: dict[str, Purpose], newest_first: Iterable[TransactionView], end: date
) -> Place:
    """Where somebody stands, from their entries; ``purposes`` are their accounts by id, ``end`` is the history's.

    What was recorded by hand is none of the demo's and passed over. Without a live entry balances are not told: the
    history may have to be completed first.
    """
    newest: date | None = None
    done: set[tuple[Purpose, str]] = set()
    for count, entry in enumerate(newest_first):
        reference, purpose = entry.end_to_end_id or "", purposes.get(entry.account_id)
        day = _day_of(reference)
        if day is not None and purpose is not None:
            if day < (newest or end):
                break
            newest = day
            done.add((purpose, reference))
        if count >= ENTRIES_LOOKED_AT:
            break
    return Place(balances, newest, frozenset(done)) if newest is not None else Place({})


def _day_of(reference: str) -> date | None:
    """The day of a person's life that an entry of that name is of; None: it is none of the demo's."""
    found = _REFERENCE.fullmatch(reference)
    try:
        return date.fromisoformat(found[1]) if found is not None else None
    except ValueError:
        return None


def _held(one: Person, accounts: Iterable[Versioned[AccountView]]) -> dict[Purpose, AccountView]:
    """The person's accounts that there are: by kind and number, since they may have been renamed."""
    own = [account.value for account in accounts if account.value.role is Role.OWNER]
    return {
        account.purpose: view
        for account in one.accounts
        for view in own
        if view.kind is _KINDS[account.purpose] and view.number_last4 == account.number_last4
    }


def _open(client: Client, one: Person, account: DemoAccount) -> AccountView:
    body = OpenAccount(
        name=account.name,
        currency=one.country.currency.value,
        kind=_KINDS[account.purpose],
        number_last4=account.number_last4,
        overdraft_limit_minor=account.overdraft_limit_minor,
    )
    return client.accounts.open(body).value


class _Shared(httpx.BaseTransport):
    """Connections that many clients share: none of them closes it."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport.handle_request(request)
