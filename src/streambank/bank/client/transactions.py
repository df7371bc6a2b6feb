"""Entries of the ledger: recorded one by one or in bulk, searched, settled, corrected."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Literal, TypeAlias

from streambank.bank.client.batch import BatchLine, LineResult, decode_results, requests
from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, pages, path_of
from streambank.bank.client.streaming import exported
from streambank.bank.client.versioned import Versioned
from streambank.bank.transactions.schemas import (
    BookTransaction,
    ChangeTransaction,
    NewTransaction,
    ReverseTransaction,
    TagList,
    TagView,
    TransactionView,
)
from streambank.service.http.page import Page

State: TypeAlias = Literal["booked", "pending", "current", "all"]


class Transactions(Part):
    """Entries in your accounts."""

    service = "transactions"

    def search(
        self,
        *,
        words: str | None = None,
        account_id: str | None = None,
        category_id: str | None = None,
        tag: str | None = None,
        amount_min_minor: int | None = None,
        amount_max_minor: int | None = None,
        from_date: date | None = None,
        to_date: date | None = None,
        state: State = "current",
        page_items: int | None = None,
    ) -> Iterator[Versioned[TransactionView]]:
        """Entries that meet all conditions, the latest recorded first.

        Args:
            words: all of them are in counterparty, remittance or notes.
            category_id: this category, or one under it.
            amount_min_minor: in minor units, without sign, as ``amount_max_minor``.
            state: ``current``: booked, or pending and not ended.
            page_items: how many to get at once.
        """
        query = {
            "q": words,
            "account_id": account_id,
            "category_id": category_id,
            "tag": tag,
            "amount_min_minor": amount_min_minor,
            "amount_max_minor": amount_max_minor,
            "from": from_date.isoformat() if from_date is not None else None,
            "to": to_date.isoformat() if to_date is not None else None,
            "state": state,
        }
        found = pages(
            lambda cursor, limit: self._get(
                Page[TransactionView], "/v1/transactions", {**query, "cursor": cursor, "limit": limit}
            ),
            page_items,
        )
        return (Versioned(item, item.version) for item in found)

    def record(self, body: NewTransaction, *, key: str | None = None) -> Versioned[TransactionView]:
        """Record an entry. With an ``external_id`` that the account has already: the entry that is there."""
        return self._post_versioned(TransactionView, "/v1/transactions", body, key)

    def record_all(self, lines: Iterable[BatchLine]) -> Iterator[LineResult]:
        """Record many entries, each with an ``external_id``: one result each, in their order.

        Lines go out by the thousands as the results are taken. One that is refused stops none of the others; after an
        error, send all of them again: what was recorded already is told to be a duplicate.
        """
        first_line = 1
        for body, count in requests(lines):
            call = Call(
                service=self.service,
                method="POST",
                path="/v1/transactions:batch",
                body=body,
                media_type="application/x-ndjson",
                harmless=True,
            )
            yield from decode_results(self._connection.send(call), first_line, count)
            first_line += count

    def export(self) -> Iterator[TransactionView]:
        """Every entry of your accounts, oldest first."""
        call = Call(service=self.service, method="GET", path="/v1/transactions/export", fresh=self._fresh)
        return exported(self._connection, call, TransactionView)

    def get(self, entry_id: str) -> Versioned[TransactionView]:
        """One entry."""
        return self._get_versioned(TransactionView, path_of("transactions", entry_id))

    def change(self, entry: Versioned[TransactionView], body: ChangeTransaction) -> Versioned[TransactionView]:
        """Change notes, tags, category or parts; what is not set in ``body`` stays, None takes away."""
        return self._change(TransactionView, "PATCH", path_of("transactions", entry.value.id), entry, body)

    def reverse(
        self, entry_id: str, body: ReverseTransaction | None = None, *, key: str | None = None
    ) -> Versioned[TransactionView]:
        """Take back a booked entry; the entry that does it."""
        path = f"{path_of('transactions', entry_id)}:reverse"
        return self._post_versioned(TransactionView, path, body or ReverseTransaction(), key)

    def book(
        self, entry_id: str, body: BookTransaction | None = None, *, key: str | None = None
    ) -> Versioned[TransactionView]:
        """Settle a pending entry; the booked one."""
        path = f"{path_of('transactions', entry_id)}:book"
        return self._post_versioned(TransactionView, path, body or BookTransaction(), key)

    def void(self, entry_id: str, *, key: str | None = None) -> Versioned[TransactionView]:
        """End a pending entry that does not come; the entry that ends it."""
        return self._post_versioned(TransactionView, f"{path_of('transactions', entry_id)}:void", None, key)

    def tags(self) -> list[TagView]:
        """All tags in use in your accounts."""
        return self._get(TagList, "/v1/tags").items
