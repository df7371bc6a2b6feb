"""E-mail addresses that people sign up with: how they are written down."""

import unicodedata

from streambank.bank import addresses


def parse_address(text: str) -> str:
    """The address with its domain in lower-case ASCII (IDNA), and its local part composed (NFC).

    Raises:
        AddressError: it is malformed.
    """
    return addresses.parse_address(unicodedata.normalize("NFC", text))
