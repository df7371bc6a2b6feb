"""The page of the API: Swagger UI, served by ourselves, so that nothing is loaded from elsewhere."""

from collections.abc import Callable, Collection
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from streambank.service.http.problems import not_found

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles its elements inline."""

_STATIC = files("streambank.service.http") / "static"

_FILES = {
    "docs.js": ("docs.js", "text/javascript"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
}


def add_docs(app: FastAPI, services: Collection[str]) -> None:
    """Add ``/docs``, the page of the whole API, and ``/docs/SERVICE``, that of one service."""
    for name, (path, media_type) in _FILES.items():
        app.add_api_route(f"/docs/{name}", _static(path, media_type), include_in_schema=False)
    html = (_STATIC / "docs.html").read_text()

    async def page(request: Request) -> Response:
        service = request.path_params.get("service")
        if service is not None and service not in services:
            raise not_found("service")
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})

    for path in ("/docs", "/docs/{service}"):
        app.add_api_route(path, page, include_in_schema=False)


def _static(path: str, media_type: str) -> Callable[[], Any]:
    async def serve() -> Response:
        # Read when it is asked for: it is large, and hardly anybody does.
        content = _STATIC.joinpath(*path.split("/")).read_bytes()
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers={"Cache-Control": "max-age=3600"})

    return serve
