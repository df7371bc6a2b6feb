"""Imports: files of entries, which can be undone as a whole."""

from collections.abc import Iterable, Iterator

from streambank.bank.client.batch import IMPORT_LINES, BatchLine, requests
from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, pages, parse_versioned, path_of
from streambank.bank.client.versioned import Versioned
from streambank.bank.transactions.schemas import ImportView
from streambank.service.http.page import Page


class Imports(Part):
    """Files that were read in."""

    service = "transactions"

    def send(self, account_id: str, lines: Iterable[BatchLine]) -> Iterator[Versioned[ImportView]]:
        """Import the entries of a file, ten thousand a request: after each of them, the import as it is then.

        A request is taken whole or refused whole, with a problem that names its lines. What went before it stays, and
        can be undone. Entries that an overlapping file brought already are counted as duplicates.
        """
        path = path_of("accounts", account_id, "imports")
        import_id: str | None = None
        for body, _ in requests(lines, IMPORT_LINES):
            call = Call(
                service=self.service,
                method="POST",
                path=path,
                query={"import_id": import_id},
                body=body,
                media_type="application/x-ndjson",
                key=self._connection.new_key(),
            )
            found = parse_versioned(ImportView, self._connection.send(call))
            import_id = found.value.id
            yield found

    def list(self, *, page_items: int | None = None) -> Iterator[Versioned[ImportView]]:
        """Imports into your accounts, the latest first."""
        found = pages(
            lambda cursor, limit: self._get(Page[ImportView], "/v1/imports", {"cursor": cursor, "limit": limit}),
            page_items,
        )
        return (Versioned(item, item.version) for item in found)

    def get(self, import_id: str) -> Versioned[ImportView]:
        """One import."""
        return self._get_versioned(ImportView, path_of("imports", import_id))

    def undo(self, imported: Versioned[ImportView]) -> Versioned[ImportView]:
        """Reverse what an import booked, but for what was corrected since."""
        return self._change(ImportView, "DELETE", path_of("imports", imported.value.id), imported)
