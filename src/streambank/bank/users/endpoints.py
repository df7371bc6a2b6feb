"""The users service over HTTP. Hashing happens before a transaction begins, in the threads kept for it.

Nothing here takes an Idempotency-Key but the making of an API key: the other posts either do no harm when sent twice,
or answer with secrets that must not be stored.
"""

import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from streambank.bank.users.context import Client
from streambank.bank.users.cookies import check_same_origin, cookie_of
from streambank.bank.users.oauth_endpoints import oauth_router
from streambank.bank.users.pages import pages
from streambank.bank.users.repository import PageOf
from streambank.bank.users.schemas import (
    ApiKeyMade,
    ApiKeyView,
    ByEmail,
    Clicks,
    EmailChange,
    Erasure,
    Export,
    LoggedIn,
    LogIn,
    MailedToken,
    NewApiKey,
    NewPassword,
    PasswordChange,
    Preferences,
    Profile,
    ProfileChange,
    SessionView,
    SignUp,
)
from streambank.bank.users.scopes import USERS_READ, USERS_WRITE
from streambank.bank.users.service import UsersService
from streambank.service.http.answers import Answer
from streambank.service.http.cursors import CursorParameter, LimitParameter, decode_cursor, encode_cursor, page_answer
from streambank.service.http.endpoint import Read, ServiceHttp, Write
from streambank.service.http.page import Page
from streambank.service.http.problems import FieldProblem, Problem
from streambank.service.http.routers import api_router, joined

PAGE_ITEMS = 50

ID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
Id: TypeAlias = Annotated[str, Path(pattern=ID_PATTERN)]


def router(service: UsersService, http: ServiceHttp) -> APIRouter:
    """All endpoints of the service."""
    parts = (_sign_up, _me, _credentials, _sessions, _api_keys, oauth_router)
    return joined([*(part(service, http) for part in parts), pages()])


def client_of(request: Request, write: Write) -> Client:
    """Where a request came from."""
    return Client(write.client, request.headers.get("user-agent", ""))


def is_secure(service: UsersService, request: Request) -> bool:
    """Whether the session's cookie goes over TLS only."""
    return service.settings.secure_cookies or request.url.scheme == "https"


def _sign_up(service: UsersService, http: ServiceHttp) -> APIRouter:
    api = api_router("users")
    anyone = Depends(http.write(None, idempotent=False))
    accounts, passwords = service.accounts, service.passwords

    @api.post("/users", status_code=202, response_class=Response)
    async def sign_up(body: SignUp, request: Request, write: Annotated[Write, anyone]) -> Response:
        """Sign up. The answer is the same whether the address is known; its owner gets a mail."""
        password_hash = await passwords.run(lambda: accounts.hash_of_new(body))
        client = client_of(request, write)
        return await write(lambda connection: accounts.sign_up(connection, body, password_hash, client))

    @api.post("/users/verify", status_code=204)
    async def verify_email(body: MailedToken, request: Request, write: Annotated[Write, anyone]) -> Response:
        """Prove by the token in a mail that its address is yours."""
        client = client_of(request, write)
        return await write(lambda connection: accounts.verify(connection, body, client))

    @api.post("/users/verification-mails", status_code=202, response_class=Response)
    async def send_verification_mail(body: ByEmail, write: Annotated[Write, anyone]) -> Response:
        """Have the mail sent again by which an address is verified."""
        return await write(lambda connection: accounts.mail_verification(connection, body))

    @api.post("/password-resets", status_code=202, response_class=Response)
    async def ask_for_password_reset(body: ByEmail, write: Annotated[Write, anyone]) -> Response:
        """Have a mail sent by which a forgotten password is replaced. It is good for an hour."""
        return await write(lambda connection: accounts.ask_for_reset(connection, body))

    @api.post("/password-resets/confirm", status_code=204)
    async def reset_password(body: NewPassword, request: Request, write: Annotated[Write, anyone]) -> Response:
        """Replace a forgotten password. All sessions, programs and API keys are out."""
        password_hash = await passwords.run(lambda: accounts.hash_for_reset(body))
        client = client_of(request, write)
        return await write(lambda connection: accounts.reset(connection, body, password_hash, client))

    return api


