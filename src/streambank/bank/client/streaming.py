"""Answers that are read while they arrive, a line at a time."""

from collections.abc import Iterator
from contextlib import closing
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from streambank.bank.client.connection import ApiConnection, Call
from streambank.bank.client.errors import AnswerError, UnreachableError

T = TypeVar("T", bound=BaseModel)


def exported(connection: ApiConnection, call: Call, kind: type[T]) -> Iterator[T]:
    """The lines of an NDJSON answer. Nothing is sent before the first is taken.

    Raises:
        UnreachableError: the connection broke; what came before is good, but it is not all.
        AnswerError: a line is something else.
    """
    with closing(connection.send(call, stream=True)) as response:
        try:
            for line in response.iter_lines():
                if line:
                    yield kind.model_validate_json(line)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"the connection to {connection.base_url} broke ({type(error).__name__}) before all was there: begin"
                " again"
            ) from None
        except ValidationError:
            raise AnswerError(f"{call.path}: a line is not what this version of streambank expects") from None
