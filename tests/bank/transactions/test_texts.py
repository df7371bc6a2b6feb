"""What is remembered of texts: never more than a bound, and nothing that it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.events import AccountKind, Role, parse_currency
from streambank.bank.events.personal import unseal
from streambank.bank.transactions import texts
from streambank.bank.transactions.models import Purpose
from streambank.bank.transactions.repository import LedgerAccount
from streambank.bank.transactions.texts import TextMemory, Texts
from streambank.bank.transactions.words import WordHasher, words_of

KEY, SEARCH_KEY = bytes(range(64)), bytes(16)


def account(owner_id: str, key: bytes = KEY) -> LedgerAccount:
    fields = (1, "a", owner_id, Purpose.USER, AccountKind.CHECKING, parse_currency("EUR"), "Checking", None, None)
    return LedgerAccount(*fields, SEARCH_KEY, 0, None, 1, 0, 0, 0, 0, 0, Role.OWNER, key, None)


@given(st.lists(st.none() | st.text(alphabet="aB1 _é\u0301ß-", max_size=300), max_size=4))
def test_tokens_are_those_of_all_words(told: list[str | None]) -> None:
    known = Texts("ada", KEY, SEARCH_KEY)
    expected = WordHasher(SEARCH_KEY)(words_of(told))
    assert known.tokens(told) == known.tokens(told) == expected


def test_a_text_is_sealed_alike_each_time() -> None:
    known = Texts("ada", KEY, None)
    sealed = [known.sealed("Tesco") for _ in range(2)]
    assert sealed[0] == sealed[1]
    assert unseal(KEY, "ada", sealed[0] or "") == "Tesco"
    assert known.sealed(None) is None
    assert known.tokens(["Tesco"]) == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TEXTS_MAX", 3)
    monkeypatch.setattr(texts, "ACCOUNTS_MAX", 2)
    memory = TextMemory()
    known = memory.of(account("ada"))
    told = [f"shop {n}" for n in range(10)] + ["x" * 141]
    assert [unseal(KEY, "ada", known.sealed(text) or "") for text in told] == told
    assert len(known._sealed) <= 3
    assert "x" * 141 not in known._sealed
    memory.of(account("bob"))
    assert memory.of(account("ada")) is known
    memory.of(account("cleo"))
    assert memory.of(account("ada")) is known
    assert memory.of(account("bob")) is not None
    assert len(memory._known) == 2


def test_another_key_and_who_is_forgotten_begin_anew() -> None:
    memory = TextMemory()
    known = memory.of(account("ada"))
    assert memory.of(account("ada", key=bytes(64))) is not known
    memory.forget("ada")
    assert not memory._known
    assert memory.of(account("ada")) is not known
