"""Rules for what people say of themselves: name, locale, time zone."""

import re
from functools import cache
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError

from streambank.errors import StreambankError

NAME_CHARS_MAX = 200

LOCALE_PATTERN = r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|[0-9]{3}))?"


class ProfileError(StreambankError):
    """A name, a locale or a time zone that cannot be used."""


def parse_name(text: str) -> str:
    """The name without the blanks around it.

    Raises:
        ProfileError: it is empty, too long, or has characters that no name has: it goes into the head of e-mails.
    """
    name = text.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise ProfileError(f"a name has 1 to {NAME_CHARS_MAX} characters, and no line breaks or control characters")
    return name


def parse_locale(text: str) -> str:
    """A language and perhaps script and region, as BCP 47 writes it: ``pt-BR``.

    Raises:
        ProfileError: CLDR knows no such language.
    """
    try:
        if not re.fullmatch(LOCALE_PATTERN, text):
            raise ValueError
        return str(Locale.parse(text.replace("-", "_"))).replace("_", "-")
    except (ValueError, UnknownLocaleError):
        raise ProfileError(
            "no locale that is known: give a language and perhaps a region, such as en or pt-BR"
        ) from None


def parse_timezone(text: str) -> str:
    """The name of a zone of the IANA time zone database.

    Raises:
        ProfileError: there is none of that name.
    """
    if text not in _timezones():
        raise ProfileError("no time zone of the IANA database: give a name such as Europe/Prague or UTC")
    return text


@cache
def _timezones() -> frozenset[str]:
    # What is not a place or UTC, such as "localtime" or "posixrules", means another thing on every machine.
    return frozenset(zone for zone in available_timezones() if zone not in ("localtime", "posixrules", "Factory"))
