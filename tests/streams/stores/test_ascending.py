from bisect import insort

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.streams.stores.ascending import GAP_MIN, Ascending


@given(
    st.lists(st.tuples(st.sampled_from(["add", "add", "remove first", "remove"]), st.integers(0, 200)), max_size=200)
)
def test_it_is_a_sorted_list(steps: list[tuple[str, int]]) -> None:
    ascending: Ascending[int] = Ascending()
    model: list[int] = []
    for what, item in steps:
        if what == "add" and item not in model:
            ascending.add(item)
            insort(model, item)
        elif what == "remove first" and model:
            assert ascending.first == model[0]
            ascending.remove(model.pop(0))
        elif what == "remove" and item in model:
            ascending.remove(item)
            model.remove(item)
        assert len(ascending) == len(model)
        assert ascending.between(50, 150) == [each for each in model if 50 <= each < 150]
        assert list(ascending.below(100)) == [each for each in reversed(model) if each < 100]


def test_what_is_gone_takes_no_room_for_long() -> None:
    ascending: Ascending[int] = Ascending()
    for number in range(10_000):
        ascending.add(number)
        if number >= 100:
            ascending.remove(number - 100)
        assert len(ascending._items) <= 2 * 100 + GAP_MIN


def test_there_is_no_first_of_none() -> None:
    ascending: Ascending[int] = Ascending()
    ascending.add(1)
    ascending.remove(1)
    with pytest.raises(IndexError):
        _ = ascending.first
