"""E-mail addresses: what is let into an envelope and a header (RFC 5321 section 4.1.2, without quoted local parts)."""

import re
import unicodedata

from streambank.errors import StreambankError

LOCAL_BYTES_MAX = 64
ADDRESS_BYTES_MAX = 254
"""RFC 5321 section 4.5.3.1: the local part, and the path without its angle brackets."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


class AddressError(StreambankError):
    """Not an e-mail address. The text does not repeat it, since it may be somebody's."""


def parse_address(address: str) -> str:
    """The address with its domain in lower-case ASCII (IDNA). The local part stays; it is the receiver's to read.

    Raises:
        AddressError: it is malformed.
    """
    local, at, domain = address.strip().rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not local.isprintable():
        raise AddressError("the e-mail address is malformed: it must look like name@example.org")
    try:
        domain = domain.encode("idna").decode().lower()
    except UnicodeError:
        raise AddressError("the e-mail address is malformed: its domain is not a name") from None
    if not _DOMAIN.fullmatch(domain):
        raise AddressError("the e-mail address is malformed: its domain is not a name")
    parsed = f"{local}@{domain}"
    if len(local.encode()) > LOCAL_BYTES_MAX or len(parsed.encode()) > ADDRESS_BYTES_MAX:
        raise AddressError(f"the e-mail address is longer than {ADDRESS_BYTES_MAX} bytes")
    return parsed


def domain_of(address: str) -> str:
    """The domain of an address, in ASCII. Raises AddressError."""
    return parse_address(address).rpartition("@")[2]


def address_key(address: str) -> str:
    """Equal for addresses that lead to the same mailbox wherever anybody has seen: the case of letters is left out."""
    return unicodedata.normalize("NFC", address.casefold())
