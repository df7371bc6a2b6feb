"""Which partition a key belongs to: Kafka's default partitioner, so that every log places every key alike.

The rule is that of ``org.apache.kafka.common.utils.Utils.murmur2`` and ``BuiltInPartitioner.partitionForKey``.
"""

from struct import unpack

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C

MEMO_MAX_KEYS = 65_536
"""How many keys a :class:`Partitioner` remembers at the least; it holds at most twice as many."""


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit MurmurHash2 of ``data``, as the signed number that Java sees."""
    h = _unsigned_murmur2(data)
    return h - 0x1_0000_0000 if h & 0x8000_0000 else h


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of ``key`` in a topic of that many partitions: ``toPositive(murmur2(key)) % partitions``."""
    return (_unsigned_murmur2(key) & 0x7FFF_FFFF) % partitions


def _unsigned_murmur2(data: bytes) -> int:
    length = len(data)
    words = length >> 2
    h = _SEED ^ length
    for k in unpack(f"<{words}I", data[: words << 2]):
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if tail := data[words << 2 :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


class Partitioner:
    """:func:`partition_for` with a bounded memory of recent keys. Threads may share one."""

    def __init__(self, partitions: int, memo_max_keys: int = MEMO_MAX_KEYS) -> None:
        if partitions < 1 or memo_max_keys < 1:
            raise ValueError("a partitioner needs at least one partition and a memory of at least one key")
        self.partitions = partitions
        self._max_keys = memo_max_keys
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}

    def partition(self, key: bytes) -> int:
        """The partition of ``key``."""
        found = self._recent.get(key)
        return found if found is not None else self._look_up(key)

    def _look_up(self, key: bytes) -> int:
        found = self._older.get(key)
        if found is None:
            found = partition_for(key, self.partitions)
        if len(self._recent) >= self._max_keys:
            # Two generations: forgetting is one assignment, and keys in steady use are never all forgotten at once.
            self._older, self._recent = self._recent, {}
        self._recent[key] = found
        return found
