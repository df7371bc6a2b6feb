from tests.streams.support import ANY, through_stream


def test_map_values_sees_every_value_null_ones_too_and_keeps_key_and_time() -> None:
    rows = [("a", 1, 10), (None, 2, 20), ("c", None, 5)]
    mapped = through_stream(lambda s: s.map_values(lambda value: [value], value=ANY), rows)
    assert mapped == [("a", [1], 10), (None, [2], 20), ("c", [None], 5)]
