"""Identifiers: what RFC 9562 says of them."""

from itertools import islice
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streambank.ids import derived_id, uuid7, uuid7s


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_holds_its_time_and_is_written_as_uuids_are(timestamp_ms: int, chance: bytes) -> None:
    text = uuid7(timestamp_ms, lambda count: chance[:count])
    assert text == str(UUID(text))
    assert UUID(text).version == 7
    assert UUID(text).variant == "specified in RFC 4122"
    assert UUID(text).int >> 80 == timestamp_ms


def test_many_of_one_moment_are_what_one_after_the_other_would_be() -> None:
    drawn: list[int] = []

    def random_bytes(count: int) -> bytes:
        drawn.append(count)
        return bytes((i * 37 + len(drawn)) % 256 for i in range(count))

    ids = list(islice(uuid7s(1_700_000_000_000, random_bytes, 3), 6))
    assert drawn == [30, 30]
    chances = [bytes((i * 37 + draw) % 256 for i in range(30))[n : n + 10] for draw in (1, 2) for n in (0, 10, 20)]
    assert ids == [uuid7(1_700_000_000_000, lambda _, chance=chance: chance) for chance in chances]  # type: ignore[misc]


@given(st.lists(st.text(max_size=5), max_size=3))
def test_equal_parts_have_the_equal_id(parts: list[str]) -> None:
    assert derived_id(*parts) == derived_id(*parts)
    assert UUID(derived_id(*parts)).version == 8
    assert derived_id(*parts) != derived_id(*parts, "more")
