"""The texts of e-mails and notices: one file for each language, and nothing of them elsewhere."""

import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec

from streambank.bank.events import MailKind
from streambank.bank.notifications.facts import MUTABLE, Category, Told
from streambank.errors import check

FALLBACK = "en"


class MailTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an e-mail of one kind says. ``action`` names its link."""

    subject: str
    paragraphs: tuple[str, ...]
    action: str
    closing: tuple[str, ...]


class ToldTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a notice of one kind says: all in a line, in a sentence, and what one can do about it."""

    title: str
    text: str
    closing: tuple[str, ...] = ()


class Labels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside or above facts."""

    balance: str
    balance_now: str
    balance_before: str
    threshold: str
    what_happened: str
    money_in: str
    money_out: str
    counterparty: str
    note: str
    kind: str
    booked_on: str
    when: str
    amount_now: str
    target: str
    period: str
    payment: str
    amount: str
    other: str
    reference: str


class DigestTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An e-mail that lists several notices."""

    title_one: str
    title: str
    text: str
    footer: str


class UnsubscribeTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page that a link in an e-mail leads to."""

    title: str
    question: str
    button: str
    done: str


class Texts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in one language."""

    greeting: str
    greeting_nameless: str
    code: str
    valid_until: str
    footer: str
    mails: dict[MailKind, MailTexts]
    total: str
    account: str
    goal: str
    somebody: str
    settings: str
    stop: str
    categories: dict[Category, str]
    reasons: dict[str, str]
    labels: Labels
    told: dict[Told, ToldTexts]
    notice_footer: dict[Category, str]
    digest: DigestTexts
    unsubscribe: UnsubscribeTexts


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
    # What is about security has the texts of the e-mail that there was of it.
    check(texts.told.keys() == set(Told) - {Told.SECURITY}, f"texts/{language}.toml has no texts for some notice")
    check(texts.categories.keys() >= set(MUTABLE), f"texts/{language}.toml has no name for some category")
    return texts
