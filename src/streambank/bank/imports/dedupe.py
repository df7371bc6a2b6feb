"""Telling what is new: entry ids that follow from the rows, against what the log holds."""

from streambank.bank.booked import Booked, BookedAccount
from streambank.bank.events.money import INT64_MAX, INT64_MIN
from streambank.bank.imports.entries import ImportedEntry
from streambank.ids import derived_id


class Fresh:
    """Decides which entries are new. Feed it the entries in order; it takes about 250 bytes for each.

    Equal rows of an account are told apart by counting them within the file: two real coffees on one day are two
    entries, and are still two when the file, or another that overlaps with it, is read again.
    """

    def __init__(self, booked: Booked) -> None:
        self._booked = booked.entries
        self._had_entries = {account_id for account_id, account in booked.entries.items() if account.last_seq}
        self._seen: set[str] = set()
        self._repeats: dict[str, int] = {}

    def entry_id(self, entry: ImportedEntry) -> str | None:
        """The id of an entry that is to be written; None if the log, or the file before this row, has it.

        Raises:
            OverflowError: the account's balance would go beyond 64 bits.
        """
        account = self._booked.setdefault(entry.account_id, BookedAccount())
        if entry.only_if_new and entry.account_id in self._had_entries:
            return None
        if entry.unique:
            entry_id = derived_id("entry", entry.account_id, entry.identity)
        else:
            entry_id = derived_id("entry", entry.account_id, entry.identity, "1")
            if entry_id in self._seen:
                count = self._repeats[entry_id] = self._repeats.get(entry_id, 1) + 1
                entry_id = derived_id("entry", entry.account_id, entry.identity, str(count))
            else:
                self._seen.add(entry_id)
        if entry_id in account.entry_ids:
            return None
        balance = account.balance_minor + entry.signed_minor
        if not INT64_MIN <= balance <= INT64_MAX:
            raise OverflowError("the account's balance would go beyond 64 bits")
        account.entry_ids.add(entry_id)
        account.balance_minor = balance
        account.last_seq += 1
        return entry_id

    def last_seq(self, account_id: str) -> int:
        """The number of the account's newest entry, counting those that are to be written."""
        return self._booked[account_id].last_seq
