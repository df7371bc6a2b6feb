"""The pages that links in e-mails lead to: they take the token from the link and hand it to the API."""

from fastapi import APIRouter

from streambank.service.http.files import package_file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGES = ("/verify-email", "/reset-password")
"""Named after the kinds of e-mails that have a link."""


def pages() -> APIRouter:
    """Their routes, which are no part of the API's description."""
    api = APIRouter(include_in_schema=False)
    named = dict.fromkeys(PAGES, "mailed.html") | {f"/mailed/{name}": name for name in ("mailed.js", "mailed.css")}
    for path, name in named.items():
        serve = package_file("streambank.bank.users", name, **{"Content-Security-Policy": POLICY})
        api.add_api_route(path, serve)
    return api
