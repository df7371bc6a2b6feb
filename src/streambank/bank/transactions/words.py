"""The words of entries, to search by: kept as hashes with a key of their account's own.

An index of plain words would tell what a user bought long after the user was erased, since neither SQLite's index of
words nor PostgreSQL's forgets at once. These hashes say nothing once the account's ``search_key`` is gone. They also
keep the accounts apart: a word that half of all entries have costs an account no more than its own entries.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, Text, bindparam, column, delete, insert, table, text
from sqlalchemy.dialects.postgresql import ARRAY

from streambank.bank.transactions.folding import fold
from streambank.service.bulk import BulkInsert
from streambank.service.tables import BigKey

WORDS_MAX = 64
"""Words of one entry that are kept: more than a bank's remittance has, few enough to bound a row."""

QUERY_WORDS_MAX = 8
"""Words asked for at once; each is looked up in each of the user's accounts."""

WORDS_KNOWN_MAX = 1_000
"""Words of one account that are remembered with their hashes."""

SEARCH_KEY_BYTES = 16

_HASH_BYTES = 8

_WORD = re.compile(r"[^\W_]+")


def words_of(texts: Iterable[str | None]) -> list[str]:
    """The different words of ``texts``, folded, in their order."""
    found = dict.fromkeys(_WORD.findall(fold(" ".join([t for t in texts if t]))))
    return list(found)[:WORDS_MAX]


class WordHasher:
    """Hashes the words of one account. Remembers them: what is told repeats itself."""

    def __init__(self, search_key: bytes) -> None:
        self._key = search_key
        self._known: dict[str, str] = {}

    def __call__(self, words: Sequence[str]) -> list[str]:
        """A token for each word."""
        known = self._known
        if len(known) > WORDS_KNOWN_MAX:
            known.clear()
        for word in words:
            if word not in known:
                known[word] = blake2b(word.encode(), key=self._key, digest_size=_HASH_BYTES).hexdigest()
        return [known[word] for word in words]


POSTGRESQL_WORDS = Table(
    "entry_words",
    MetaData(),
    Column("posting_num", BigKey, primary_key=True, autoincrement=False),
    Column("words", ARRAY(Text), nullable=False),
)

SQLITE_WORDS = table("entry_words", column("rowid"), column("words"))

_ADD_SQLITE = BulkInsert(SQLITE_WORDS)
_REMOVE_SQLITE = text("INSERT INTO entry_words (entry_words, rowid, words) VALUES ('delete', :num, :tokens)")
_ADD_POSTGRESQL = insert(POSTGRESQL_WORDS).values(posting_num=bindparam("num"), words=bindparam("tokens"))
_REMOVE_POSTGRESQL = delete(POSTGRESQL_WORDS).where(POSTGRESQL_WORDS.c.posting_num == bindparam("num"))


def add_words(connection: Connection, rows: Sequence[tuple[int, list[str]]]) -> None:
    """Make entries findable: pairs of a posting's number and the tokens of its words."""
    if connection.dialect.name == "sqlite":
        _ADD_SQLITE(connection, [(num, " ".join(tokens)) for num, tokens in rows])
    elif rows:
        connection.execute(_ADD_POSTGRESQL, [{"num": num, "tokens": tokens} for num, tokens in rows])


def remove_words(connection: Connection, num: int, tokens: list[str]) -> None:
    """Take an entry out; ``tokens`` are those that it was added with."""
    parameters: dict[str, Any] = {"num": num}
    if connection.dialect.name == "sqlite":
        if tokens:
            connection.execute(_REMOVE_SQLITE, {**parameters, "tokens": " ".join(tokens)})
    else:
        connection.execute(_REMOVE_POSTGRESQL, parameters)
