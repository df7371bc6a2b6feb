"""What an endpoint's function takes, found in a request as FastAPI does, at the cost of what the function takes.

FastAPI looks anew for everything that a function might take, and for what each of its dependencies might. Here that is
known once there is the endpoint. Values are checked by FastAPI's own fields, so their errors are FastAPI's too.
"""

import json
from contextlib import suppress
from email.message import Message
from functools import lru_cache
from inspect import iscoroutinefunction
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streambank.errors import check

_PLACES = {
    "path_params": attrgetter("path_params"),
    "query_params": attrgetter("query_params"),
    "header_params": attrgetter("headers"),
    "cookie_params": attrgetter("cookies"),
}
"""Where a dependant's parameters of each kind are in a request."""

_NEVER = (
    "websocket_param_name",
    "http_connection_param_name",
    "response_param_name",
    "background_tasks_param_name",
    "security_scopes_param_name",
)
"""What FastAPI can give a function, and no endpoint here takes."""


class Arguments:
    """What one function takes: an endpoint, or what it depends on."""

    def __init__(self, dependant: Dependant) -> None:
        function: Any = dependant.call
        check(iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__), "an endpoint is async")
        check(not any(getattr(dependant, name) for name in _NEVER), f"{function} takes what endpoints here do not")
        check(len(dependant.body_params) <= 1, f"{function} takes one body")
        needs: list[Any] = dependant.dependencies
        self._needs = [(needed.name, needed.call, Arguments(needed)) for needed in needs]
        self._parameters = [(fields, of) for kind, of in _PLACES.items() if (fields := getattr(dependant, kind))]
        self._request_name = dependant.request_param_name
        self._body = _Body(dependant.body_params[0]) if dependant.body_params else None

    async def of(self, request: Request) -> dict[str, Any]:
        """The arguments, by name.

        Raises:
            RequestValidationError: some are not as they should be.
            HTTPException: 400, the body cannot be read.
        """
        values: dict[str, Any] = {}
        errors: list[Any] = []
        # First of all: that a body is no JSON is told to whoever sent it.
        body = await self._body.read(request) if self._body is not None else _NOTHING
        for name, function, arguments in self._needs:
            try:
                values[name] = await function(**await arguments.of(request))
            except RequestValidationError as error:
                errors += error.errors()
        for fields, place in self._parameters:
            found, wrong = request_params_to_args(fields, place(request))
            values |= found
            errors += wrong
        if self._body is not None:
            values[self._body.name], wrong = await self._body.check(body)
            errors += wrong
        if errors:
            raise RequestValidationError(errors)
        if self._request_name is not None:
            values[self._request_name] = request
        return values


class _Read(NamedTuple):
    """A body: what it holds, and whether that has been found to be right."""

    value: Any
    is_right: bool


_NOTHING = _Read(PydanticUndefined, is_right=False)


class _Body:
    """The one body that a function takes: JSON."""

    def __init__(self, field: Any) -> None:
        self.name = field.name
        self._field = field
        self._validate_json = TypeAdapter[Any](Annotated[field.field_info.annotation, field.field_info]).validate_json

    async def read(self, request: Request) -> _Read:
        """What the request holds.

        Raises:
            RequestValidationError: it is to be JSON, and is not.
            HTTPException: 400, it cannot be read.
        """
        try:
            raw = await request.body()
            if not raw:
                return _NOTHING
            if not _is_json(request.headers.get("content-type", "")):
                return _Read(raw, is_right=False)
            # In one go where all is right. Where it is not, FastAPI's way finds the words for it.
            with suppress(Exception):
                return _Read(self._validate_json(raw), is_right=True)
            return _Read(json.loads(raw), is_right=False)
        except json.JSONDecodeError as error:
            told = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error"}
            raise RequestValidationError([told]) from error
        except HTTPException:
            raise
        except Exception as error:
            raise HTTPException(400) from error

    async def check(self, read: _Read) -> tuple[Any, list[Any]]:
        """The argument, and what is wrong with it."""
        if read.is_right:
            return read.value, []
        values, errors = await request_body_to_args([self._field], read.value, embed_body_fields=False)
        return values[self.name], errors


@lru_cache(maxsize=64)
def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    kind = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (kind == "json" or kind.endswith("+json"))