def _me(service: UsersService, http: ServiceHttp) -> APIRouter:
    api = api_router("users")
    reading = Depends(http.read(USERS_READ))
    changing = Depends(http.write(USERS_WRITE, if_match=True, idempotent=False))
    accounts, privacy = service.accounts, service.privacy

    @api.get("/users/me", response_model=Profile)
    async def get_profile(read: Annotated[Read, reading]) -> Response:
        """Who you are."""
        return await read(lambda connection: accounts.profile(connection, read.caller))

    @api.patch("/users/me", response_model=Profile)
    async def change_profile(body: ProfileChange, write: Annotated[Write, changing]) -> Response:
        """Change name, locale or time zone; what is left out stays."""
        return await write(lambda c: accounts.change_profile(c, write.caller, body, write.expected_version))

    @api.get("/users/me/preferences", response_model=Preferences)
    async def get_preferences(read: Annotated[Read, reading]) -> Response:
        """How you want to be notified."""
        return await read(lambda connection: accounts.preferences(connection, read.caller))

    @api.put("/users/me/preferences", response_model=Preferences)
    async def set_preferences(body: Preferences, write: Annotated[Write, changing]) -> Response:
        """Say how you want to be notified."""
        return await write(lambda c: accounts.set_preferences(c, write.caller, body, write.expected_version))

    @api.get("/users/me/export", response_model=Export)
    async def export_user(read: Annotated[Read, reading]) -> Response:
        """All that this service knows of you."""
        return await read(lambda connection: privacy.export(connection, read.caller))

    @api.post("/clicks", status_code=202, response_class=Response)
    async def report_clicks(
        body: Clicks, write: Annotated[Write, Depends(http.write(USERS_WRITE, idempotent=False))]
    ) -> Response:
        """Report what you did on a page."""
        return await write(lambda connection: privacy.take_clicks(connection, write.caller, body))

    return api


def _credentials(service: UsersService, http: ServiceHttp) -> APIRouter:
    api = api_router("users")
    changing = Depends(http.write(USERS_WRITE, if_match=True, idempotent=False))
    accounts, passwords = service.accounts, service.passwords

    @api.put("/users/me/password", status_code=204)
    async def change_password(body: PasswordChange, request: Request, write: Annotated[Write, changing]) -> Response:
        """Change the password. Your other sessions end."""
        client = client_of(request, write)
        proven, password_hash = await passwords.run(lambda: accounts.hash_for_change(write.caller, body, client))
        return await write(
            lambda c: accounts.change_password(c, write.caller, proven, password_hash, client, write.expected_version)
        )

    @api.put("/users/me/email", status_code=202, response_class=Response)
    async def change_email(body: EmailChange, request: Request, write: Annotated[Write, changing]) -> Response:
        """Change the address. It changes once the mail to the new one is answered; the old one is told."""
        client = client_of(request, write)
        proven = await passwords.run(lambda: service.authenticator.confirm(write.caller.user_id, body.password, client))
        return await write(lambda c: accounts.change_email(c, proven, body, client, write.expected_version))

    @api.delete("/users/me", status_code=204)
    async def erase_user(body: Erasure, request: Request, write: Annotated[Write, changing]) -> Response:
        """Be forgotten. It cannot be undone."""
        client = client_of(request, write)
        proven = await passwords.run(lambda: service.authenticator.confirm(write.caller.user_id, body.password, client))
        return await write(lambda c: service.privacy.erase(c, proven, write.expected_version))

    return api


