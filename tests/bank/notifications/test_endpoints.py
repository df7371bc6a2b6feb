"""Inbox, settings, unsubscribing and bounces, over HTTP."""

import re
from collections.abc import Iterator
from email import message_from_bytes

import httpx
import pytest
from sqlalchemy import select
from tests.bank.notifications.conftest import Bench
from tests.bank.notifications.support import goal_mark, money_request, notification, profile, publish_key, transfer
from tests.bank.notifications.test_bounces import report
from tests.bank.notifications.web import Web, web_of

from streambank.bank.events import TransferState
from streambank.bank.notifications.links import MARK_HEADER, unsubscribe_token
from streambank.bank.notifications.models import RECIPIENT, SECRET
from streambank.bank.notifications.recipients import REFUSALS_MAX


@pytest.fixture
def web(bench: Bench) -> Iterator[Web]:
    bench.know("user-1", "user-2")
    with web_of(bench) as web:
        yield web


def link_of(web: Web, number: int = -1) -> str:
    """The one-click link of an e-mail that was sent."""
    header = str(message_from_bytes(web.bench.mailer.sent[number][1])["List-Unsubscribe"])
    found = re.search(r"<http://127\.0\.0\.1:8080(/unsubscribe\?token=[\w-]+)>", re.sub(r"\s", "", header))
    assert found is not None, header
    return found[1]


def test_the_inbox_in_pages_latest_first(web: Web) -> None:
    web.bench.happen(*(notification(n) for n in range(7)))
    web.bench.happen(transfer(), money_request())
    titles, cursor = [], None
    while True:
        page = web.done("GET", "/v1/inbox", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        titles += [notice["title"] for notice in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(titles) == 8
    assert titles[0] == "You paid 25.00 EUR to Petr Dvořák"
    assert {n["title"] for n in web.done("GET", "/v1/inbox", "user-2")["items"]} == {
        "Jana Nováková asks you for 25.00 EUR",
        "You received 25.00 EUR from Jana Nováková",
    }
    assert web("GET", "/v1/inbox", params={"cursor": "made-up"}).json()["type"] == "/problems/bad-cursor"


def test_reading_and_counting(web: Web) -> None:
    web.bench.happen(notification(1), notification(2), goal_mark())
    assert web.done("GET", "/v1/inbox/unread-count") == {"unread": 3}
    items = web.done("GET", "/v1/inbox")["items"]
    assert {(item["read_at"], item["type"]) for item in items} == {(None, "goal.budget"), (None, "alert.below")}
    first = items[0]
    read = web.done("POST", f"/v1/inbox/{first['id']}:read")
    assert read["read_at"] is not None
    web.bench.clock.now_ms += 1_000
    assert web.done("POST", f"/v1/inbox/{first['id']}:read") == read
    assert web.done("GET", "/v1/inbox/unread-count") == {"unread": 2}
    assert len(web.done("GET", "/v1/inbox", params={"unread": "true"})["items"]) == 2
    # Another's notice is none.
    assert web("POST", f"/v1/inbox/{first['id']}:read", "user-2").status_code == 404
    assert web("POST", "/v1/inbox:read-all").status_code == 204
    assert web.done("GET", "/v1/inbox/unread-count") == {"unread": 0}
    assert len(web.done("GET", "/v1/inbox")["items"]) == 3


def test_the_inbox_speaks_the_language_of_now(web: Web) -> None:
    web.bench.happen(transfer())
    web.bench.happen(profile("user-1", locale="de"))
    [notice] = web.done("GET", "/v1/inbox")["items"]
    assert notice["title"] == "Sie haben 25,00 EUR an Petr Dvořák gezahlt"
    assert notice["about"]["transfer_id"] == "transfer-1"


def test_somebody_whose_key_has_not_come(web: Web) -> None:
    answer = web("GET", "/v1/inbox", "new")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/user-not-known-yet")


def test_an_erased_user(web: Web) -> None:
    publish_key(web.bench.log, "user-1", None)
    web.bench.happen()
    for method, path in (("GET", "/v1/inbox"), ("GET", "/v1/notification-settings"), ("POST", "/v1/inbox:read-all")):
        assert web(method, path).status_code == 403
    body = {"url": "https://hooks.example.org/"}
    assert web("POST", "/v1/webhooks", json=body).status_code == 403


def test_settings(web: Web) -> None:
    answer = web("GET", "/v1/notification-settings")
    assert answer.json()["email"] == {"alerts": True, "goals": True, "payments": True}
    assert answer.json()["timezone"] == "Europe/Prague"
    body = {"email": {"alerts": True, "goals": False, "payments": False}}
    assert web("PUT", "/v1/notification-settings", json=body).status_code == 428
    changed = web("PUT", "/v1/notification-settings", json=body, headers={"If-Match": answer.headers["etag"]})
    assert changed.json()["email"]["goals"] is False
    stale = web("PUT", "/v1/notification-settings", json=body, headers={"If-Match": answer.headers["etag"]})
    assert stale.status_code == 412
    web.bench.happen(goal_mark(), transfer(), notification(1))
    assert [r for r in web.bench.mailer.recipients if r == "user-1"] == ["user-1"]
    assert len(web.done("GET", "/v1/inbox")["items"]) == 3
    # Of the other user nothing was changed.
    assert web.done("GET", "/v1/notification-settings", "user-2")["email"]["goals"] is True


def test_one_click_ends_the_e_mails_of_a_kind_and_no_others(web: Web) -> None:
    web.bench.happen(goal_mark(1))
    link = link_of(web)
    body = "List-Unsubscribe=One-Click"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    done = web("POST", link, None, content=body, headers=form)
    assert done.status_code == 200
    assert "You get no more e-mails about budgets and goals" in done.text
    assert web("POST", link, None, content=body, headers=form).status_code == 200
    web.bench.happen(goal_mark(2), notification(1))
    assert len(web.bench.mailer.sent) == 2
    assert len(web.done("GET", "/v1/inbox")["items"]) == 3
    seen = web("GET", "/v1/notification-settings")
    assert seen.json()["email"] == {"alerts": True, "goals": False, "payments": True}
    # And back again.
    back = {"email": {"alerts": True, "goals": True, "payments": True}}
    web.done("PUT", "/v1/notification-settings", json=back, headers={"If-Match": seen.headers["etag"]})
    web.bench.happen(goal_mark(3))
    assert len(web.bench.mailer.sent) == 3


def test_looking_at_the_link_changes_nothing(web: Web) -> None:
    web.bench.happen(profile("user-1", locale="de"), notification(1))
    link = link_of(web)
    for method in ("GET", "HEAD", "GET"):
        page = web(method, link, None)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert '<form method="post">' in page.text
    assert "Diese E-Mails beenden" in page.text
    assert "<script" not in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    web.bench.happen(notification(2))
    assert len(web.bench.mailer.sent) == 2


def recipients_of(web: Web) -> list[tuple[object, ...]]:
    with web.bench.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(RECIPIENT).order_by(RECIPIENT.c.user_id))]


