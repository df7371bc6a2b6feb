"""Idempotency keys: a request that is sent again is not done again (draft-ietf-httpapi-idempotency-key-header-07).

The answer is stored in the transaction that made the change, so that there is one exactly if there is the other.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from streambank.service.http.answers import Answer, Rendered
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.tables import IDEMPOTENCY_KEY

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

KEEP_MS = 24 * 3_600_000
"""A client that tries again does so within a day."""

KEY_CHARS_MAX = 255
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII without blanks around it, which a header loses."""

_COLUMNS = IDEMPOTENCY_KEY.c
# Built once: to build them costs more than to execute them.
_FIND = select(_COLUMNS.fingerprint, _COLUMNS.status, _COLUMNS.headers, _COLUMNS.body).where(
    _COLUMNS.scope == bindparam("of_scope"), _COLUMNS.key == bindparam("of_key")
)
_INSERT = insert(IDEMPOTENCY_KEY)
_PRUNE = delete(IDEMPOTENCY_KEY).where(_COLUMNS.created_at < bindparam("before"))


def parse_key(header: str) -> str:
    """The key in the header: a quoted string as in RFC 8941, or as most clients write it, bare.

    Raises:
        Problem: 400.
    """
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key or len(key) > KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise _bad(f"use 1 to {KEY_CHARS_MAX} printable ASCII characters, such as a UUID")
    return key


def missing() -> Problem:
    """The request has no key, and must."""
    return _bad("this request needs one, such as a UUID: sent again with the same key, it is not done again")


def fingerprint(method: str, address: str, body: bytes) -> bytes:
    """What makes two requests the same one. ``address``: the path and the query."""
    digest = hashlib.sha256(f"{method} {address}\n".encode())
    digest.update(body)
    return digest.digest()


def once(
    connection: Connection,
    scope: str,
    key: str,
    request: bytes,
    now_ms: int,
    work: Callable[[Connection], Answer],
) -> tuple[Rendered, bool]:
    """Do ``work`` and store its answer; or, where that was done before, only the stored answer, and True.

    Args:
        scope: whose key it is: two users may have the same.
        request: the request's :func:`fingerprint`.

    Raises:
        Problem: 422, where the key was used for another request; 409, where that is still being done by another
            process, or where the answer must not be given twice.
    """
    stored = connection.execute(_FIND, {"of_scope": scope, "of_key": key}).one_or_none()
    if stored is not None:
        if stored.fingerprint != request:
            raise Problem(422, "idempotency-key-reused", "this Idempotency-Key was used for another request")
        if stored.body is None:
            raise Problem(
                409, "answer-not-kept", "this was done before, and its answer held a secret that is shown only once"
            )
        return Rendered(stored.status, msgspec.json.decode(stored.headers), stored.body), True
    answer = work(connection)
    rendered = answer.render()
    values: dict[str, Any] = {
        "scope": scope,
        "key": key,
        "fingerprint": request,
        "status": rendered.status,
        "headers": msgspec.json.encode(rendered.headers).decode(),
        "body": None if answer.secret else rendered.body,
        "created_at": now_ms,
    }
    try:
        connection.execute(_INSERT, values)
    except IntegrityError:
        raise in_flight() from None
    return rendered, False


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


def _bad(detail: str) -> Problem:
    return Problem(400, "bad-idempotency-key", f"{HEADER}: {detail}", errors=[FieldProblem(HEADER, detail, "header")])
