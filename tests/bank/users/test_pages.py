"""The pages that links in e-mails lead to."""

import re
from importlib.resources import files

import httpx
import pytest
from fastapi import FastAPI

from streambank.bank.events import MailKind
from streambank.bank.users.pages import PAGES, pages

STATIC = files("streambank.bank.users") / "static"


def client() -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(pages())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_and_all_that_it_names_are_served(path: str) -> None:
    async with client() as browser:
        page = await browser.get(path)
        assert page.status_code == 200
        named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert named == ["/mailed/mailed.css", "/mailed/mailed.js"]
        for address in named:
            answer = await browser.get(address)
            assert answer.status_code == 200
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_every_mail_with_a_link_has_its_page() -> None:
    assert {f"/{kind.value}" for kind in (MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD)} == set(PAGES)
    script = (STATIC / "mailed.js").read_text()
    assert set(re.findall(r'^  "(/[a-z-]+)": \{$', script, re.MULTILINE)) == set(PAGES)


def test_the_pages_hand_the_token_to_endpoints_that_there_are() -> None:
    script = (STATIC / "mailed.js").read_text()
    assert set(re.findall(r'path: "([^"]+)"', script)) == {"/v1/users/verify", "/v1/password-resets/confirm"}
