"""What is made of the texts of entries, each text once: an account's entries tell the same few again and again."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from streambank.bank.events.personal import seal
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.words import WORDS_MAX, WordHasher, words_of

ACCOUNTS_MAX = 32
TEXTS_MAX = 1_000
TEXT_CHARACTERS_MAX = 140
"""Texts that are remembered, of the accounts that had entries lately: some megabytes. Longer ones seldom come again."""

T = TypeVar("T")


class Texts:
    """The texts of one account's entries: sealed for events, and the tokens to find them by."""

    def __init__(self, owner_id: str, key: bytes, search_key: bytes | None) -> None:
        self._owner_id = owner_id
        self._key = key
        self._hasher = None if search_key is None else WordHasher(search_key)
        self._sealed: dict[str, str] = {}
        self._tokens: dict[str, list[str]] = {}

    def sealed(self, text: str | None) -> str | None:
        """The sealed text; None stays None."""
        if text is None:
            return None
        return self._sealed.get(text) or _remember(self._sealed, text, seal(self._key, self._owner_id, text))

    def tokens(self, texts: Iterable[str | None]) -> list[str]:
        """A token for each of the :func:`words_of` the texts; none where the account cannot be searched any more."""
        if self._hasher is None:
            return []
        found: list[str] = []
        for text in texts:
            if text:
                tokens = self._tokens.get(text)
                if tokens is None:
                    tokens = _remember(self._tokens, text, self._hasher(words_of([text])))
                found += tokens
        return list(dict.fromkeys(found))[:WORDS_MAX]


class TextMemory:
    """The :class:`Texts` of the accounts that had entries lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes | None, bytes | None], Texts] = OrderedDict()

    def of(self, account: LedgerAccount) -> Texts:
        """Those of an account."""
        place = (account.owner_id or "", account.key, account.search_key)
        texts = self._known.pop(place, None) or Texts(place[0], account.key or b"", account.search_key)
        self._known[place] = texts
        if len(self._known) > ACCOUNTS_MAX:
            self._known.popitem(last=False)
        return texts

    def forget(self, owner_id: str) -> None:
        """Forget what a user's entries told."""
        for place in [place for place in self._known if place[0] == owner_id]:
            del self._known[place]


def _remember(known: dict[str, T], text: str, made: T) -> T:
    if len(text) <= TEXT_CHARACTERS_MAX:
        if len(known) >= TEXTS_MAX:
            known.clear()
        known[text] = made
    return made
