"""What the parts of the client have in common: typed requests."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from streambank.bank.client.connection import ApiConnection, Call, Query
from streambank.bank.client.errors import AnswerError, ClientError
from streambank.bank.client.versioned import Versioned, version_of
from streambank.service.http.page import LIMIT_MAX

T = TypeVar("T", bound=BaseModel)
T_co = TypeVar("T_co", covariant=True)

_ID = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,64}")


class PageOf(Protocol[T_co]):
    """A page of a list."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on it."""

    @property
    def next(self) -> str | None:
        """The cursor of the next page."""


class Part:
    """A topic of the API. ``fresh``: reads wait for what this client wrote to other services."""

    service: ClassVar[str]

    def __init__(self, connection: ApiConnection, *, fresh: bool = False) -> None:
        self._connection = connection
        self._fresh = fresh

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        query: Query | None = None,
        version: int | None = None,
        key: str | None = None,
        logged_in: bool = True,
    ) -> httpx.Response:
        content = None if body is None else body.model_dump_json(exclude_unset=True).encode()
        call = Call(
            service=self.service,
            method=method,
            path=path,
            query=query or {},
            body=content,
            version=version,
            key=key,
            logged_in=logged_in,
            fresh=self._fresh and method == "GET",
        )
        return self._connection.send(call)

    def _get(self, kind: type[T], path: str, query: Query | None = None) -> T:
        return parse(kind, self._send("GET", path, query=query))

    def _get_versioned(self, kind: type[T], path: str) -> Versioned[T]:
        return parse_versioned(kind, self._send("GET", path))

    def _post(self, kind: type[T], path: str, body: BaseModel | None, key: str | None) -> T:
        return parse(kind, self._send("POST", path, body=body, key=key or self._connection.new_key()))

    def _post_versioned(self, kind: type[T], path: str, body: BaseModel | None, key: str | None) -> Versioned[T]:
        return parse_versioned(kind, self._send("POST", path, body=body, key=key or self._connection.new_key()))

    def _change(
        self, kind: type[T], method: str, path: str, of: Versioned[object], body: BaseModel | None = None
    ) -> Versioned[T]:
        return parse_versioned(kind, self._send(method, path, body=body, version=of.version))


def parse(kind: type[T], response: httpx.Response) -> T:
    """The answer's body. Raises AnswerError where it is something else; the error does not repeat it."""
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        where = "/".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise AnswerError(
            f"{response.request.url.path}: the answer is not what this version of streambank expects"
            f" ({kind.__name__}: {where or 'its form'})"
        ) from None


def parse_versioned(kind: type[T], response: httpx.Response) -> Versioned[T]:
    """The answer's body with the version in its ETag. Raises AnswerError."""
    return Versioned(parse(kind, response), version_of(response))


def pages(get: Callable[[str | None, int], PageOf[T_co]], page_items: int | None = None) -> Iterator[T_co]:
    """All items of a list, page after page; each page is got when it is needed.

    Args:
        get: the page behind a cursor, with so many items at most.
        page_items: how many to get at once, for those who need only a few; as many as there may be by default.
    """
    cursor: str | None = None
    limit = max(1, min(page_items or LIMIT_MAX, LIMIT_MAX))
    while True:
        page = get(cursor, limit)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def path_of(*parts: str) -> str:
    """The path of the API with these parts. Raises ClientError where one is no id: it could lead elsewhere."""
    for part in parts:
        if not _ID.fullmatch(part):
            raise ClientError(f"{part[:80]!r} is no id: those have up to 64 letters, digits, and -_.")
    return "/v1/" + "/".join(parts)
