"""The users service over HTTP, within the test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from tests.bank.users.support import ADA, PASSWORD, World

from streambank.bank.scopes import SCOPES, TOKEN_PATH
from streambank.bank.users.endpoints import router
from streambank.bank.users.service import NAME
from streambank.service.group_commit import GroupCommit
from streambank.service.http.app import HttpService, create_app
from streambank.service.http.endpoint import ServiceHttp
from streambank.service.http.positions import Positions
from streambank.service.http.rate_limits import RateLimits, RatePolicy

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
MANY = RatePolicy("anonymous", 1_000_000, 60)


@dataclass
class Web:
    """The application on a world."""

    world: World
    app: FastAPI

    @asynccontextmanager
    async def client(self, token: str | None = None, *, tls: bool = False) -> AsyncIterator[httpx.AsyncClient]:
        """A client with an access token, or as nobody."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        base_url = "https://localhost" if tls else "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
            yield client

    @asynccontextmanager
    async def logged_in(self, email: str = ADA, password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
        """A client with the access token of a new session, whose cookie it does not have."""
        async with self.client(self.world.log_in(email, password)[0].access_token) as client:
            yield client


@contextmanager
def web(world: World) -> Iterator[Web]:
    commits = GroupCommit(world.database)
    http = ServiceHttp(
        name=NAME,
        database=world.database,
        commits=commits,
        clock=world.clock,
        verifier=world.verifier,
        limits=RateLimits(world.clock, anonymous=MANY),
        positions=Positions(world.log, world.database, service=NAME),
        token_path=TOKEN_PATH,
        scopes=SCOPES,
    )
    app = create_app([HttpService(NAME, router(world.service, http), {})], world.clock)
    try:
        yield Web(world, app)
    finally:
        commits.close()
