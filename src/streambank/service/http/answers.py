"""What use cases answer with, before it becomes HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel
from starlette.responses import Response

from streambank.service.http.problems import Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and what goes with it.

    ``version`` counts the changes of what is answered, and becomes its ETag. ``secret``: the body holds what must not
    be kept, so that a retry of the request is refused where it would be answered from what was stored. ``volatile``:
    the body also tells what changes without a new version, so that who has the version has to have the body anew.
    """

    status: int
    body: BaseModel | None = None
    version: int | None = None
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: bool = False
    volatile: bool = False

    def render(self) -> "Rendered":
        """The answer as it goes out."""
        headers = dict(self.headers)
        if self.version is not None:
            headers["ETag"] = etag(self.version)
        if self.location is not None:
            headers["Location"] = self.location
        body = self.body.model_dump_json().encode() if self.body is not None else b""
        return Rendered(self.status, headers, body, volatile=self.volatile)


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer in bytes."""

    status: int
    headers: dict[str, str]
    body: bytes
    volatile: bool = False

    def response(self, more: Mapping[str, str]) -> Response:
        """As the framework wants it, with ``more`` headers."""
        return Response(self.body, self.status, {**self.headers, **more}, "application/json" if self.body else None)


def ok(body: BaseModel, *, version: int | None = None, volatile: bool = False) -> Answer:
    """200."""
    return Answer(200, body, version, volatile=volatile)


def created(body: BaseModel, location: str, *, version: int | None = None, secret: bool = False) -> Answer:
    """201, and where the new thing is."""
    return Answer(201, body, version, location, secret=secret)


def accepted(body: BaseModel | None = None) -> Answer:
    """202: it will happen."""
    return Answer(202, body)


def no_content(*, version: int | None = None) -> Answer:
    """204."""
    return Answer(204, None, version)


def etag(version: int) -> str:
    """The entity tag (RFC 9110 section 8.8.3) of a version."""
    return f'"v{version}"'


def check_version(current: int, expected: int | None) -> None:
    """Refuse to change what has changed meanwhile. ``expected`` None: the caller takes it as it is.

    Raises:
        Problem: 412, with the present ETag.
    """
    if expected is not None and current != expected:
        raise Problem(
            412,
            "version-mismatch",
            "somebody changed it meanwhile: get it again, and send the change with the new ETag in If-Match",
            headers={"ETag": etag(current)},
        )
