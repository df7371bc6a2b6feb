"""How an entry's amount is shared out among categories."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Shares: TypeAlias = Mapping[int | None, int]
"""Minor units by the number of a category, with the entry's sign; None: no category. They add up to the entry."""


def shares(signed_minor: int, category_num: int | None, parts: Iterable[tuple[int | None, int]]) -> Shares:
    """The shares of an entry: those of its ``parts`` (categories and unsigned amounts) if it has any."""
    sign = -1 if signed_minor < 0 else 1
    found: dict[int | None, int] = {}
    for num, minor in parts:
        found[num] = found.get(num, 0) + sign * minor
    return found or {category_num: signed_minor}
