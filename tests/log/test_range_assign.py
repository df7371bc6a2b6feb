"""The range assignor gives Kafka's answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.log import TopicPartition
from streambank.log.range_assign import range_assign


def _numbers(assigned: dict[str, list[TopicPartition]], topic: str) -> dict[str, list[int]]:
    return {member: [number for name, number in partitions if name == topic] for member, partitions in assigned.items()}


@pytest.mark.parametrize(
    ("members", "partitions", "expected"),
    [
        # From the description of org.apache.kafka.clients.consumer.RangeAssignor.
        (["c0", "c1"], 3, {"c0": [0, 1], "c1": [2]}),
        (["c1", "c0"], 4, {"c0": [0, 1], "c1": [2, 3]}),
        (["a", "b", "c"], 7, {"a": [0, 1, 2], "b": [3, 4], "c": [5, 6]}),
        (["a", "b", "c"], 2, {"a": [0], "b": [1], "c": []}),
        (["a"], 3, {"a": [0, 1, 2]}),
    ],
)
def test_one_topic(members: list[str], partitions: int, expected: dict[str, list[int]]) -> None:
    assigned = range_assign({member: {"t"} for member in members}, {"t": partitions})
    assert _numbers(assigned, "t") == expected


def test_equal_topics_go_together() -> None:
    assigned = range_assign({"a": ["x", "y"], "b": ["x", "y"]}, {"x": 5, "y": 5})
    assert _numbers(assigned, "x") == _numbers(assigned, "y") == {"a": [0, 1, 2], "b": [3, 4]}


def test_topics_go_to_those_who_want_them() -> None:
    assigned = range_assign({"a": ["x"], "b": ["x", "y"], "c": []}, {"x": 2, "y": 2, "z": 2})
    assert assigned == {
        "a": [TopicPartition("x", 0)],
        "b": [TopicPartition("x", 1), TopicPartition("y", 0), TopicPartition("y", 1)],
        "c": [],
    }


@given(
    st.dictionaries(st.text("abcdef", min_size=1), st.sets(st.sampled_from("xyz")), min_size=1),
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 30)),
)
def test_every_wanted_partition_goes_to_one_member(
    subscriptions: dict[str, set[str]], partitions: dict[str, int]
) -> None:
    assigned = range_assign(subscriptions, partitions)
    for topic, count in partitions.items():
        shares = _numbers(assigned, topic)
        readers = [member for member, topics in subscriptions.items() if topic in topics]
        given_out = sorted(number for numbers in shares.values() for number in numbers)
        assert given_out == (list(range(count)) if readers else [])
        sizes = [len(shares[member]) for member in readers]
        assert not sizes or max(sizes) - min(sizes) <= 1
