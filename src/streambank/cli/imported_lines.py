"""What readers of files understand, as lines that the bank's API imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
from iso4217 import Currency

from streambank.bank.events import CreditDebit
from streambank.bank.imports import ImportedEntry, Reject
from streambank.bank.imports.entries import OPENING, Report
from streambank.clock import to_datetime
from streambank.ids import derived_id

KIND_CHARS_MAX = REFERENCE_CHARS_MAX = 35
PARTY_CHARS_MAX = 140
TEXT_CHARS_MAX = 1_000
"""What the bank takes, after ISO 20022. Banks' own exports run texts together, and are longer now and then."""

_encode = msgspec.json.Encoder().encode


class ImportedLines:
    """Turns the entries of one account of a file into lines, and remembers where each was in its file.

    A line's ``external_id`` follows from what the row says, not from the file: the same row of another file that
    overlaps is the same entry. Rows that are equal are told apart by counting them within the file.
    """

    def __init__(self, label: str, account_id: str, currency: Currency, *, is_new: bool, report: Report) -> None:
        """``account_id``: the account with the bank; ``is_new``: it has no entries, so that an opening may be booked.

        Rows that the bank cannot take go to ``report``.
        """
        self.cut_texts = 0
        self.rows: list[int] = []
        self.label = label
        self._account_id = account_id
        self._currency = currency
        self._is_new = is_new
        self._report = report
        self._seen: Counter[str] = Counter()

    def lines(self, entries: Iterable[ImportedEntry]) -> Iterator[bytes]:
        """The lines, in the order of the entries."""
        for entry in entries:
            line = self._line(entry)
            if line is not None:
                self.rows.append(entry.line)
                yield line

    def _line(self, entry: ImportedEntry) -> bytes | None:
        if entry.only_if_new and not self._is_new:
            return None
        if entry.signed_minor == 0:
            if entry.kind != OPENING:
                self._report.reject(Reject(self.label, entry.line, "amount: is 0, which is no entry to the bank"))
            return None
        told = {
            "account_id": self._account_id,
            "external_id": self._external_id(entry),
            "credit_debit": (CreditDebit.CREDIT if entry.signed_minor > 0 else CreditDebit.DEBIT).value,
            "amount": {"amount_minor": abs(entry.signed_minor), "currency": self._currency.value},
            "booking_date": entry.booking_date,
            "value_date": entry.value_date,
            "occurred_at": to_datetime(entry.occurred_ms),
            "kind": self._cut(entry.kind, KIND_CHARS_MAX),
            "counterparty": self._cut(entry.counterparty, PARTY_CHARS_MAX),
            "counterparty_account": self._cut(entry.counterparty_account, PARTY_CHARS_MAX),
            "end_to_end_id": self._cut(entry.end_to_end_id, REFERENCE_CHARS_MAX),
            "remittance": self._cut(entry.remittance, TEXT_CHARS_MAX),
        }
        return _encode({name: value for name, value in told.items() if value is not None})

    def _external_id(self, entry: ImportedEntry) -> str:
        if entry.unique:
            return derived_id("imported", entry.identity)
        self._seen[entry.identity] += 1
        return derived_id("imported", entry.identity, str(self._seen[entry.identity]))

    def _cut(self, text: str | None, chars_max: int) -> str | None:
        if text is None:
            return None
        whole = text.replace("\0", "")
        if len(whole) > chars_max:
            self.cut_texts += 1
        return whole[:chars_max].strip() or None
