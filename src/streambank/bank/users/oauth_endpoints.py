"""OAuth 2 over HTTP: forms in, and refusals in OAuth's own shape out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from streambank.bank.scopes import TOKEN_PATH
from streambank.bank.users.authentication import Proven
from streambank.bank.users.context import Client
from streambank.bank.users.cookies import check_same_origin, cookie_of
from streambank.bank.users.oauth import (
    OAuthRefusedError,
    credentials,
    parameter,
    parse_form,
    program,
)
from streambank.bank.users.schemas import OAuthError, PublicKeys, TokenAnswer
from streambank.bank.users.service import UsersService
from streambank.service.http.endpoint import Read, ServiceHttp, Write
from streambank.service.http.problems import Problem
from streambank.service.http.routers import api_router

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": OAuthError, "description": "Refused (RFC 6749 section 5.2)"},
    401: {"model": OAuthError, "description": "Not a client that is known (RFC 6749 section 5.2)"},
}


def _form_schema(**properties: str) -> dict[str, Any]:
    fields = {name: {"type": "string", "minLength": 1, "description": text} for name, text in properties.items()}
    schema = {"type": "object", "properties": fields, "required": [next(iter(properties))]}
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}


_TOKEN_FORM = _form_schema(
    grant_type="password, refresh_token, client_credentials, or session: the page's cookie",
    username="password: the e-mail address",
    password="password: the password",  # noqa: S106
    refresh_token="refresh_token: the token, which is good once",  # noqa: S106
    client_id="client_credentials: the API key's id; or else the program",
    client_secret="client_credentials: the API key's secret",  # noqa: S106
    scope="what is wanted, names with blanks between them; all that can be had, if left out",
)
_REVOKE_FORM = _form_schema(
    token="a refresh token, or the secret of an API key",  # noqa: S106
    token_type_hint="not needed: tokens say what they are",  # noqa: S106
    client_id="the program",
)


def oauth_router(service: UsersService, http: ServiceHttp) -> APIRouter:
    """The endpoints that programs log in by, and the key set that their tokens are checked with."""
    api = api_router("oauth", prefix="")
    anyone = Depends(http.write(None, idempotent=False))

    @api.post(TOKEN_PATH, response_model=TokenAnswer, responses=_ERRORS, openapi_extra=_TOKEN_FORM)
    async def get_token(request: Request, write: Annotated[Write, anyone]) -> Response:
        """Get an access token (RFC 6749)."""
        try:
            return await _token(service, request, write)
        except OAuthRefusedError as refusal:
            answer = refusal.answer()
            return await write(lambda _: answer)

    @api.post("/v1/oauth/revoke", response_class=Response, responses=_ERRORS, openapi_extra=_REVOKE_FORM)
    async def revoke_token(request: Request, write: Annotated[Write, anyone]) -> Response:
        """Take a refresh token or an API key back (RFC 7009)."""
        client = Client(write.client)
        try:
            form = parse_form(request.headers.get("content-type", ""), await request.body())
            token = parameter(form, "token")
            return await write(lambda connection: service.oauth.revoke(connection, token, client))
        except OAuthRefusedError as refusal:
            answer = refusal.answer()
            return await write(lambda _: answer)

    @api.get("/.well-known/jwks.json", response_model=PublicKeys)
    async def get_public_keys(read: Annotated[Read, Depends(http.read(None))]) -> Response:
        """The keys that access tokens are checked with (RFC 7517)."""
        return await read(service.keys.public_keys)

    return api


async def _token(service: UsersService, request: Request, write: Write) -> Response:
    form = parse_form(request.headers.get("content-type", ""), await request.body())
    client = Client(write.client)
    who = credentials(form, request.headers.get("authorization"))
    scope = form.get("scope")
    match parameter(form, "grant_type"):
        case "password":
            program_id = program(who)
            proven = await _log_in(service, parameter(form, "username"), parameter(form, "password"), client)
            return await write(lambda c: service.oauth.by_password(c, proven, program_id, scope, client))
        case "refresh_token":
            program_id, token = program(who), parameter(form, "refresh_token")
            return await write(lambda c: service.oauth.by_refresh_token(c, token, program_id, scope, client))
        case "client_credentials":
            return await write(lambda c: service.oauth.by_api_key(c, who, scope))
        case "session":
            check_same_origin(request.headers)
            return await write(lambda c: service.oauth.by_session(c, cookie_of(request.cookies), scope))
        case _:
            raise OAuthRefusedError("unsupported_grant_type", "there is no such grant type here")


async def _log_in(service: UsersService, email: str, password: str, client: Client) -> Proven:
    try:
        return await service.passwords.run(lambda: service.authenticator.log_in(email, password, client))
    except Problem as problem:
        if problem.status != 401:
            raise
        raise OAuthRefusedError("invalid_grant", problem.detail) from None
