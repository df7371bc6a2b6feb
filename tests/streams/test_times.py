import pytest

from streambank.streams.times import CommittedTimes, decode_times, encode_times


@pytest.mark.parametrize("times", [CommittedTimes(5), CommittedTimes(7, {"windows": 6, "a, b=c": 2})])
def test_times_come_back(times: CommittedTimes) -> None:
    assert decode_times(encode_times(times)) == times


def test_nothing_is_written_before_the_first_record() -> None:
    assert encode_times(CommittedTimes()) == ""


@pytest.mark.parametrize("metadata", ["", "t=5", "null", '{"t":"x"}', '{"t":1'])
def test_what_somebody_else_wrote_says_nothing(metadata: str) -> None:
    assert decode_times(metadata) == CommittedTimes()
