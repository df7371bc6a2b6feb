"""E-mail addresses: what is let in, and when two are the same."""

import re
import unicodedata

from streambank.errors import StreambankError

LOCAL_BYTES_MAX = 64
ADDRESS_BYTES_MAX = 254
"""RFC 5321 section 4.5.3.1: the local part, and the path without its angle brackets."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


class AddressError(StreambankError):
    """Not an e-mail address. The text does not repeat it, since it may be somebody's."""


def parse_address(text: str) -> str:
    """The address with its domain in lower-case ASCII (IDNA), and its local part composed (NFC).

    Raises:
        AddressError: it is malformed.
    """
    local, at, domain = unicodedata.normalize("NFC", text.strip()).rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not local.isprintable():
        raise AddressError("the e-mail address is malformed: it must look like name@example.org")
    try:
        domain = domain.encode("idna").decode().lower()
    except UnicodeError:
        raise AddressError("the e-mail address is malformed: its domain is not a name") from None
    if not _DOMAIN.fullmatch(domain):
        raise AddressError("the e-mail address is malformed: its domain is not a name")
    address = f"{local}@{domain}"
    if len(local.encode()) > LOCAL_BYTES_MAX or len(address.encode()) > ADDRESS_BYTES_MAX:
        raise AddressError(f"the e-mail address is longer than {ADDRESS_BYTES_MAX} bytes")
    return address


def address_key(address: str) -> str:
    """Equal for addresses that lead to the same mailbox wherever anybody has seen: the case of letters is left out."""
    return unicodedata.normalize("NFC", address.casefold())
