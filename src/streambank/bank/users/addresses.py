"""E-mail addresses that people sign up with: how they are written down, and when two are the same."""

import unicodedata

from streambank.bank import addresses


def parse_address(text: str) -> str:
    """The address with its domain in lower-case ASCII (IDNA), and its local part composed (NFC).

    Raises:
        AddressError: it is malformed.
    """
    return addresses.parse_address(unicodedata.normalize("NFC", text))


def address_key(address: str) -> str:
    """Equal for addresses that lead to the same mailbox wherever anybody has seen: the case of letters is left out."""
    return unicodedata.normalize("NFC", address.casefold())
