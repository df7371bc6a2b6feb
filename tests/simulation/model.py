"""The model of the money: plain sums, by which every answer is judged. Nothing here comes from the program.

A transfer is two moves that happen together or not at all, once. A hold is money that is set aside: by a pending entry,
or for a transfer until it is posted or void.

    reserve:  available - amount                    post:  booked - amount, and no longer set aside
                                                    void or expired:  no longer set aside

Between the moment that a hold's time is over and the one that the bank ends it, both are right: with it, and without.
"""

from dataclasses import dataclass, field
from typing import Literal

from tests.simulation.plans import Plans

IN_FLIGHT_MAX = 6
"""Transfers on their way at the same time: what a balance may be doubles with each."""

Expected = Literal["done", "refused", "either"]


@dataclass(frozen=True, slots=True)
class Move:
    """What may happen to one account: ``signed`` is its sign and amount.

    ``tag`` names the request that asks for it. ``hold`` is the tag of the hold that it ends, ``reverses`` the tag of
    the booked entry that it takes back.
    """

    tag: str
    account: str
    signed: int
    kind: Literal["book", "reserve", "post", "void", "reverse"]
    asked: bool = True
    expires_ms: int | None = None
    hold: str | None = None
    reverses: str | None = None
    category: str | None = None


@dataclass(slots=True)
class Hold:
    """Money set aside: ``entry_id`` is what the bank calls it."""

    tag: str
    entry_id: str
    signed: int
    expires_ms: int | None
    category: str | None = None


@dataclass(slots=True)
class Booked:
    """A booked entry of a request. ``kind`` is what the bank calls it, where it has a name."""

    entry_id: str
    signed: int
    can_be_reversed: bool
    category: str | None = None
    kind: str | None = None


@dataclass(slots=True)
class Transfer:
    """Money on its way from an account to a user's account in its currency, or to ``payee_account``.

    Until its end is known, both sides may have been booked or none, and the payer's money may be set aside.
    """

    payer: str
    payee: str
    amount: int
    currency: str
    payee_account: str | None = None
    may_hold: bool = True
    may_post: bool = True
    posted: bool = False

    @property
    def kind(self) -> str:
        """What the bank calls its entries."""
        return "INTERNAL_TRANSFER" if self.payee_account else "TRANSFER"

    def reaches(self, account: "AccountModel") -> bool:
        """Whether it may be to that account."""
        if account.account_id == self.payer or account.currency != self.currency:
            return False
        return account.account_id == self.payee_account if self.payee_account else account.user == self.payee


@dataclass(slots=True)
class AccountModel:
    """One account. ``limit`` None: nothing is refused."""

    account_id: str
    user: str
    currency: str
    limit: int | None
    booked: int = 0
    holds: dict[str, Hold] = field(default_factory=dict)
    entries: dict[str, Booked] = field(default_factory=dict)
    booked_count: int = 0

    def due(self, now_ms: int) -> list[Hold]:
        """Holds that may have ended by themselves."""
        return [hold for hold in self.holds.values() if hold.expires_ms is not None and hold.expires_ms <= now_ms]

    def reserved(self, now_ms: int) -> tuple[int, int]:
        """The least and the most that is set aside of the account's money."""
        most = sum(-hold.signed for hold in self.holds.values() if hold.signed < 0)
        return most - sum(-hold.signed for hold in self.due(now_ms) if hold.signed < 0), most

    def expected(self, move: Move, now_ms: int, out: int = 0, come: int = 0) -> Expected:
        """What the bank has to answer. ``out`` and ``come``: what transfers may have taken away, and brought."""
        ended = move.hold is not None and move.hold in {hold.tag for hold in self.due(now_ms)}
        needed = max(0, -move.signed)
        if move.kind == "post" and move.hold is not None:
            # What is set aside for it is there.
            needed = max(0, needed - max(0, -self.holds[move.hold].signed))
        if not move.asked or self.limit is None or move.kind == "void" or needed == 0:
            return "either" if ended else "done"
        least, most = self.reserved(now_ms)
        if self.booked + come - least + self.limit < needed:
            return "refused"
        if self.booked - out - most + self.limit < needed or ended:
            return "either"
        return "done"

    def apply(self, move: Move, entry_id: str) -> None:
        """It was done."""
        if move.kind == "reserve":
            self.holds[move.tag] = Hold(move.tag, entry_id, move.signed, move.expires_ms, move.category)
            return
        if move.hold is not None:
            # A hold that the bank ended by itself is gone already.
            self.holds.pop(move.hold, None)
        if move.kind == "void":
            return
        self.booked += move.signed
        self.booked_count += 1
        self.entries[move.tag] = Booked(entry_id, move.signed, move.reverses is None, move.category)
        if move.reverses is not None:
            self.entries[move.reverses].can_be_reversed = False

    def end_due(self, now_ms: int) -> None:
        """All is quiet, so that what could end has ended."""
        for hold in self.due(now_ms):
            del self.holds[hold.tag]


