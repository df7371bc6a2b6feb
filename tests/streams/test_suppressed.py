import pytest
from tests.streams.support import ANY, IN, TABLE

from streambank.streams import BufferConfig, StreamBuilder, Suppressed, TopologyError


@pytest.mark.parametrize(
    ("buffer", "says"),
    [
        (BufferConfig.unbounded(), (None, None, False)),
        (BufferConfig.unbounded().emit_early_when_full(), (None, None, True)),
        (BufferConfig.max_records(3), (3, None, True)),
        (BufferConfig.max_bytes(3), (None, 3, True)),
        (BufferConfig.max_records(3).shut_down_when_full(), (3, None, False)),
        (BufferConfig.max_records(3).with_max_bytes(9).shut_down_when_full(), (3, 9, False)),
        (BufferConfig.max_bytes(9).shut_down_when_full().with_max_records(3), (3, 9, False)),
    ],
)
def test_buffers(buffer: BufferConfig, says: tuple[int | None, int | None, bool]) -> None:
    assert (buffer.records_max, buffer.bytes_max, buffer.emits_early) == says


def test_limits_of_less_than_one_and_negative_times_are_refused() -> None:
    with pytest.raises(TopologyError, match="max_records must be at least 1, but is 0"):
        BufferConfig.max_records(0)
    with pytest.raises(TopologyError, match="with_max_bytes must be at least 1, but is -1"):
        BufferConfig.max_records(1).with_max_bytes(-1)
    with pytest.raises(TopologyError, match="wait_ms must not be negative, but is -1"):
        Suppressed.until_time_limit(-1)


@pytest.mark.parametrize("buffer", [BufferConfig.max_records(3), BufferConfig.unbounded().emit_early_when_full()])
def test_a_final_result_cannot_be_emitted_early(buffer: BufferConfig) -> None:
    with pytest.raises(TopologyError, match="shut_down_when_full"):
        Suppressed.until_window_closes(buffer)
    assert Suppressed.until_window_closes(buffer.shut_down_when_full()).wait_ms is None


def test_windows_cannot_close_where_there_are_none() -> None:
    table = StreamBuilder().table(TABLE)
    with pytest.raises(
        TopologyError, match=r"suppress 'late': table 'table\(table\)' has no windows.*until_time_limit"
    ):
        table.suppress(Suppressed.until_window_closes(), name="late")


def test_the_serde_of_the_values_must_be_known() -> None:
    builder = StreamBuilder()
    table = builder.table(TABLE).map_values(lambda value: value)
    table.suppress(Suppressed.until_time_limit(1), name="held")
    with pytest.raises(TopologyError, match="map_values"):
        builder.build()


def test_two_stores_of_one_name_are_refused() -> None:
    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().reduce(lambda _first, last: last, name="n", value=ANY)
    with pytest.raises(TopologyError, match="'n': give one of them another name="):
        counts.suppress(Suppressed.until_time_limit(1), name="n")
