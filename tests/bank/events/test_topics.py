"""The contract: what travels is what was meant, and what does not fit is refused."""

import pytest
from tests.bank.events.samples import BALANCE_CHANGED_EVENT

from streambank.bank.events import BALANCE_CHANGED, TOPICS, CreditDebit, MoneyError, parse_currency
from streambank.log.topics import TopicConfig

RECORD = BALANCE_CHANGED.value.serialize(BALANCE_CHANGED_EVENT)


def test_an_event_comes_back_as_it_was() -> None:
    assert BALANCE_CHANGED.value.deserialize(RECORD) == BALANCE_CHANGED_EVENT
    assert BALANCE_CHANGED_EVENT.credit_debit is CreditDebit.DEBIT
    assert BALANCE_CHANGED_EVENT.signed_minor == -12_50


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"EUR"', b'"EUX"', "currency"),
        (b"1250", b"9223372036854775808", "amount_minor"),
        (b"1250", b"-1", "amount_minor"),
        (b"1250", b"12.5", "amount_minor"),
        (b'"DBIT"', b'"DEBIT"', "credit_debit"),
        (b"}", b"", "truncated"),
        (RECORD, b"not json", "JSON"),
    ],
)
def test_what_does_not_fit_is_refused(old: bytes, new: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BALANCE_CHANGED.value.deserialize(RECORD.replace(old, new))


def test_the_topics_are_valid_and_their_names_differ() -> None:
    configs = [topic.config for topic in TOPICS]
    assert len({config.name for config in configs}) == len(configs) == 30
    assert all(isinstance(config, TopicConfig) for config in configs)


@pytest.mark.parametrize("code", ["", "EU", "XXX", "XAU", "€"])
def test_only_currencies_with_a_minor_unit(code: str) -> None:
    with pytest.raises(MoneyError):
        parse_currency(code)
