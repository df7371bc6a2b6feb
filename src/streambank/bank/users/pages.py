"""The pages that links in e-mails lead to: they take the token from the link and hand it to the API."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGES = ("/verify-email", "/reset-password")
"""Named after the kinds of e-mails that have a link."""

_FILES = {"mailed.js": "text/javascript", "mailed.css": "text/css"}


def pages() -> APIRouter:
    """Their routes, which are no part of the API's description."""
    api = APIRouter(include_in_schema=False)
    for path in PAGES:
        api.add_api_route(path, _static("mailed.html", "text/html"))
    for name, media_type in _FILES.items():
        api.add_api_route(f"/mailed/{name}", _static(name, media_type))
    return api


def _static(name: str, media_type: str) -> Callable[[], Any]:
    content = (files("streambank.bank.users") / "static" / name).read_bytes()

    async def serve() -> Response:
        headers = {"Content-Security-Policy": POLICY}
        return Response(content, headers=headers, media_type=f"{media_type}; charset=utf-8")

    return serve
