"""Idempotency keys: a request that is sent again is not done again (draft-ietf-httpapi-idempotency-key-header-07).

The answer is stored in the transaction that made the change, so that there is one exactly if there is the other.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError
from starlette.datastructures import Headers

from streambank.service.http.answers import Answer, Rendered
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.tables import IDEMPOTENCY_KEY, plain_text

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

KEEP_MS = 24 * 3_600_000
"""A client that tries again does so within a day."""

KEY_CHARS_MAX = 255
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII without blanks around it, which a header loses."""

PARAMETER: Mapping[str, Any] = {
    "name": HEADER.lower(),
    "in": "header",
    "required": True,
    "description": "Names this request, such as by a UUID: sent again, it is not done again.",
    "schema": {"type": "string", "pattern": KEY_PATTERN, "maxLength": KEY_CHARS_MAX},
}
"""The header in the API's document."""

_COLUMNS = IDEMPOTENCY_KEY.c
# Built once: to build them costs more than to execute them.
_ANSWERS = select(IDEMPOTENCY_KEY)
_INSERT = insert(IDEMPOTENCY_KEY)
_FORGET = delete(IDEMPOTENCY_KEY).where(_COLUMNS.scope == bindparam("of_scope"))
_PRUNE = delete(IDEMPOTENCY_KEY).where(_COLUMNS.created_at < bindparam("before"))


def key_of(headers: Headers) -> str:
    """The key in the header: a quoted string as in RFC 8941, or as most clients write it, bare.

    Raises:
        Problem: 400, where there is none, or one that cannot be.
    """
    header = headers.get(HEADER)
    if header is None:
        raise _bad("this request needs one, such as a UUID: sent again with the same key, it is not done again")
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key or len(key) > KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise _bad(f"use 1 to {KEY_CHARS_MAX} printable ASCII characters, such as a UUID")
    return key


def fingerprint(method: str, address: str, body: bytes) -> bytes:
    """What makes two requests the same one. ``address``: the path and the query."""
    digest = hashlib.sha256(f"{method} {address}\n".encode())
    digest.update(body)
    return digest.digest()


class KeyedRequest(NamedTuple):
    """A request with its key. ``scope``: whose key it is, since two users may have the same; ``fingerprint``: which."""

    scope: str
    key: str
    fingerprint: bytes


def once(
    connection: Connection, request: KeyedRequest, now_ms: int, work: Callable[[Connection], Answer]
) -> tuple[Rendered, bool]:
    """Do ``work`` and store its answer; or, where that was done before, only the stored answer, and True.

    Raises:
        Problem: see :func:`once_all`.
    """
    [outcome] = once_all(connection, [request], now_ms, lambda _: [work(connection)])
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def once_all(
    connection: Connection,
    requests: Sequence[KeyedRequest],
    now_ms: int,
    work: Callable[[Sequence[int]], Sequence[Answer | Problem]],
) -> list[tuple[Rendered, bool] | Problem]:
    """The same for several requests, in as many statements as for one. ``work`` gets the indexes of those to be done.

    A problem among the results: 422, where the key was used for another request; 409, where the answer must not be
    given twice; or what ``work`` says.

    Raises:
        Problem: 409, one of them is still being done by another process.
    """
    outcomes = _stored(connection, requests)
    to_do = [index for index in range(len(requests)) if index not in outcomes]
    rows = []
    for index, answer in zip(to_do, work(to_do) if to_do else [], strict=True):
        if isinstance(answer, Problem):
            outcomes[index] = answer
            continue
        rendered = answer.render()
        outcomes[index] = rendered, False
        rows.append(_row(requests[index], rendered, now_ms, secret=answer.secret))
    try:
        if rows:
            connection.execute(_INSERT, rows)
    except IntegrityError:
        raise in_flight() from None
    return [outcomes[index] for index in range(len(requests))]


def _stored(connection: Connection, requests: Sequence[KeyedRequest]) -> dict[int, tuple[Rendered, bool] | Problem]:
    found = {(row.scope, row.key): row for row in connection.execute(*_search(requests))}
    outcomes: dict[int, tuple[Rendered, bool] | Problem] = {}
    for index, request in enumerate(requests):
        row = found.get((request.scope, request.key))
        if row is None:
            continue
        if row.fingerprint != request.fingerprint:
            outcomes[index] = Problem(
                422, "idempotency-key-reused", "this Idempotency-Key was used for another request"
            )
        elif row.body is None:
            outcomes[index] = Problem(
                409, "answer-not-kept", "this was done before, and its answer held a secret that is shown only once"
            )
        else:
            outcomes[index] = Rendered(row.status, msgspec.json.decode(row.headers), row.body), True
    return outcomes


def _search(requests: Sequence[KeyedRequest]) -> tuple[Select[Any], dict[str, str]]:
    # Of few sizes, so that there are few statements to prepare: the last one is looked for more than once.
    size = 1 << (len(requests) - 1).bit_length()
    wanted: dict[str, str] = {}
    for number in range(size):
        request = requests[min(number, len(requests) - 1)]
        wanted[f"scope{number}"], wanted[f"key{number}"] = request.scope, request.key
    return _find(size), wanted


@cache
def _find(size: int) -> Select[Any]:
    # One by one: for a list of pairs SQLite reads the whole table.
    places = (and_(_COLUMNS.scope == bindparam(f"scope{n}"), _COLUMNS.key == bindparam(f"key{n}")) for n in range(size))
    return _ANSWERS.where(or_(*places))


def _row(request: KeyedRequest, rendered: Rendered, now_ms: int, *, secret: bool) -> dict[str, Any]:
    return {
        **request._asdict(),
        "status": rendered.status,
        "headers": msgspec.json.encode(rendered.headers).decode(),
        "body": None if secret else rendered.body,
        "created_at": now_ms,
    }


def in_flight() -> Problem:
    """The same request is being done at this moment."""
    return Problem(
        409,
        "request-in-flight",
        "the request with this Idempotency-Key is still being done: ask again in a while",
        headers={"Retry-After": "1"},
    )


def prune(connection: Connection, now_ms: int) -> None:
    """Forget what was stored longer than ``KEEP_MS`` ago."""
    connection.execute(_PRUNE, {"before": now_ms - KEEP_MS})


def forget(connection: Connection, user_id: str) -> None:
    """Delete the answers that somebody was given who is erased: they tell what was asked."""
    connection.execute(_FORGET, {"of_scope": plain_text(user_id)})


def _bad(detail: str) -> Problem:
    return Problem(400, "bad-idempotency-key", f"{HEADER}: {detail}", errors=[FieldProblem(HEADER, detail, "header")])
