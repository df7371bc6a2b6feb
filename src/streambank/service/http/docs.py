"""The page of the API: Swagger UI, served by ourselves, so that nothing is loaded from elsewhere."""

from collections.abc import Collection

from fastapi import FastAPI

from streambank.service.http.files import package_file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI styles its elements inline."""

_PACKAGE = "streambank.service.http"

_FILES = ("docs.js", "swagger-ui/swagger-ui-bundle.js", "swagger-ui/swagger-ui.css")


def add_docs(app: FastAPI, services: Collection[str]) -> None:
    """Add ``/docs``, the page of the whole API, and ``/docs/SERVICE``, that of one service."""
    for path in _FILES:
        serve = package_file(_PACKAGE, path, **{"Cache-Control": "max-age=3600"})
        app.add_api_route(f"/docs/{path.rpartition('/')[2]}", serve, include_in_schema=False)
    page = package_file(_PACKAGE, "docs.html", **{"Content-Security-Policy": POLICY})
    for path in ("/docs", *(f"/docs/{service}" for service in services)):
        app.add_api_route(path, page, include_in_schema=False)
