"""Lists in pages: keyset paging with opaque cursors, never an offset."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
from fastapi import Query
from pydantic import BaseModel, SerializeAsAny
from starlette.requests import Request

from streambank.service.http.answers import Answer
from streambank.service.http.page import LIMIT_MAX
from streambank.service.http.problems import FieldProblem, Problem

LimitParameter: TypeAlias = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many items at most.")]
CursorParameter: TypeAlias = Annotated[
    str | None, Query(max_length=512, description="Where to go on: `next` of the page before.")
]


def encode_cursor(*parts: str | int) -> str:
    """The cursor that stands behind an item with that place in the order."""
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(text: str, *kinds: type) -> tuple[str | int, ...]:
    """The place that a cursor stands for. A cursor holds nothing secret, and may be anything that a client made up.

    Raises:
        Problem: 400, where it is no cursor of that list.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        parts = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list[str | int])
    except (binascii.Error, ValueError):
        parts = []
    right = len(parts) == len(kinds) and all(type(part) is kind for part, kind in zip(parts, kinds, strict=True))
    if not right or not all(map(_is_storable, parts)):
        detail = "not a cursor of this list: leave it out to begin at the first page"
        raise Problem(400, "bad-cursor", detail, errors=[FieldProblem("cursor", detail, "query")])
    return tuple(parts)


def _is_storable(part: str | int) -> bool:
    """Whether databases can have such a value at all: PostgreSQL has no text with U+0000 in it."""
    return "\0" not in part if isinstance(part, str) else -(2**63) <= part < 2**63


class _AnyPage(BaseModel):
    items: Sequence[SerializeAsAny[BaseModel]]
    next: str | None


def page_answer(items: Sequence[BaseModel], next_cursor: str | None, request: Request) -> Answer:
    """A page as :class:`.page.Page` describes it, with the address of the next one as a link (RFC 8288)."""
    headers = {}
    if next_cursor is not None:
        target = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{target.path}?{target.query}>; rel="next"'
    return Answer(200, _AnyPage(items=items, next=next_cursor), headers=headers)
