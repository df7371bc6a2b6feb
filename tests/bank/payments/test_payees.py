import pytest

from streambank.bank.payments.payees import PayeeError, alias_key, is_reserved, parse_alias, parse_handle


@pytest.mark.parametrize(
    ("text", "kind", "shown", "key"),
    [
        ("bob@example.org", "address", "bob@example.org", "bob@example.org"),
        ("  Bob@Example.ORG ", "address", "Bob@example.org", "bob@example.org"),
        ("bob@bücher.example", "address", "bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
        ("@bob", "alias", "@bob", "bob"),
        ("Bob.Ray-7", "alias", "@Bob.Ray-7", "bob.ray-7"),
    ],
)
def test_what_people_write(text: str, kind: str, shown: str, key: str) -> None:
    handle = parse_handle(text)
    assert (handle.kind, handle.text, handle.key) == (kind, shown, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "@@bob",
        "bob@",
        "@bob@",
        "bo",
        "7up",
        "bob..ray",
        "bob.",
        "-bob",
        "bób",
        "bob ray",
        "b" * 31,
        "bob\0",
        "a@b@c d",
    ],
)
def test_what_is_neither(text: str) -> None:
    with pytest.raises(PayeeError):
        parse_handle(text)


def test_an_alias_is_the_same_in_any_case() -> None:
    assert alias_key("@BoB") == alias_key("bob")
    assert parse_alias("b" * 30) == "b" * 30


@pytest.mark.parametrize(("alias", "reserved"), [("Stream.Bank", True), ("sup-port", True), ("supporter", False)])
def test_names_of_the_bank(alias: str, reserved: bool) -> None:
    assert is_reserved(alias) is reserved
