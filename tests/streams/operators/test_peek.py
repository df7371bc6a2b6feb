from tests.streams.support import through_stream


def test_peek_sees_each_record_and_passes_it_on_unchanged() -> None:
    seen: list[tuple[object, object]] = []
    rows = [("a", 1, 10), (None, 2, 20), ("c", None, 5)]
    assert through_stream(lambda s: s.peek(lambda key, value: seen.append((key, value))), rows) == rows
    assert seen == [("a", 1), (None, 2), ("c", None)]
