"""Reading one's mail: the code in the e-mail by which the bank has an address verified."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from pathlib import Path
from typing import Protocol

from streambank.bank.mailbox import MailboxStore

MAILS_LOOKED_AT = 5
"""The newest ones to an address: the bank sends hardly more at once."""

_LINK = re.compile(r"/verify-email#token=([A-Za-z0-9_.~-]+)")


class FindCode(Protocol):
    """Finds the code in the newest e-mail to an address that has one; None: there is none yet."""

    def __call__(self, email: str) -> str | None:
        """May be called by several threads."""


class BuiltInMailbox:
    """Looks into the mailbox in a data folder, which exists."""

    def __init__(self, path: Path) -> None:
        self._store = MailboxStore.open(path)

    def __call__(self, email: str) -> str | None:
        """See :class:`FindCode`."""
        for message in self._store.messages(limit=MAILS_LOOKED_AT, query=f'to:"{email}"'):
            stored = self._store.get(message.id)
            if stored is None:
                continue
            body = message_from_bytes(stored.raw, policy=policy.default).get_body(("plain",))
            found = _LINK.search(str(body.get_content())) if body is not None else None
            if found is not None:
                return found[1]
        return None

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._store.close()
