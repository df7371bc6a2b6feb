"""The partitioner gives Kafka's own answers."""

import pytest

from streambank.log import Partitioner, murmur2, partition_for

# From org.apache.kafka.common.utils.UtilsTest.
KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "expected"), KAFKA_VECTORS.items())
def test_murmur2_is_kafkas(data: bytes, expected: int) -> None:
    assert murmur2(data) == expected


@pytest.mark.parametrize(("key", "hashed"), KAFKA_VECTORS.items())
@pytest.mark.parametrize("partitions", [1, 4, 24])
def test_partitions_are_the_positive_hash_modulo_the_count(key: bytes, hashed: int, partitions: int) -> None:
    assert partition_for(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


def test_empty_key_has_a_partition() -> None:
    assert 0 <= partition_for(b"", 7) < 7


def test_partitioner_agrees_with_the_function_whatever_it_forgot() -> None:
    partitioner = Partitioner(12, memo_max_keys=10)
    keys = [str(number % 37).encode() for number in range(1000)]
    assert [partitioner.partition(key) for key in keys] == [partition_for(key, 12) for key in keys]


def test_partitioner_remembers_at_most_twice_its_limit() -> None:
    partitioner = Partitioner(12, memo_max_keys=10)
    for number in range(1000):
        partitioner.partition(str(number).encode())
    assert len(partitioner._recent) + len(partitioner._older) <= 20


@pytest.mark.parametrize(("partitions", "memo"), [(0, 1), (1, 0)])
def test_partitioner_needs_partitions_and_memory(partitions: int, memo: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Partitioner(partitions, memo)