def _sessions(service: UsersService, http: ServiceHttp) -> APIRouter:
    api = api_router("sessions")
    anyone = Depends(http.write(None, idempotent=False))
    ending = Depends(http.write(USERS_WRITE, idempotent=False))
    sessions = service.sessions

    @api.post("/sessions", status_code=201, response_model=LoggedIn)
    async def log_in(body: LogIn, request: Request, write: Annotated[Write, anyone]) -> Response:
        """Log in on a page: a cookie, and an access token. Refused always in the same way, whatever was wrong."""
        check_same_origin(request.headers, needed=False)
        client = client_of(request, write)
        proven = await service.passwords.run(lambda: service.authenticator.log_in(body.email, body.password, client))
        secure = is_secure(service, request)
        return await write(lambda connection: sessions.log_in(connection, proven, client, secure=secure))

    @api.get("/sessions", response_model=Page[SessionView])
    async def list_sessions(
        request: Request,
        read: Annotated[Read, Depends(http.read(USERS_READ))],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """The pages on which you are logged in, newest first."""
        page = _page_of(limit, cursor)

        def look(connection: Connection) -> Answer:
            items = sessions.page(connection, read.caller, page)
            return page_answer(items[:limit], _next(items, limit, "session_id"), request)

        return await read(look)

    # Before the next one, which would take "current" for an id.
    @api.delete("/sessions/current", status_code=204)
    async def log_out(request: Request, write: Annotated[Write, anyone]) -> Response:
        """Log out: end the session of the cookie."""
        check_same_origin(request.headers)
        client, secure = client_of(request, write), is_secure(service, request)
        return await write(lambda c: sessions.end_current(c, cookie_of(request.cookies), client, secure=secure))

    @api.delete("/sessions/{session_id}", status_code=204)
    async def end_session(session_id: Id, request: Request, write: Annotated[Write, ending]) -> Response:
        """Log out elsewhere. Needs no If-Match: a session has no versions, and this must not wait for anything."""
        client = client_of(request, write)
        return await write(lambda connection: sessions.end(connection, write.caller, session_id, client))

    return api


def _api_keys(service: UsersService, http: ServiceHttp) -> APIRouter:
    api = api_router("api keys")
    api_keys = service.api_keys

    @api.post("/api-keys", status_code=201, response_model=ApiKeyMade)
    async def make_api_key(
        body: NewApiKey, request: Request, write: Annotated[Write, Depends(http.write(USERS_WRITE))]
    ) -> Response:
        """Make a key for a program of yours. Its secret is shown this once."""
        client = client_of(request, write)
        return await write(lambda connection: api_keys.make(connection, write.caller, body, client))

    @api.get("/api-keys", response_model=Page[ApiKeyView])
    async def list_api_keys(
        request: Request,
        read: Annotated[Read, Depends(http.read(USERS_READ))],
        limit: LimitParameter = PAGE_ITEMS,
        cursor: CursorParameter = None,
    ) -> Response:
        """Your keys, newest first."""
        page = _page_of(limit, cursor)

        def look(connection: Connection) -> Answer:
            items = api_keys.page(connection, read.caller, page)
            return page_answer(items[:limit], _next(items, limit, "key_id"), request)

        return await read(look)

    @api.delete("/api-keys/{key_id}", status_code=204)
    async def revoke_api_key(
        key_id: Id, request: Request, write: Annotated[Write, Depends(http.write(USERS_WRITE, idempotent=False))]
    ) -> Response:
        """Revoke a key. Needs no If-Match: a key has no versions, and this must not wait for anything."""
        client = client_of(request, write)
        return await write(lambda connection: api_keys.revoke(connection, write.caller, key_id, client))

    return api


def _page_of(limit: int, cursor: str | None) -> PageOf:
    before = str(decode_cursor(cursor, str)[0]) if cursor is not None else None
    if before is not None and not re.fullmatch(ID_PATTERN, before):
        detail = "not a cursor of this list: leave it out to begin at the first page"
        raise Problem(400, "bad-cursor", detail, errors=[FieldProblem("cursor", detail, "query")])
    # One more than is shown tells whether there is a next page.
    return PageOf(limit + 1, before)


def _next(items: Sequence[BaseModel], limit: int, key: str) -> str | None:
    return encode_cursor(getattr(items[limit - 1], key)) if len(items) > limit else None
