"""Whom a payment is for, as people say it: an e-mail address, or an alias such as @ada."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from streambank.bank.addresses import AddressError, address_key, parse_address
from streambank.errors import StreambankError

PAYEE_CHARACTERS_MAX = 260
"""An address of 254 bytes and the blanks around it."""

ALIAS_CHARACTERS_MAX = 30

_ALIAS = re.compile(r"[A-Za-z](?:[._-]?[A-Za-z0-9]){2,29}")
"""What can be said on the phone: 3 letters or digits at least, single dots, dashes and lines between them."""

RESERVED_ALIASES = frozenset(
    {"admin", "administrator", "bank", "help", "info", "official", "payments", "security", "streambank", "support"}
)
"""Names that would be taken for the bank's own."""

Kind: TypeAlias = Literal["address", "alias"]


class PayeeError(StreambankError):
    """Neither an address nor an alias. The text does not repeat it, since it may be somebody's."""


@dataclass(frozen=True, slots=True)
class Handle:
    """What was said, cleaned; ``key`` is equal for all ways to write it."""

    kind: Kind
    text: str
    key: str


def parse_handle(text: str) -> Handle:
    """Read an address, or an alias with or without its @ in front.

    Raises:
        PayeeError: it is neither.
    """
    stripped = unicodedata.normalize("NFC", text.strip())
    if "@" not in stripped.removeprefix("@"):
        return Handle("alias", f"@{parse_alias(stripped)}", alias_key(stripped))
    try:
        address = parse_address(stripped)
    except AddressError as error:
        raise PayeeError(str(error)) from None
    return Handle("address", address, address_key(address))


def parse_alias(text: str) -> str:
    """The alias as its owner writes it, without the @.

    Raises:
        PayeeError: it is none.
    """
    alias = text.strip().removeprefix("@")
    if not _ALIAS.fullmatch(alias) or len(alias) > ALIAS_CHARACTERS_MAX:
        raise PayeeError(
            f"an alias has 3 to {ALIAS_CHARACTERS_MAX} letters and digits (a to z), begins with a letter, and may have"
            " single dots, dashes and underscores between them"
        )
    return alias


def alias_key(text: str) -> str:
    """Equal for aliases that are the same: the case of letters is left out."""
    return text.strip().removeprefix("@").casefold()


def is_reserved(alias: str) -> bool:
    """Whether the alias could be taken for the bank's own, whatever its separators."""
    return re.sub(r"[._-]", "", alias_key(alias)) in RESERVED_ALIASES
