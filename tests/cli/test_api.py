"""What people type, and what is made of it."""

import io
from collections.abc import Mapping
from datetime import date

import httpx
import pytest
from iso4217 import Currency
from tests.bank.client.support import ACCOUNT, FakeServer

from streambank.bank.events import MoneyError
from streambank.bank.users.schemas import SignUp
from streambank.cli.api import ask_password, find_account, find_category, parse_day, parse_signed, parse_unsigned, valid
from streambank.cli.errors import CommandError, UsageError


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", Currency("EUR"), 1_250),
        ("-12.50 eur", Currency("EUR"), -1_250),
        ("€1,234.50", Currency("EUR"), 123_450),
        ("(7)", Currency("USD"), -700),
        ("1 234.5", Currency("USD"), 123_450),
        ("1200", Currency("JPY"), 1_200),
        ("1.234", Currency("KWD"), 1_234),
        (".5", Currency("EUR"), 50),
    ],
)
def test_amounts(text: str, currency: Currency, minor: int) -> None:
    assert parse_signed(text, currency, "AMOUNT") == minor


@pytest.mark.parametrize("text", ["", "much", "1,2", "1.2.3", "--1", "1 EUR 2", "NaN", "1e3", "12.50 USD", "5 kr"])
def test_what_is_no_amount_in_euros(text: str) -> None:
    with pytest.raises(UsageError, match=r"^AMOUNT: "):
        parse_signed(text, Currency("EUR"), "AMOUNT")


@pytest.mark.parametrize("text", ["0.001", "9" * 19])
def test_what_the_currency_does_not_hold(text: str) -> None:
    with pytest.raises(MoneyError):
        parse_signed(text, Currency("EUR"), "AMOUNT")


def test_an_amount_without_sign_has_none() -> None:
    with pytest.raises(UsageError, match="--min: -1 is less than 0"):
        parse_unsigned("-1", Currency("EUR"), "--min")


def test_days() -> None:
    assert parse_day("2026-11-29", "--date") == date(2026, 11, 29)
    assert parse_day(None, "--date") is None
    for text in ("29.11.2026", "2026-02-30", "today"):
        with pytest.raises(UsageError, match="is not a day"):
            parse_day(text, "--date")


def test_what_is_wrong_with_a_field_is_told_without_repeating_it() -> None:
    with pytest.raises(UsageError) as failed:
        valid(SignUp, email="nobody", password="secret" * 100, name="A")
    assert str(failed.value).startswith("email: the e-mail address is malformed")
    assert "password: " in str(failed.value)
    assert "secret" not in str(failed.value)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_password_is_asked_for_twice_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["first", "second"]
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda *_: typed.pop(0))
    with pytest.raises(UsageError, match="the two are not the same"):
        ask_password("Password", False, twice=True)
    typed[:] = ["same", "same"]
    assert ask_password("Password", False, twice=True) == "same"
    typed[:] = [""]
    with pytest.raises(UsageError, match="nothing was given"):
        ask_password("Password", False)


def listing(*items: Mapping[str, object]) -> FakeServer:
    return FakeServer(answers=[httpx.Response(200, json={"items": list(items)})])


def test_of_accounts_of_one_name_the_open_one_is_meant() -> None:
    closed = {**ACCOUNT, "id": "a-2", "closed_at": "2026-01-02T00:00:00Z"}
    with listing(closed, ACCOUNT).client() as client:
        assert find_account(client, "EVERYDAY").value.id == "a-1"
    with listing(closed, ACCOUNT).client() as client:
        assert find_account(client, "a-2").value.id == "a-2"
    with listing(closed).client() as client:
        assert find_account(client, "everyday").value.id == "a-2"
    with listing().client() as client, pytest.raises(CommandError, match="open one with `account open`"):
        find_account(client, "everyday")


def test_a_category_is_found_by_its_id_its_name_or_its_path() -> None:
    names = {"c-1": ("Food", None), "c-2": ("Other", "c-1"), "c-3": ("Other", None), "c-4": ("Tea", "c-1")}
    categories = [{"id": one, "name": name, "parent_id": parent, "version": 1} for one, (name, parent) in names.items()]
    for text, expected in (("c-2", "c-2"), ("tea", "c-4"), ("food/tea", "c-4"), ("Food/Other", "c-2")):
        with listing(*categories).client() as client:
            assert find_category(client, text).value.id == expected
    for text, told in (("Other", "write PARENT/NAME"), ("Nope", "no category"), ("Tea/Food", "no category")):
        with listing(*categories).client() as client, pytest.raises(CommandError, match=told):
            find_category(client, text)
