from tests.streams.support import ANY, through_stream


def test_flat_map_values_gives_any_number_of_values_under_the_same_key() -> None:
    rows = [("a", [1, 2, None], 10), ("b", [], 20), (None, [3], 5)]
    spread = through_stream(lambda s: s.flat_map_values(lambda values: iter(values), value=ANY), rows)
    assert spread == [("a", 1, 10), ("a", 2, 10), ("a", None, 10), (None, 3, 5)]
