"""Headers keep order, duplicates and null values."""

from hypothesis import given
from hypothesis import strategies as st

from streambank.log import decode_headers, encode_headers


def test_no_headers_take_no_bytes() -> None:
    assert encode_headers([]) is None
    assert decode_headers(None) == ()
    assert decode_headers(b"") == ()


@given(st.lists(st.tuples(st.text(), st.none() | st.binary()), min_size=1))
def test_headers_come_back(pairs: list[tuple[str, bytes | None]]) -> None:
    assert decode_headers(encode_headers(pairs)) == tuple(pairs)
