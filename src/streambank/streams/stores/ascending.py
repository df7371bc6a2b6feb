"""Items in ascending order that come in near the end and go from the front, as times do."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Any)

GAP_MIN = 32
"""So many items that are gone, at the least, are worth moving the others up for."""


class Ascending(Generic[T]):
    """A sorted list whose front moves on, so that to remove the first item costs no more than to remove the last.

    Items are comparable and occur once.
    """

    __slots__ = ("_first", "_items")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._first = 0

    @property
    def first(self) -> T:
        """The least item. Raises IndexError where there is none."""
        return self._items[self._first]

    def add(self, item: T) -> None:
        """Put an item in its place."""
        insort(self._items, item, self._first)

    def remove(self, item: T) -> None:
        """Take out an item that is there."""
        at = bisect_left(self._items, item, self._first)
        if at > self._first:
            del self._items[at]
            return
        self._first += 1
        # Moved up only once half of the list is gone, so that each item is moved about once.
        if self._first == len(self._items) or (self._first >= GAP_MIN and self._first * 2 > len(self._items)):
            del self._items[: self._first]
            self._first = 0

    def between(self, low: Any, high: Any) -> list[T]:
        """The items with ``low <= item < high``, in order."""
        return self._items[bisect_left(self._items, low, self._first) : bisect_left(self._items, high, self._first)]

    def below(self, high: Any) -> Iterator[T]:
        """The items less than ``high``, the greatest first."""
        for at in range(bisect_left(self._items, high, self._first) - 1, self._first - 1, -1):
            yield self._items[at]

    def __len__(self) -> int:
        return len(self._items) - self._first
