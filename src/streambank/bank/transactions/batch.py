"""Many entries at once: facts that a bank reports, each line for itself, and each recorded once.

A line names its entry by ``external_id``. The same line again answers with the entry that it made before; another
line of that name is refused. A broken line stops none of the others.
"""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from streambank.bank.events import Origin
from streambank.bank.transactions import repository
from streambank.bank.transactions.entries import NewEntry, check_entry, content_hash
from streambank.bank.transactions.ledger import Books
from streambank.bank.transactions.repository import Names
from streambank.service.http.problems import Problem, conflict, unprocessable

LINES_MAX = 10_000
BODY_BYTES_MAX = 8 * 1024 * 1024
"""One request: a year of a busy account, and about a second of work."""

CHUNK_LINES = 500
"""Lines recorded in one go, for which other changes wait. With twice as many they would wait twice as long; with far
fewer, what is done once for all of them, their commit above all, would be much of the work."""

Line: TypeAlias = "NewEntry | Problem"

_OF_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `([^`/~]*)`")
"""What msgspec says of a field in an object whose path it names."""

_decode = msgspec.json.Decoder(NewEntry).decode


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """A line's entry: whether it is new, and its id."""

    result: Literal["created", "duplicate"]
    entry_id: str


def decode_lines(body: bytes) -> list[Line]:
    """The lines of a batch, each decoded or with what is wrong with it. Takes no database.

    Raises:
        Problem: the body is too large, has too many lines or none.
    """
    if len(body) > BODY_BYTES_MAX:
        raise Problem(413, "body-too-large", f"a batch has {BODY_BYTES_MAX} bytes at most: send it in parts")
    raw = body.rstrip().split(b"\n")
    if raw == [b""]:
        raise unprocessable("", "there is no line", "empty-batch")
    if len(raw) > LINES_MAX:
        raise Problem(413, "too-many-lines", f"a batch has {LINES_MAX} lines at most: send it in parts")
    return [decode_line(line) for line in raw]


def decode_line(line: bytes) -> Line:
    """An entry, or what is wrong with the line."""
    try:
        entry = _decode(line)
        check_entry(entry)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = _OF_FIELD.fullmatch(text)
        return unprocessable(pointer_of(path.rstrip("`")) + (f"/{field[1]}" if field else ""), text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Problem(400, "malformed-line", f"the line is not JSON: {error}")
    except Problem as problem:
        return problem
    return entry


def pointer_of(path: str) -> str:
    """A JSON pointer (RFC 6901) of the path in msgspec's messages: ``.tags[0]`` is ``/tags/0``."""
    return path.replace("[...]", "").replace("[", "/").replace("]", "").replace(".", "/")


def record(books: Books, lines: Sequence[Line], *, origin: Origin | None = None) -> list[Recorded | Problem]:
    """Record the lines that can be; one answer each, in their order."""
    known = load(books, [(books.caller_id, line) for line in lines if isinstance(line, NewEntry)])
    answers: list[Recorded | Problem] = []
    for line in lines:
        if isinstance(line, Problem):
            answers.append(line)
            continue
        try:
            answers.append(_record(books, line, known, origin))
        except Problem as problem:
            answers.append(problem)
    return answers


def load(books: Books, asked: Sequence[tuple[str, NewEntry]]) -> Names:
    """Load the accounts of callers' entries, and which of the entries are known there by their names."""
    books.load(dict.fromkeys((caller_id, entry.account_id) for caller_id, entry in asked))
    names = []
    for _, entry in asked:
        account = None if entry.external_id is None else books.find(entry.account_id)
        if account is not None:
            names.append((account.num, entry.external_id or ""))
    return repository.known_externals(books.connection, names)


def _record(books: Books, entry: NewEntry, known: Names, origin: Origin | None) -> Recorded:
    if not entry.account_id:
        raise unprocessable("/account_id", "a line names its account")
    if entry.external_id is None:
        raise unprocessable("/external_id", "a line names its entry, so that it is recorded once")
    account = books.account(entry.account_id)
    told = content_hash(entry)
    before = known.get((account.num, entry.external_id))
    if before is not None:
        if before[0] != told:
            raise external_id_taken(before[1])
        return Recorded("duplicate", before[1])
    posted = books.record(account, entry, asked=False, origin=origin, told=told)
    known[account.num, entry.external_id] = (told, posted.entry_id)
    return Recorded("created", posted.entry_id)


def external_id_taken(entry_id: str) -> Problem:
    """The problem of a name that an entry with other content has."""
    return conflict("external-id-taken", f"entry {entry_id} has this external_id, and what is told of it differs")
