"""Records that the log refuses: the input record that made them is what failed, not the application."""

import pytest
from tests.streams.support import ANY, IN, OUT, topic

from streambank.log.embedded.log import RECORD_MAX_BYTES
from streambank.streams import ProcessingError, StreamBuilder, Topology
from streambank.streams.dead_letters import RECORD_BYTES_MAX
from streambank.streams.testing import TopologyTestDriver


def blown_up() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).map_values(lambda size: "x" * size, value=ANY).to(OUT)
    return builder.build()


def into_a_compacted_topic() -> Topology:
    builder = StreamBuilder()
    builder.stream(IN).to(topic("compacted", cleanup_policy="compact"))
    return builder.build()


def test_an_output_that_is_too_large_makes_its_input_a_dead_letter() -> None:
    with TopologyTestDriver(blown_up(), on_error="dead-letter") as driver:
        for size in (1, RECORD_MAX_BYTES + 1, 2):
            driver.write(IN, "a", size)
        driver.run()
        assert [value for _, value, _ in driver.read(OUT)] == ["x", "xx"]
        assert [record.value for record in driver.dead_letters] == [b"%d" % (RECORD_MAX_BYTES + 1)]


def test_a_record_without_a_key_for_a_compacted_topic_makes_its_input_a_dead_letter() -> None:
    with TopologyTestDriver(into_a_compacted_topic(), on_error="dead-letter") as driver:
        for key in ("a", None, "b"):
            driver.write(IN, key, 1)
        driver.run()
        assert [record.key for record in driver.read_records("compacted")] == [b'"a"', b'"b"']
        assert [record.key for record in driver.dead_letters] == [None]


def test_with_fail_the_text_says_which_record() -> None:
    with TopologyTestDriver(blown_up()) as driver, pytest.raises(ProcessingError, match="in-0 offset 0"):
        driver.pipe(IN, "a", RECORD_MAX_BYTES + 1)


@pytest.mark.parametrize("size", [RECORD_MAX_BYTES - 10, RECORD_BYTES_MAX - 1])
def test_a_record_that_leaves_no_room_for_headers_is_named_in_its_dead_letter(size: int) -> None:
    with TopologyTestDriver(blown_up(), on_error="dead-letter") as driver:
        driver.write_bytes("in", b"key", b"{" * size, 1, partition=0)
        driver.run()
        (dead,) = driver.dead_letters
        headers = dict(dead.headers)
        place = [headers[f"__streams.errors.{name}"] for name in ("topic", "partition", "offset")]
        assert place == [b"in", b"0", b"0"]
        assert (dead.key, dead.value) == (b"key", None)
        assert headers["__streams.errors.value.omitted"] == str(size).encode()
