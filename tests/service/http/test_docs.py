"""The page of the API: it is there, and needs nothing from elsewhere."""

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from tests.service.http.support import bench, problem

STATIC = files("streambank.service.http") / "static"


async def test_the_page_and_all_that_it_names_are_served(tmp_path: Path) -> None:
    with bench(tmp_path) as numbers:
        async with numbers.client(None) as client:
            page = await client.get("/docs")
            assert page.status_code == 200
            assert page.text == (await client.get("/docs/numbers")).text
            named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
            assert len(named) == 3
            for address in named:
                assert address.startswith("/docs/")
                answer = await client.get(address)
                assert answer.status_code == 200
                assert answer.headers["content-type"].partition(";")[0] in {"text/javascript", "text/css"}
            assert "script-src 'self';" in page.headers["Content-Security-Policy"]
            assert problem(await client.get("/docs/nothing")) == (404, "not-found")


@pytest.mark.parametrize("name", sorted(json.loads((STATIC / "vendor.json").read_text())))
def test_files_of_others_are_those_that_were_published(name: str) -> None:
    """``npm pack PACKAGE@VERSION`` brings them again."""
    listed = json.loads((STATIC / "vendor.json").read_text())[name]["sha256"]
    there = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (STATIC / name).iterdir()}
    assert there == listed
