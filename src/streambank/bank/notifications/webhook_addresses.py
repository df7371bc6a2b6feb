"""Where a webhook may lead: to the public internet, and nowhere else. Pure, but for :func:`resolve`.

A user names the address, and the request comes from within the bank's network. So the name is resolved once, every
address that it has is looked at, and the connection goes to one of those that were: what the name resolves to a moment
later (DNS rebinding) does not matter.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from streambank.bank.notifications.schemas import URL_CHARS_MAX
from streambank.errors import StreambankError

ADDRESSES_MAX = 4
"""Of a host, that are tried in turn."""

LOOK_UPS_MAX = 64
"""Names looked up at the same time: one that is given up goes on for as long as its name server takes."""

_LOOK_UPS = threading.BoundedSemaphore(LOOK_UPS_MAX)

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host; raises OSError where it has none."""

_NEVER = tuple(
    ip_network(text)
    for text in (
        "64:ff9b::/96",  # RFC 6052: leads to an IPv4 address by way of a gateway; so do the next three.
        "64:ff9b:1::/48",  # RFC 8215
        "2002::/16",  # RFC 3056: 6to4
        "2001::/32",  # RFC 4380: Teredo
        "192.88.99.0/24",  # RFC 7526: what was the 6to4 relay
        "fec0::/10",  # RFC 3879: what was site-local
        "100:0:0:1::/64",  # RFC 9780: dummy prefix
        "5f00::/16",  # RFC 9602: segment routing
        "3fff::/20",  # RFC 9637: documentation
        "168.63.129.16/32",  # Azure's services for its machines, at an address that looks public
    )
)
"""Beside what :mod:`ipaddress` knows not to be public."""

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?|\[[0-9a-f:.]+\]", re.IGNORECASE)
_VISIBLE = re.compile(r"[!-~]+")

_LOCAL_NAMES = ("localhost", "localhost.localdomain")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".lan")
"""Names that are not of the public internet (RFC 6761, RFC 6762, RFC 8375)."""


class WebhookAddressError(StreambankError):
    """A webhook must not lead there. The text is for its owner, and repeats nothing that they cannot know."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook leads. ``path`` has the query in it."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """What the request says whom it is for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    def url_at(self, address: str) -> str:
        """The address of the request, with the host's own address in place of its name."""
        return f"{self.scheme}://{f'[{address}]' if ':' in address else address}:{self.port}{self.path}"


def parse_target(url: str, *, local: bool) -> Target:
    """Where a URL leads, as far as it says itself; with ``local`` this machine is let in, and there http.

    Raises:
        WebhookAddressError: not there.
    """
    parts, port = _split(url)
    host = (parts.hostname or "").lower()
    is_local = host in _LOCAL_NAMES or _is_loopback(host)
    if parts.scheme != "https" and not (local and is_local and parts.scheme == "http"):
        raise WebhookAddressError("a webhook's address begins with https://")
    if is_local and local:
        return Target(parts.scheme, host, port, _path(parts))
    bare = host.rstrip(".")
    if is_local or bare in _LOCAL_NAMES or bare.endswith(_LOCAL_SUFFIXES):
        raise WebhookAddressError("a webhook cannot lead to this machine or its network")
    if (literal := _literal(host)) is not None:
        if not is_public(literal):
            raise WebhookAddressError("a webhook cannot lead to an address that is not public")
    elif "." not in bare or re.fullmatch(r"(0x[0-9a-f]*|[0-9]*)", bare.rpartition(".")[2]):
        # The last part of a name is no number; resolvers take such ones for addresses: 127.1, 0x7f.1, 2130706433.
        raise WebhookAddressError("a webhook's host is a full name, such as hooks.example.org")
    return Target(parts.scheme, host, port, _path(parts))


def host_of(url: str) -> str:
    """The name of the host, to show it."""
    return urlsplit(url).hostname or ""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, for one receiver."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and (mapped := ip.ipv4_mapped) is not None:
        ip = mapped
    if isinstance(ip, IPv6Address) and ip in ip_network("::/96"):
        # RFC 4291 section 2.5.5.1: an IPv4 address in the old way.
        ip = IPv4Address(int(ip))
    odd = ip.is_multicast or ip.is_reserved or ip.is_unspecified or ip.is_loopback or ip.is_link_local or ip.is_private
    return ip.is_global and not odd and not any(ip in network for network in _NEVER if network.version == ip.version)


async def checked_addresses(target: Target, resolve: Resolve, *, local: bool) -> list[str]:
    """The addresses to connect to. That one of several is not public is enough to refuse all: it is no mistake.

    Raises:
        WebhookAddressError: the host leads where it must not, or has no address.
    """
    try:
        found = list(await resolve(target.host, target.port))
    except (OSError, UnicodeError):
        found = []
    is_here = local and all(_is_loopback(address) for address in found)
    is_fit = is_here or (target.scheme == "https" and all(is_public(address) for address in found))
    if not found or not is_fit:
        # One text for both: whether a name is known inside is nobody's business.
        raise WebhookAddressError("the host's name leads to no address, or to one that is not public")
    return found[:ADDRESSES_MAX]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as the system resolves it.

    In a thread that nobody waits for at the end: a name server that does not answer takes as long as it likes.

    Raises:
        OSError: it has none, or too many are being looked up.
    """
    look_ups = _LOOK_UPS
    if not look_ups.acquire(blocking=False):
        raise OSError("too many names are being looked up")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(addresses: Sequence[str], error: Exception | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(addresses)

    def look_up() -> None:
        addresses: list[str] = []
        failure: Exception | None = None
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            addresses = [str(sockaddr[0]) for *_, sockaddr in answers]
        except Exception as error:
            failure = error
        finally:
            look_ups.release()
        # The loop may be closed by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=look_up, name="webhook-name", daemon=True).start()
    return await found


def _split(url: str) -> tuple[SplitResult, int]:
    if len(url) > URL_CHARS_MAX or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise WebhookAddressError(f"a webhook's address has up to {URL_CHARS_MAX} visible ASCII characters, and no \\")
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80}.get(parts.scheme, 443)
        host = parts.hostname or ""
    except ValueError:
        raise WebhookAddressError("a webhook's address is a URL, such as https://hooks.example.org/bank") from None
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookAddressError("a webhook's address has no user, no password and no #")
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        raise WebhookAddressError("a webhook's address has the name of a host")
    return parts, port


def _path(parts: SplitResult) -> str:
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _literal(host: str) -> str | None:
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
