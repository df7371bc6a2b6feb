"""The session's cookie, and the check that a request with it comes from our own page.

A browser sends the cookie along whoever makes it send the request. ``SameSite=Lax`` keeps it from other sites' posts;
what remains are other origins of the same site, such as another port of 127.0.0.1. Browsers tell where a request comes
from in ``Sec-Fetch-Site``, older ones in ``Origin`` only. Without either, the cookie counts for nothing.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from streambank.service.http.problems import forbidden

_NAME = "streambank_session"
_SECURE_NAME = "__Host-streambank_session"
"""Browsers take this one over TLS only, from this host only, and for all its paths (RFC 6265bis)."""


def cookie_name(*, secure: bool) -> str:
    """The name of the cookie; ``secure``: the one for TLS."""
    return _SECURE_NAME if secure else _NAME


def cookie_of(cookies: Mapping[str, str]) -> str | None:
    """The session's token among a request's cookies: that which came over TLS only, or else the other."""
    return cookies.get(_SECURE_NAME, cookies.get(_NAME))


def cookie_header(token: str, age_s: int, *, secure: bool) -> str:
    """The ``Set-Cookie`` that begins a session."""
    tls = "; Secure" if secure else ""
    return f"{cookie_name(secure=secure)}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{tls}"


def removal_header(*, secure: bool) -> str:
    """The ``Set-Cookie`` that takes the cookie away."""
    return cookie_header("", 0, secure=secure)


def check_same_origin(headers: Mapping[str, str], *, needed: bool = True) -> None:
    """Refuse what another origin's page makes a browser send.

    Args:
        headers: the request's, with names that are found in lower case.
        needed: whether a request that says nothing of where it comes from is refused too: it must be where a cookie
            counts. Programs that are no browsers need say nothing where none does.

    Raises:
        Problem: 403.
    """
    site, origin, host = headers.get("sec-fetch-site"), headers.get("origin"), headers.get("host")
    if site is not None:
        same = site == "same-origin"
    elif origin is not None:
        same = host is not None and urlsplit(origin).netloc == host
    else:
        same = not needed
    if not same:
        raise forbidden("this was not sent by a page of this server, or without Sec-Fetch-Site and Origin")
