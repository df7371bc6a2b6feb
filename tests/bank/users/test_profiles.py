"""Names, locales and time zones."""

import pytest

from streambank.bank.users.profiles import ProfileError, parse_locale, parse_name, parse_timezone


@pytest.mark.parametrize(("text", "name"), [(" Ada ", "Ada"), ("Zoë Šimková", "Zoë Šimková"), ("李小龍", "李小龍")])
def test_names(text: str, name: str) -> None:
    assert parse_name(text) == name


@pytest.mark.parametrize("text", ["", "  ", "Ada\nLovelace", "Ada\x00", "Ada\u202e", "a" * 201])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_name(text)


@pytest.mark.parametrize(
    ("text", "locale"),
    [("en", "en"), ("pt-BR", "pt-BR"), ("pt_br", "pt-BR"), ("DE-at", "de-AT"), ("zh-hant-TW", "zh-Hant-TW")],
)
def test_locales(text: str, locale: str) -> None:
    assert parse_locale(text) == locale


@pytest.mark.parametrize("text", ["", "e", "xx", "english", "en-", "en-US-POSIX", "../../etc", "en\n", "de.UTF-8"])
def test_what_is_no_locale(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_locale(text)


@pytest.mark.parametrize("text", ["UTC", "Europe/Prague", "America/Argentina/Ushuaia"])
def test_time_zones(text: str) -> None:
    assert parse_timezone(text) == text


@pytest.mark.parametrize("text", ["", "Europe", "europe/prague", "+02:00", "localtime", "../UTC", "Mars/Olympus"])
def test_what_is_no_time_zone(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_timezone(text)
