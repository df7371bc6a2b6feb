"""What the log already holds of accounts: which entries, up to which number, and how the accounts and owners are known.

Whoever writes entries from outside, as an import does, has to go on exactly where the log ends.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from streambank.bank.events import ACCOUNT, BALANCE_CHANGED, USER_PROFILE, Account, CreditDebit, UserProfile
from streambank.bank.reading import batches, latest
from streambank.log import EventLog


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """The few fields that are needed: decoding all of them takes several times as long."""

    entry_id: str
    account_seq: int
    credit_debit: CreditDebit
    amount_minor: int


@dataclass(slots=True)
class BookedAccount:
    """An account's entries in the log: how many there are, their sum in minor units, and their ids."""

    last_seq: int = 0
    balance_minor: int = 0
    entry_ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Booked:
    """What the log holds, by account id and by user id."""

    entries: dict[str, BookedAccount] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    profiles: dict[str, UserProfile] = field(default_factory=dict)


def read_booked(log: EventLog, wanted: Callable[[str], bool]) -> Booked:
    """Read what the log holds of the accounts that are ``wanted``.

    The entries' ids take about 150 bytes each. Topics that do not exist yet count as empty. Accounts and profiles are
    those of all users: they are few.
    """
    booked = Booked()
    decode = msgspec.json.Decoder(_Entry).decode
    choice: dict[bytes, BookedAccount | None] = {}
    for batch in batches(log, BALANCE_CHANGED.name):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None or value is None:
                continue
            if key in choice:
                account = choice[key]
            else:
                account_id = key.decode()
                account = BookedAccount() if wanted(account_id) else None
                choice[key] = account
                if account is not None:
                    booked.entries[account_id] = account
            if account is None:
                continue
            entry = decode(value)
            account.last_seq = max(account.last_seq, entry.account_seq)
            credit = entry.credit_debit is CreditDebit.CREDIT
            account.balance_minor += entry.amount_minor if credit else -entry.amount_minor
            account.entry_ids.add(entry.entry_id)
    booked.accounts = latest(log, ACCOUNT)
    booked.profiles = latest(log, USER_PROFILE)
    return booked