def test_links_that_are_not_ours_do_nothing(web: Web) -> None:
    web.bench.happen(notification(1))
    with web.bench.database.read() as connection:
        key = bytes(connection.execute(select(SECRET.c.link_key)).scalar_one())
    token = link_of(web).partition("=")[2]
    mark = str(message_from_bytes(web.bench.mailer.sent[0][1])[MARK_HEADER])
    from streambank.bank.notifications.facts import Category

    before = recipients_of(web)
    for forged in (
        token[:-1],
        token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1],
        unsubscribe_token(b"another key of 32 bytes, or so..", "user-1", Category.ALERTS),
        unsubscribe_token(key, "user-1", Category.SECURITY),
        mark,
        "x",
        "A" * 600,
    ):
        for method in ("GET", "POST"):
            answer = web(method, f"/unsubscribe?token={forged}", None)
            assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad-token"), forged
    for query in ("", "?token=", "?token=%00", "?token=a%20b", f"?token={'A' * 601}", "?other=x"):
        assert web("POST", f"/unsubscribe{query}", None).status_code == 422
    assert recipients_of(web) == before


def test_a_link_of_an_erased_user_does_nothing(web: Web) -> None:
    web.bench.happen(notification(1))
    link = link_of(web)
    publish_key(web.bench.log, "user-1", None)
    web.bench.happen()
    assert web("POST", link, None).status_code == 200
    assert [row[0] for row in recipients_of(web)] == ["user-2"]


def mark_of(web: Web, number: int) -> str:
    return re.sub(r"\s", "", str(message_from_bytes(web.bench.mailer.sent[number][1])[MARK_HEADER]))