class Books:
    """All accounts and transfers, and the requests whose answer has not come: what they ask for may be done or not.

    Transfers are named by the request that asks for them, and once that is answered by the bank's id.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, AccountModel] = {}
        self.in_doubt: dict[str, Move] = {}
        self.transfers: dict[str, Transfer] = {}
        self.erased: set[str] = set()
        self.opening: set[str] = set()
        self.zones: dict[str, str] = {}
        self.plans = Plans()
        self.categories: dict[str, list[str]] = {}
        self.latest_ms = 0

    def of(self, user: str) -> list[AccountModel]:
        """A user's accounts."""
        return [account for account in self.accounts.values() if account.user == user]

    def see_time(self, wall_ms: int) -> int:
        """The latest that any clock has shown: what could have ended by then may have ended."""
        self.latest_ms = max(self.latest_ms, wall_ms)
        return self.latest_ms

    def may_have(self, account_id: str) -> set[int]:
        """The balances that the account may have now, as far as the answers tell."""
        account = self.accounts[account_id]
        balances = {account.booked}
        for move in self.in_doubt.values():
            if move.account == account_id and move.kind not in ("reserve", "void"):
                balances |= {balance + move.signed for balance in balances}
        for signed in self._on_their_way(account):
            balances |= {balance + signed for balance in balances}
        return balances

    def _on_their_way(self, account: AccountModel) -> list[int]:
        """What transfers may bring to an account or take from it, whether it is booked already or not."""
        moving = [transfer for transfer in self.transfers.values() if transfer.may_post]
        return [-t.amount for t in moving if t.payer == account.account_id] + [
            t.amount for t in moving if t.reaches(account)
        ]

    def outgoing(self, account_id: str) -> int:
        """What transfers may have set aside or taken from an account."""
        transfers = self.transfers.values()
        return sum(t.amount for t in transfers if t.payer == account_id and (t.may_hold or t.may_post))

    def expected(self, move: Move, now_ms: int) -> Expected:
        """What the bank has to answer to a move."""
        account = self.accounts[move.account]
        come = sum(signed for signed in self._on_their_way(account) if signed > 0)
        return account.expected(move, now_ms, self.outgoing(move.account), come)

    def is_moving(self, user: str) -> bool:
        """Whether transfers may still change a user's balances."""
        return any(signed for account in self.of(user) for signed in self._on_their_way(account))

    def is_crowded(self) -> bool:
        """Whether enough is on its way."""
        return sum(transfer.may_post for transfer in self.transfers.values()) >= IN_FLIGHT_MAX

    def explains(self, account: AccountModel, signed: int) -> bool:
        """Whether a request without an answer, or a transfer on its way, may have booked that."""
        asked = any(m.account == account.account_id and m.signed == signed for m in self.in_doubt.values())
        return asked or signed in self._on_their_way(account)

    def post(self, transfer: Transfer, debit: tuple[str, str], credit: tuple[str, str]) -> None:
        """Both sides of a transfer are booked; of each the account and the entry."""
        transfer.may_post = transfer.may_hold = False
        transfer.posted = True
        for (account_id, entry_id), signed in ((debit, -transfer.amount), (credit, transfer.amount)):
            account = self.accounts[account_id]
            account.booked += signed
            account.booked_count += 1
            account.entries[entry_id] = Booked(entry_id, signed, False, kind=transfer.kind)

    def total(self, user: str, currency: str) -> int:
        """The sum of a user's accounts in one currency."""
        return sum(account.booked for account in self.of(user) if account.currency == currency)
