"""What is served to browsers: files of the package, and headers that keep browsers strict."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RawHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]

_MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css"}


class SafeHeaders:
    """Adds them to each answer; its own stay. ``policy`` is the Content-Security-Policy of those that have none."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = safe_headers(policy)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""

        async def send_safely(message: Message) -> None:
            add_missing(message, self._headers)
            await send(message)

        await self._app(scope, receive, send_safely)


def safe_headers(policy: str) -> RawHeaders:
    """Headers that keep browsers strict."""
    return (
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    )


def add_missing(message: Message, headers: RawHeaders) -> None:
    """Add the headers that an answer has not, to the message that begins it; others stay as they are."""
    if message["type"] == "http.response.start":
        present = {name for name, _ in message["headers"]}
        message["headers"] += [(name, value) for name, value in headers if name not in present]


def package_file(package: str, path: str, **headers: str) -> Callable[[Request], Any]:
    """The endpoint that serves a file below a package's ``static`` folder, which is read when it is first asked for."""
    media_type = _MEDIA_TYPES[path.rpartition(".")[2]]

    @cache
    def content() -> bytes:
        return files(package).joinpath("static", *path.split("/")).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content(), headers=headers, media_type=f"{media_type}; charset=utf-8")

    return serve
