"""The texts of the e-mails that services ask for: one file for each language, and nothing of them elsewhere."""

import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec

from streambank.bank.events import MailKind
from streambank.errors import check

FALLBACK = "en"


class MailTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an e-mail of one kind says. ``action`` names its link."""

    subject: str
    paragraphs: tuple[str, ...]
    action: str
    closing: tuple[str, ...]


class Texts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in one language."""

    greeting: str
    greeting_nameless: str
    code: str
    valid_until: str
    footer: str
    mails: dict[MailKind, MailTexts]


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """The languages (ISO 639) that there are texts in."""
    names = (each.name for each in files(__name__).iterdir())
    return frozenset(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def language_of(wanted: str) -> str:
    """That language if there are texts in it, else English."""
    return wanted if wanted in languages() else FALLBACK


@lru_cache(maxsize=16)
def texts_in(language: str) -> Texts:
    """The texts in one of the :func:`languages`."""
    raw = tomllib.loads(files(__name__).joinpath(f"{language}.toml").read_text("utf-8"))
    texts = msgspec.convert(raw, Texts, str_keys=True)
    check(texts.mails.keys() == set(MailKind), f"texts/{language}.toml has no texts for some kind of e-mail")
    return texts
