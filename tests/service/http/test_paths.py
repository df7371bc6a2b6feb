"""Ids in paths, and verbs behind them."""

import httpx
from fastapi import APIRouter, FastAPI

from streambank.service.http.paths import register_ids


async def test_a_verb_is_no_part_of_an_id() -> None:
    register_ids()
    api = APIRouter()

    @api.patch("/things/{thing_id:id}")
    async def change(thing_id: str) -> str:
        return thing_id

    @api.post("/things/{thing_id:id}:mend")
    async def mend(thing_id: str) -> str:
        return thing_id

    app = FastAPI()
    app.include_router(api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.patch("/things/a-1")).json() == "a-1"
        assert (await client.post("/things/a-1:mend")).json() == "a-1"
        assert (await client.patch("/things/a-1:mend")).status_code == 405
        assert (await client.patch("/things/a%00b")).status_code == 404
    assert list(app.openapi()["paths"]) == ["/things/{thing_id}", "/things/{thing_id}:mend"]