def bounce(web: Web, raw: bytes) -> httpx.Response:
    return web("POST", "/v1/bounces", None, content=raw, headers={"Content-Type": "message/rfc822"})


def test_bounces_stop_e_mails_that_are_not_critical(web: Web) -> None:
    for number in range(REFUSALS_MAX):
        # Each was taken by the server, which is a relay.
        web.bench.happen(notification(number))
        assert web.done("GET", "/v1/notification-settings")["email_stopped_at"] is None
        # Handed in twice, it counts once; what passes, or is a policy's, not at all.
        for raw in (report(mark_of(web, number)), report(mark_of(web, number), third="message/rfc822")):
            assert bounce(web, raw).status_code == 204
        assert bounce(web, report(mark_of(web, number), "4.2.2", "delayed")).status_code == 204
    seen = web.done("GET", "/v1/notification-settings")
    assert seen["refusals"] == REFUSALS_MAX
    assert seen["email_stopped_at"] is not None
    web.bench.happen(notification(20), transfer(), notification(21, after_minor=-1))
    assert web.bench.mailer.recipients.count("user-1") == REFUSALS_MAX + 1
    web.bench.clock.now_ms += 1_000
    moved = profile("user-1", email="new@example.org", occurred_at=profile().occurred_at.replace(hour=12))
    web.bench.happen(moved)
    assert web.done("GET", "/v1/notification-settings")["email_stopped_at"] is None


def test_a_bounce_of_the_address_before_says_nothing_of_this_one(web: Web) -> None:
    web.bench.happen(*(notification(n) for n in range(REFUSALS_MAX)))
    web.bench.happen(profile("user-1", email="new@example.org", occurred_at=profile().occurred_at.replace(hour=12)))
    for number in range(REFUSALS_MAX):
        assert bounce(web, report(mark_of(web, number))).status_code == 204
    assert web.done("GET", "/v1/notification-settings")["refusals"] == 0


def test_forged_bounces_stop_nobody(web: Web) -> None:
    web.bench.happen(notification(1))
    token = link_of(web).partition("=")[2]
    before = recipients_of(web)
    for forged in (
        report("alert-1"),
        report("<alert-1@streambank.example>"),
        report(mark_of(web, 0)[:-1] + "0"),
        report(token),
        report(mark_of(web, 0), header="Message-ID"),
        b"",
        b"x" * 10_000,
    ):
        assert bounce(web, forged).status_code == 422
    assert bounce(web, report(mark_of(web, 0)) + b"x" * 1_100_000).status_code == 413
    assert recipients_of(web) == before


def test_a_report_is_looked_at_before_the_transaction(web: Web) -> None:
    # Of SQLite there is one at a time.
    with web.bench.database.begin():
        assert bounce(web, report("forged")).status_code == 422


def test_nobody_reads_without_the_scope(web: Web) -> None:
    for path in ("/v1/inbox", "/v1/inbox/unread-count", "/v1/notification-settings", "/v1/webhooks"):
        assert web("GET", path, None).status_code == 401


def test_webhooks_of_others_are_none(web: Web) -> None:
    made = web.done("POST", "/v1/webhooks", json={"url": "https://hooks.example.org/"})
    assert made["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{made['id']}"
    for method, where, more in (
        ("GET", path, {}),
        ("PATCH", path, {"json": {"enabled": False}, "headers": {"If-Match": '"v1"'}}),
        ("DELETE", path, {"headers": {"If-Match": '"v1"'}}),
        ("POST", f"{path}:rotate-secret", {}),
        ("POST", f"{path}:ping", {}),
        ("GET", f"{path}/deliveries", {}),
    ):
        assert web(method, where, "user-2", **more).status_code == 404
    assert "secret" not in web.done("GET", path)
    assert web.done("GET", "/v1/webhooks", "user-2") == {"items": []}
    assert web("PATCH", path, json={"url": "https://10.0.0.1/"}, headers={"If-Match": '"v1"'}).status_code == 422


def test_a_rejected_payment_is_critical(web: Web) -> None:
    web.bench.happen(transfer(state=TransferState.REJECTED))
    [notice] = web.done("GET", "/v1/inbox")["items"]
    assert notice["critical"] is True
    assert notice["text"] == "No money was moved: there is not enough money."
