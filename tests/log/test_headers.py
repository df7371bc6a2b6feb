"""Headers keep order, duplicates and null values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.log import decode_headers, encode_headers
from streambank.log.headers import begin_headers, encode_header


def test_no_headers_take_no_bytes() -> None:
    assert encode_headers([]) is None
    assert decode_headers(None) == ()
    assert decode_headers(b"") == ()


@given(st.lists(st.tuples(st.text(), st.none() | st.binary()), min_size=1))
def test_headers_come_back(pairs: list[tuple[str, bytes | None]]) -> None:
    assert decode_headers(encode_headers(pairs)) == tuple(pairs)


@pytest.mark.parametrize("begun", [0, 2, 3])
def test_headers_that_come_one_by_one_are_those_that_come_together(begun: int) -> None:
    pairs = (("a", b"1"), ("b", None), ("c", b"x" * 300))
    encoded = begin_headers(len(pairs), *pairs[:begun]) + b"".join(map(encode_header, pairs[begun:]))
    assert encoded == encode_headers(pairs)


@pytest.mark.parametrize("count", [1, 16])
def test_headers_that_cannot_be_begun(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} headers cannot begin with these 2"):
        begin_headers(count, ("a", b"1"), ("b", b"2"))
