"""What a call of the API can end with. No token, password or request body is ever in the text of an error."""

from collections.abc import Sequence
from typing import NamedTuple

import httpx
import msgspec

from streambank.errors import StreambankError

DETAIL_CHARS_MAX = 500
"""Of what a server says that is none of ours: an error page may be long."""


class ClientError(StreambankError):
    """Base of the client's errors."""


class UnreachableError(ClientError):
    """Nobody answers at the server's address, or the connection broke."""


class NotLoggedInError(ClientError):
    """The call needs credentials, and there are none, or the server no longer takes them."""


class AnswerError(ClientError):
    """The server's answer is none that the API gives: it is another program, or another version."""


class ApiFieldError(NamedTuple):
    """What is wrong with a part of a request. ``pointer`` is a JSON pointer where ``location`` is the body."""

    pointer: str
    detail: str
    location: str = "body"

    def __str__(self) -> str:
        return f"{self.pointer.lstrip('/') or 'the body'}: {self.detail}"


class ApiError(ClientError):
    """The server refused (RFC 9457), and says why.

    Attributes:
        status: the HTTP status.
        slug: the kind of problem, such as ``version-mismatch``; OAuth's error code where a token was asked for.
        detail: what happened, for the user.
        errors: which parts of the request are wrong.
        incident: what to name when reporting a failure of the server.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: Sequence[ApiFieldError] = (),
        incident: str | None = None,
    ) -> None:
        named = "".join(f"; {error}" for error in errors if error.detail != detail)
        super().__init__(f"{detail}{named}{f' (incident {incident})' if incident else ''}")
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = tuple(errors)
        self.incident = incident


class _Error(msgspec.Struct):
    detail: str
    pointer: str = ""
    location: str = msgspec.field(name="in", default="body")


class ProblemMembers(msgspec.Struct):
    """The members of a problem, and those of OAuth's refusals, as far as they are there."""

    type: str = ""
    status: int = 0
    title: str = ""
    detail: str = ""
    errors: list[_Error] = []
    incident: str | None = None
    error: str = ""
    error_description: str = ""

    def as_error(self, status: int) -> ApiError:
        """The error; ``status`` where the problem does not tell its own."""
        slug = self.error or self.type.removeprefix("/problems/")
        detail = self.error_description or self.detail or self.title or slug
        errors = [ApiFieldError(error.pointer, error.detail, error.location) for error in self.errors]
        return ApiError(self.status or status, slug, detail, errors=errors, incident=self.incident)


def refusal(response: httpx.Response) -> ApiError:
    """What an answer with an error status says."""
    try:
        told = msgspec.json.decode(response.content, type=ProblemMembers)
    except msgspec.MsgspecError:
        told = ProblemMembers()
    if told.type.startswith("/problems/") or told.error:
        return told.as_error(response.status_code)
    text = " ".join(response.text[:DETAIL_CHARS_MAX].split()) or response.reason_phrase
    return ApiError(response.status_code, "unexpected-answer", f"the server answered {response.status_code}: {text}")
