"""Topics that another process of the embedded log deletes while this one knows them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streambank.log import Consumer, TopicConfig, TopicPartition, UnknownTopicError
from streambank.log.embedded import EmbeddedLog

AT = TopicPartition("orders", 0)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(tmp_path) as log:
        log.create_topics([TopicConfig(name="orders", partitions=1), TopicConfig(name="other", partitions=1)])
        yield log


@pytest.fixture
def there(here: EmbeddedLog, tmp_path: Path) -> Iterator[EmbeddedLog]:
    with EmbeddedLog.open(tmp_path) as log:
        put(log, b"first")
        yield log


def put(log: EmbeddedLog, value: bytes) -> None:
    with log.producer().transaction() as transaction:
        transaction.append("orders", value, timestamp=0)


def test_who_knew_it_is_told_once_and_finds_the_new_one(here: EmbeddedLog, there: EmbeddedLog) -> None:
    here.delete_topics(["orders"])
    here.create_topics([TopicConfig(name="orders", partitions=1)])
    with pytest.raises(UnknownTopicError, match="orders-0 was deleted"):
        put(there, b"lost")
    assert here.watermarks(AT).high == 0
    put(there, b"second")
    assert here.read(AT, 0).values == [b"second"]


@pytest.mark.parametrize("names", [["orders"], ["other", "orders"]])
def test_the_number_of_a_partition_is_never_used_again(here: EmbeddedLog, there: EmbeddedLog, names: list[str]) -> None:
    here.delete_topics(names)
    here.create_topics([TopicConfig(name="new", partitions=3)])
    with pytest.raises(UnknownTopicError):
        there.read(AT, 0)
    assert [here.watermarks(TopicPartition("new", number)).high for number in range(3)] == [0, 0, 0]


def test_a_member_loses_the_partition_and_keeps_the_others(here: EmbeddedLog, there: EmbeddedLog) -> None:
    member: Consumer = there.consumer("readers", ["orders", "other"])
    member.poll(10, 0.0)
    assert member.assignment == {AT, TopicPartition("other", 0)}
    here.delete_topics(["orders"])
    member.poll(10, 0.0)
    assert member.assignment == {TopicPartition("other", 0)}
    # Others may join a group in which one still asks for what is gone.
    second = here.consumer("readers", ["other"])
    for _ in range(3):
        for each in (member, second):
            each.poll(10, 0.0)
    assert len(member.assignment | second.assignment) == 1
