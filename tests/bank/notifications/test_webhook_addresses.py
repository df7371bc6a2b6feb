"""Where webhooks may lead. Each address here that is refused is a way that was tried somewhere."""

import asyncio
import socket
import threading
import time
from collections.abc import Sequence

import pytest

from streambank.bank.notifications import webhook_addresses
from streambank.bank.notifications.webhook_addresses import (
    WebhookAddressError,
    checked_addresses,
    is_public,
    parse_target,
    resolve,
)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("https://hooks.example.org", "hooks.example.org", 443, "/", "hooks.example.org"),
        ("https://hooks.example.org/a?b=c", "hooks.example.org", 443, "/a?b=c", "hooks.example.org"),
        ("https://HOOKS.example.org:8443/", "hooks.example.org", 8443, "/", "hooks.example.org:8443"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
        ("https://93.184.215.14/x", "93.184.215.14", 443, "/x", "93.184.215.14"),
        (
            "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x",
            "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
            443,
            "/x",
            "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]",
        ),
    ],
)
def test_addresses_that_are_fine(url: str, host: str, port: int, path: str, header: str) -> None:
    target = parse_target(url, local=False)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)


@pytest.mark.parametrize(
    "url",
    [
        # Not https.
        *("http://hooks.example.org/", "ftp://hooks.example.org/", "file:///etc/passwd", "gopher://x.example.org/"),
        *("https:/hooks.example.org", "https://", "hooks.example.org", "", "javascript:alert(1)"),
        # This machine, by name and by number, written in all ways that resolvers take.
        *("https://localhost/", "https://localhost:8443/", "https://LOCALHOST/", "https://a.localhost/"),
        *("https://localhost./", "https://localhost.localdomain/", "https://127.0.0.1/", "https://127.1/"),
        *("https://127.0.0.1./", "https://0x7f000001/", "https://2130706433/", "https://0177.0.0.1/", "https://0/"),
        *("https://0x7f.1/", "https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://0.0.0.0/"),
        *("https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[::7f00:1]/"),
        # Its network, and what clouds put there.
        *("https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/"),
        *("https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://[fe80::1]/"),
        *("https://[fc00::1]/", "https://[fec0::1]/", "https://metadata.google.internal/", "https://printer.local/"),
        *("https://intranet/", "https://router.lan/", "https://nas.home.arpa/", "https://[fe80::1%25eth0]/"),
        # Gateways to IPv4 addresses.
        *("https://[64:ff9b::7f00:1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/"),
        *("https://[2001:0:7f00:1::]/", "https://[64:ff9b:1::1]/"),
        # No single receiver on the internet.
        *("https://224.0.0.1/", "https://255.255.255.255/", "https://240.0.0.1/", "https://[ff02::1]/"),
        *("https://192.0.2.1/", "https://198.51.100.1/", "https://203.0.113.1/", "https://[2001:db8::1]/"),
        *("https://192.88.99.1/", "https://198.18.0.1/", "https://192.0.0.1/", "https://[100::1]/"),
        # Parsers that disagree.
        *("https://hooks.example.org@127.0.0.1/", "https://user:pw@hooks.example.org/", "https://hooks.example.org#@x"),
        *("https://hooks.example.org\\@127.0.0.1/", "https://hooks.example.org\\.evil.example/"),
        *("https://hooks.example.org /", "https://hooks.exa\tmple.org/", "https://hooks.example.org/\r\nX: y"),
        *("https://hooks.example.org:0x50/", "https://hooks.example.org:99999/", "https://hooks.example.org:-1/"),
        *("https://böcher.example/", "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "https://[::1", "https://::1/"),
        *("https://a" + "b" * 2_000 + ".example/", "https://" + "a" * 64 + ".example.org/", "https://a..example/"),
        *("https://.example.org/", "https://*.example.org/", "https://example.org%00.evil.example/"),
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(WebhookAddressError):
        parse_target(url, local=False)


@pytest.mark.parametrize(
    ("url", "is_let_in"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost:8000/x", True),
        ("https://localhost:8000/x", True),
        ("http://[::1]:8000/x", True),
        ("https://hooks.example.org/x", True),
        ("http://hooks.example.org/x", False),
        ("http://192.168.1.1/x", False),
        ("https://192.168.1.1/x", False),
        ("http://169.254.169.254/x", False),
        ("https://169.254.169.254/x", False),
    ],
)
def test_with_local_webhooks_this_machine_is_let_in_and_nothing_else(url: str, is_let_in: bool) -> None:
    if is_let_in:
        parse_target(url, local=True)
    else:
        with pytest.raises(WebhookAddressError):
            parse_target(url, local=True)


PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.mark.parametrize(
    ("found", "is_used"),
    [
        ([PUBLIC], True),
        ([PUBLIC_6, PUBLIC], True),
        ([], False),
        (["127.0.0.1"], False),
        ([PUBLIC, "127.0.0.1"], False),
        (["10.0.0.1", PUBLIC], False),
        ([PUBLIC, "::ffff:169.254.169.254"], False),
        (["64:ff9b::a9fe:a9fe"], False),
        (["fe80::1%eth0"], False),
        (["not an address"], False),
    ],
)
def test_every_address_of_a_host_is_looked_at(found: Sequence[str], is_used: bool) -> None:
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        if not found:
            raise OSError("no such host")
        return found

    target = parse_target("https://hooks.example.org:8443/x", local=False)
    if not is_used:
        with pytest.raises(WebhookAddressError):
            asyncio.run(checked_addresses(target, resolve, local=False))
    else:
        assert asyncio.run(checked_addresses(target, resolve, local=False)) == found
    # Once: what it resolves to the next time does not matter.
    assert asked == [("hooks.example.org", 8443)]


@pytest.mark.parametrize("found", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["169.254.169.254"], [PUBLIC, "127.0.0.1"]])
def test_with_local_webhooks_a_name_still_leads_to_no_private_network(found: Sequence[str]) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return found

    with pytest.raises(WebhookAddressError):
        asyncio.run(checked_addresses(parse_target("https://hooks.example.org/", local=True), resolve, local=True))


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6, "::ffff:93.184.215.14", "1.1.1.1", "2a00:1450:4001:80b::200e"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        release.wait(30)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr(webhook_addresses, "_LOOK_UPS", threading.BoundedSemaphore(1))

    async def ask() -> None:
        async with asyncio.timeout(0.05):
            await resolve("hooks.example.org", 443)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    # It goes on all the same, and no more than so many do.
    with pytest.raises(OSError, match="too many"):
        asyncio.run(resolve("hooks.example.org", 443))
    assert time.monotonic() - began < 10
    release.set()


def test_the_system_resolves() -> None:
    assert asyncio.run(resolve("127.0.0.1", 443)) == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["168.63.129.16", "3fff::1", "3fff:fff::1"])
def test_addresses_that_only_look_public(address: str) -> None:
    assert not is_public(address)
