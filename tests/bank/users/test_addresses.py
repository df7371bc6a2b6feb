"""Which addresses are let in, and when two are the same."""

import pytest

from streambank.bank.addresses import AddressError, address_key
from streambank.bank.users.addresses import parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.org", "ada@example.org"),
        (" Ada.L+bank@Example.ORG ", "Ada.L+bank@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("jos\u0065\u0301@example.org", "jos\u00e9@example.org"),
        ("ada@localhost", "ada@localhost"),
    ],
)
def test_an_address_is_brought_into_one_form(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a da@example.org",
        "ada@exa mple.org",
        "ada@-example.org",
        "ada@example..org",
        ".ada@example.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada\x00@example.org",
        "ada\u200b@example.org",
        f"{'a' * 65}@example.org",
        f"ada@{'a' * 64}.org",
        f"ada@{'.'.join(['abcdefgh'] * 30)}",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert not text.partition("@")[0] or text not in str(refused.value)


def test_case_makes_no_other_address() -> None:
    assert address_key(parse_address("Ada@Example.org")) == address_key(parse_address("ADA@example.ORG"))
    assert address_key(parse_address("ada@example.org")) != address_key(parse_address("ada@example.com"))
