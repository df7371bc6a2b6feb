"""Errors as HTTP answers: RFC 9457, ``application/problem+json``, one shape for all."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from streambank.service.errors import ServiceError

MEDIA_TYPE = "application/problem+json"


class FieldProblem(NamedTuple):
    """What is wrong with one part of a request.

    ``pointer`` is a JSON pointer into the body (RFC 6901), or the name of the parameter or header; ``location`` says
    which: ``body``, ``query``, ``path``, ``header``.
    """

    pointer: str
    detail: str
    location: str = "body"


class Problem(ServiceError):  # noqa: N818 - RFC 9457's word, and it is an answer more than an error
    """A request that cannot be done, and why. Raised anywhere below an endpoint: nothing of the request stays."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """A problem of the type ``/problems/<slug>``, whose title is the slug in words. ``detail`` is for the user."""
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def members(self) -> dict[str, Any]:
        """The members of the problem object."""
        members: dict[str, Any] = {
            "type": f"/problems/{self.slug}",
            "title": self.slug.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [{"pointer": e.pointer, "in": e.location, "detail": e.detail} for e in self.errors]
        return members

    def response(self) -> Response:
        """The problem as an answer."""
        return Response(msgspec.json.encode(self.members()), self.status, self.headers, MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """Nothing here has that id. Also for what belongs to others: nobody learns that it exists."""
    return Problem(404, "not-found", f"there is no such {what}")


def forbidden(detail: str) -> Problem:
    """The caller is known, and may not do it."""
    return Problem(403, "forbidden", detail)


def unprocessable(pointer: str, detail: str, slug: str = "invalid-field") -> Problem:
    """A part of the body has the right form and cannot be right."""
    return Problem(422, slug, detail, errors=[FieldProblem(pointer, detail)])


def conflict(slug: str, detail: str) -> Problem:
    """It could be done in another state of things."""
    return Problem(409, slug, detail)


_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "incident": {"type": "string", "description": "What to name when reporting a failure."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "in", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "in": {"enum": ["body", "query", "path", "header"]},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "A problem", "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}},
    "5XX": {"description": "A failure", "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}},
}
"""For OpenAPI: every endpoint may answer so."""
