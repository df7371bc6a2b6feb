"""Things with versions: what was read, and which version of it, so that a change says what it changes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import httpx

from streambank.bank.client.errors import AnswerError


class TellsVersion(Protocol):
    """What says itself which version it is: items of lists do."""

    version: int


T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V", bound=TellsVersion)

_ETAG = re.compile(r'(?:W/)?"v(\d{1,18})"')


@dataclass(frozen=True, slots=True)
class Versioned(Generic[T_co]):
    """Something as it was at a version.

    What changes it takes it, and is refused with the problem ``version-mismatch`` where somebody else was faster.
    """

    value: T_co
    version: int

    @property
    def etag(self) -> str:
        """The version's entity tag, for ``If-Match``."""
        return f'"v{self.version}"'


def version_of(response: httpx.Response) -> int:
    """The version in an answer's ``ETag``. Raises AnswerError where it has none."""
    found = _ETAG.fullmatch(response.headers.get("etag", ""))
    if found is None:
        raise AnswerError(f"{response.request.url.path}: the answer does not tell its version in an ETag")
    return int(found[1])


def versioned(items: Iterable[V]) -> list[Versioned[V]]:
    """Items of a list, with their versions."""
    return [Versioned(item, item.version) for item in items]
