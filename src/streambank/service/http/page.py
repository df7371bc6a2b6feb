"""The shape of a page of a list; apart from how services make one, since clients need it too."""

from typing import Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)

LIMIT_MAX = 200
"""Items in a page: some ten kilobytes, which any client takes at once."""


class Page(BaseModel, Generic[T]):
    """Some items of a list; ``next`` is the cursor of those that follow, if there are any."""

    items: list[T]
    next: str | None = None
