"""The settings of the notifications service, checked once when they are made."""

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from streambank.bank.addresses import AddressError, domain_of, parse_address
from streambank.errors import StreambankError
from streambank.service.backoff import Backoff

Tls: TypeAlias = Literal["none", "starttls", "tls"]

RECIPIENT_BACKOFF = Backoff(first_ms=15_000, most_ms=300_000)
"""Greylisting servers (RFC 6647) take a retry after some seconds to five minutes."""

SERVER_BACKOFF = Backoff(first_ms=500, most_ms=60_000)
"""A server that restarts is back within seconds, and alerts are late by as much as is waited here."""

_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


class SettingsError(StreambankError):
    """A setting that cannot work; the text names it and says what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsSettings:
    """How e-mails are sent, and what they point to.

    Attributes:
        sender: the address e-mails come from; its domain also names the Message-IDs.
        tls: ``none``, ``starttls`` (usually port 587) or ``tls`` from the first byte (usually port 465).
        public_url: where people's browsers find the bank's pages; linked from the e-mails that services ask for.
        settings_url: the page where a user changes thresholds; linked from each e-mail. None: no link.
        unsubscribe_url: where this service takes RFC 8058 one-click posts, by https, or on this machine. None:
            ``/unsubscribe`` at the ``public_url``.
        link_key: the secret that signs the links in e-mails. None: one that the service makes, and keeps.
        emails_per_hour_max: to one user, critical ones apart; what there is beyond that goes into a digest. A person
            reads no more, and a burst of alerts is not to look like spam.
        local_webhooks: let webhooks go to this machine, and there by http: for development only, since whoever has a
            webhook could reach what listens here.
        connect_timeout_s: for opening a connection. A server on the same continent answers within one second.
        reply_timeout_s: for each reply. RFC 5321 4.5.3.2 lets a client wait 5 minutes; a server that takes more than
            one stalls all e-mails, and trying again later loses nothing.
        accepted_timeout_s: for the reply after the message. Giving up here may send it twice (RFC 5321 4.5.3.2.6), so
            this is the longest.
        recipient_backoff: between attempts after the server put off one recipient.
        server_backoff: between attempts while the server cannot be used at all.
        give_up_after_ms: how long one recipient is tried before the e-mail becomes a dead letter. While the server
            cannot be used at all, no e-mail is given up.

    Raises:
        SettingsError: a value that cannot work.
    """

    sender: str
    sender_name: str = "streambank"
    host: str = "127.0.0.1"
    port: int = 1025
    tls: Tls = "none"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    public_url: str = "http://127.0.0.1:8080"
    settings_url: str | None = None
    unsubscribe_url: str | None = None
    link_key: bytes | None = field(default=None, repr=False)
    emails_per_hour_max: int = 20
    local_webhooks: bool = False
    connect_timeout_s: float = 10.0
    reply_timeout_s: float = 60.0
    accepted_timeout_s: float = 120.0
    recipient_backoff: Backoff = RECIPIENT_BACKOFF
    server_backoff: Backoff = SERVER_BACKOFF
    give_up_after_ms: int = 24 * 3_600_000

    def __post_init__(self) -> None:
        try:
            parse_address(self.sender)
        except AddressError as error:
            raise SettingsError(f"sender: {error}") from error
        if not 1 <= self.port <= 65_535:
            raise SettingsError(f"port: {self.port} is not a port; SMTP servers listen on 587, 465 or 25")
        if self.tls not in ("none", "starttls", "tls"):
            raise SettingsError(f"tls: {self.tls!r} is not one of none, starttls, tls")
        if (self.user is None) != (self.password is None):
            raise SettingsError("user and password: give both, or neither")
        if self.password is not None and self.tls == "none" and not _LOOPBACK.fullmatch(self.host):
            raise SettingsError("tls: a password is not sent to another machine in the clear; use starttls or tls")
        for name, url, schemes in (
            ("public_url", self.public_url, {"http", "https"}),
            ("settings_url", self.settings_url, {"http", "https"}),
            ("unsubscribe_url", self.unsubscribe_url, {"http", "https"}),
        ):
            if url is not None and not _is_url(url, schemes):
                raise SettingsError(f"{name}: {url!r} is not an address of {' or '.join(sorted(schemes))}")
        if "?" in self.public_url or "#" in self.public_url:
            raise SettingsError(f"public_url: {self.public_url!r} is to end before ? and #: pages are appended to it")
        if self.unsubscribe_url is not None and self.unsubscribe_page is None:
            raise SettingsError(f"unsubscribe_url: {self.unsubscribe_url!r} is not an https address (RFC 8058)")
        if self.unsubscribe_url is not None and ("?" in self.unsubscribe_url or "#" in self.unsubscribe_url):
            raise SettingsError(f"unsubscribe_url: {self.unsubscribe_url!r} is to end before ? and #")
        if self.link_key is not None and len(self.link_key) < 16:
            raise SettingsError("link_key: give a secret of at least 16 bytes")
        if self.emails_per_hour_max < 1:
            raise SettingsError("emails_per_hour_max: must be at least 1")
        waits = (self.connect_timeout_s, self.reply_timeout_s, self.accepted_timeout_s, self.give_up_after_ms)
        if min(waits) <= 0:
            raise SettingsError("the time-outs and give_up_after_ms must be more than zero")

    @property
    def message_id_host(self) -> str:
        """The right side of Message-IDs, and the name given to the server: the sender's domain, in ASCII."""
        return domain_of(self.sender)

    @property
    def unsubscribe_page(self) -> str | None:
        """Where unsubscribe links lead, without their token; None where that would be http to another machine.

        RFC 8058 section 3.1 wants https. What stays on this machine needs no more than http.
        """
        url = self.unsubscribe_url or f"{self.public_url.rstrip('/')}/unsubscribe"
        parts = urlsplit(url)
        is_fit = parts.scheme == "https" or _LOOPBACK.fullmatch(parts.hostname or "") is not None
        return url if is_fit else None


def _is_url(url: str, schemes: set[str]) -> bool:
    if re.search(r"[\s<>\"\x00-\x1f]", url) or not url.isascii():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)
