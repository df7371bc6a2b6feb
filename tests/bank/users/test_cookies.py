"""The cookie, and where requests that carry it come from."""

import pytest

from streambank.bank.users.cookies import check_same_origin, cookie_header, cookie_of, removal_header
from streambank.service.http.problems import Problem


def test_the_cookie_is_for_the_server_only() -> None:
    assert cookie_header("abc", 60, secure=False) == (
        "streambank_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
    )
    assert cookie_header("abc", 60, secure=True) == (
        "__Host-streambank_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    )
    assert removal_header(secure=False).startswith("streambank_session=; Path=/; Max-Age=0;")


def test_the_cookie_that_came_over_tls_is_the_one_that_counts() -> None:
    assert cookie_of({"streambank_session": "a", "__Host-streambank_session": "b"}) == "b"
    assert cookie_of({"streambank_session": "a"}) == "a"
    assert cookie_of({"other": "a"}) is None


HOST = {"host": "bank.example:8080"}


@pytest.mark.parametrize(
    ("headers", "with_cookie", "without"),
    [
        pytest.param({"sec-fetch-site": "same-origin"}, True, True, id="our page"),
        pytest.param({"sec-fetch-site": "same-site"}, False, False, id="another port"),
        pytest.param({"sec-fetch-site": "cross-site"}, False, False, id="another site"),
        pytest.param({"sec-fetch-site": "none"}, False, False, id="typed into the address bar"),
        pytest.param({"origin": "http://bank.example:8080"}, True, True, id="older browser, our page"),
        pytest.param({"origin": "http://bank.example"}, False, False, id="older browser, another port"),
        pytest.param({"origin": "https://evil.example"}, False, False, id="older browser, another site"),
        pytest.param({"origin": "null"}, False, False, id="a sandbox"),
        pytest.param({}, False, True, id="no browser"),
        pytest.param(
            {"sec-fetch-site": "cross-site", "origin": "http://bank.example:8080"}, False, False, id="they disagree"
        ),
    ],
)
def test_origins(headers: dict[str, str], with_cookie: bool, without: bool) -> None:
    for needed, allowed in ((True, with_cookie), (False, without)):
        if allowed:
            check_same_origin({**HOST, **headers}, needed=needed)
        else:
            with pytest.raises(Problem) as refused:
                check_same_origin({**HOST, **headers}, needed=needed)
            assert refused.value.status == 403


def test_without_a_host_no_origin_is_ours() -> None:
    with pytest.raises(Problem):
        check_same_origin({"origin": "http://bank.example"})
