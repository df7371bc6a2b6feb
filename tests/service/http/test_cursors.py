"""Pages: every item once, whatever a client makes of a cursor."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.http.support import bench
from tests.service.support import add_row

from streambank.service.http.cursors import decode_cursor, encode_cursor
from streambank.service.http.problems import Problem


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_comes_back(text: str, number: int) -> None:
    cursor = encode_cursor(text, number)
    assert decode_cursor(cursor, str, int) == (text, number)
    assert cursor.isascii()
    assert "=" not in cursor


@given(st.text(max_size=60) | st.binary(max_size=30).map(lambda b: encode_cursor(b.hex())))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="not a cursor"):
        decode_cursor(text, int)


@pytest.mark.parametrize("part", [2**63, -(2**63) - 1, "2026-11-01\0"])
def test_what_no_database_holds_is_refused(part: int | str) -> None:
    with pytest.raises(Problem, match="not a cursor"):
        decode_cursor(encode_cursor(part), type(part))


async def test_following_the_pages_gives_each_item_once(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        for n in range(5):
            add_row(numbers.database, n)
        async with numbers.client() as client:
            found: list[Any] = []
            url = "/v1/numbers?limit=2"
            for _ in range(3):
                answer = await client.get(url)
                found.append([item["n"] for item in answer.json()["items"]])
                if answer.json()["next"] is None:
                    assert "Link" not in answer.headers
                    break
                url = answer.links["next"]["url"]
                assert f"cursor={answer.json()['next']}" in url
                assert "limit=2" in url
            assert found == [[0, 1], [2, 3], [4]]
