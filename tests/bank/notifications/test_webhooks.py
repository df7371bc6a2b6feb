"""Webhooks, sent to a server on this machine, which the setting for development lets in."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import insert, select
from tests.bank.notifications.conftest import Bench
from tests.bank.notifications.support import NOON_MS, SETTINGS, goal_mark, notification, profile, request, transfer
from tests.bank.notifications.web import Hook, Web, hook_server, web_of
from tests.postgres import Databases

from streambank.bank.events import Digest, MailKind
from streambank.bank.notifications import deliveries, webhook_payloads, webhook_sender
from streambank.bank.notifications.deliveries import DISABLE_AFTER_MS, LEASE_MS, RETRY_AFTER_S
from streambank.bank.notifications.models import DELIVERY, WEBHOOK
from streambank.bank.notifications.webhook_signing import secret_text, signed_headers

DAY_MS = 86_400_000


@pytest.fixture
def web(any_database: Databases) -> Iterator[Web]:
    """user-1 and user-2 are known."""
    bench = Bench(any_database("notifications"), replace(SETTINGS, local_webhooks=True))
    bench.know("user-1", "user-2")
    with web_of(bench) as web:
        yield web
    bench.close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    with hook_server() as hook:
        yield hook


def settle_hooks(web: Web) -> None:
    while web.bench.service.step():
        pass


def add(web: Web, url: str, user: str = "user-1", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = web.done("POST", "/v1/webhooks", user, json={"url": url, **more})
    return made


def verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As the specification tells those who receive it to."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    versions = dict(part.split(",", 1) for part in headers["webhook-signature"].split(" "))
    assert set(versions) == {"v1"}
    return any(part == f"v1,{wanted}" for part in headers["webhook-signature"].split(" "))


def log_of(web: Web, webhook_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = web.done("GET", f"/v1/webhooks/{webhook_id}/deliveries")["items"]
    return items


def test_the_example_of_the_specification() -> None:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert secret_text(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_what_a_user_is_told_is_sent_signed(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    web.bench.happen(notification(1), goal_mark(), transfer())
    settle_hooks(web)
    bodies = [json.loads(body) for _, body in hook.got]
    assert sorted(body["type"] for body in bodies) == ["alert.below", "goal.budget", "transfer.sent"]
    for headers, body in hook.got:
        assert verified(headers, body, made["secret"])
        assert not verified(headers, body + b" ", made["secret"])
        assert headers["content-type"] == "application/json"
        assert int(headers["webhook-timestamp"]) == NOON_MS // 1000
    paid = next(body for body in bodies if body["type"] == "transfer.sent")
    assert paid["data"]["title"] == "You paid 25.00 EUR to Petr Dvořák"
    assert (paid["data"]["amount_minor"], paid["data"]["currency"]) == (25_00, "EUR")
    assert paid["timestamp"] == "2026-11-24T11:00:00Z"
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 3
    assert [entry["state"] for entry in log_of(web, made["id"])] == ["delivered"] * 3
    # The same events again are no news.
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert len(hook.got) == 3


def test_only_what_it_is_for(web: Web, hook: Hook) -> None:
    add(web, hook.url, categories=["payments", "payments", "security"])
    web.bench.happen(notification(1), transfer(), request(kind=MailKind.PASSWORD_CHANGED, token=None, expires_at=None))
    settle_hooks(web)
    assert sorted(json.loads(body)["type"] for _, body in hook.got) == ["security", "transfer.sent"]


def test_one_user_s_webhook_hears_nothing_of_another(web: Web, hook: Hook) -> None:
    add(web, hook.url, "user-2")
    web.bench.happen(notification(1, "user-1"))
    settle_hooks(web)
    assert hook.got == []


def test_a_failure_is_tried_again_by_the_schedule(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [500] * 20
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert len(hook.got) == 1
    for tries, after_s in enumerate(RETRY_AFTER_S, start=2):
        web.bench.clock.now_ms += after_s * 1000 - 1
        settle_hooks(web)
        assert len(hook.got) == tries - 1
        web.bench.clock.now_ms += 1
        settle_hooks(web)
        assert len(hook.got) == tries
    [entry] = log_of(web, made["id"])
    assert (entry["state"], entry["attempts"], entry["last_status"]) == ("failed", 10, 500)
    assert entry["last_error"] == "the server answered 500"
    # Each time it was the same message.
    assert len({(headers["webhook-id"], body) for headers, body in hook.got}) == 1
    web.bench.clock.now_ms += 30 * DAY_MS
    settle_hooks(web)
    assert len(hook.got) == 10


def test_one_that_takes_nothing_for_days_is_switched_off_and_its_owner_told(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [503] * 100
    for day in range(DISABLE_AFTER_MS // DAY_MS + 2):
        web.bench.happen(notification(day))
        settle_hooks(web)
        web.bench.clock.now_ms += DAY_MS
    seen = web.done("GET", f"/v1/webhooks/{made['id']}")
    assert seen["enabled"] is False
    assert "took nothing for days" in seen["disabled_reason"]
    sent = len(hook.got)
    web.bench.happen(notification(90))
    settle_hooks(web)
    assert len(hook.got) == sent
    titles = [notice["title"] for notice in web.done("GET", "/v1/inbox")["items"]]
    assert titles.count("Your webhook to 127.0.0.1 was switched off") == 1
    web.bench.pass_ms(1_000)
    assert "Since the last e-mail: 1 notice" in web.bench.subjects()
    assert web("POST", f"/v1/webhooks/{made['id']}:ping").status_code == 409
    # It can be switched on again, and begins anew.
    hook.answers = []
    on = web(
        "PATCH", f"/v1/webhooks/{made['id']}", json={"enabled": True}, headers={"If-Match": f'"v{seen["version"]}"'}
    )
    assert on.json()["enabled"] is True
    web.bench.happen(notification(91))
    settle_hooks(web)
    assert len(hook.got) == sent + 1


def test_that_one_is_switched_off_is_told_when_its_owner_wishes(web: Web, hook: Hook) -> None:
    web.bench.happen(profile("user-1", digest=Digest.DAILY))
    add(web, hook.url)
    hook.answers = [410]
    web.bench.happen(notification(1))
    settle_hooks(web)
    web.bench.pass_ms(20 * 3_600_000 - 1)
    assert web.bench.mailer.sent == []
    web.bench.pass_ms(1_001)
    assert web.bench.subjects() == ["Since the last e-mail: 2 notices"]


def test_a_failure_now_and_one_long_ago_are_no_row(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [500] * 12
    web.done("POST", f"/v1/webhooks/{made['id']}:ping")
    settle_hooks(web)
    # A test that fails is no failure, and a message that was given up is the end of its row.
    for n in range(2):
        assert web.done("GET", f"/v1/webhooks/{made['id']}")["failing_since"] is None
        web.bench.clock.now_ms += 2 * DISABLE_AFTER_MS
        web.bench.happen(notification(n))
        for after_s in RETRY_AFTER_S:
            web.bench.clock.now_ms += after_s * 1000
            settle_hooks(web)
    assert web.done("GET", f"/v1/webhooks/{made['id']}")["enabled"] is True
    assert hook.answers == []


def test_a_failure_says_nothing_of_where_it_leads_meanwhile(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    with hook_server() as other:

        def moved(handler: BaseHTTPRequestHandler) -> None:
            path = f"/v1/webhooks/{made['id']}"
            assert web("PATCH", path, json={"url": other.url}, headers={"If-Match": '"v1"'}).status_code == 200
            handler.send_response(410)
            handler.end_headers()

        hook.answers = [moved]
        web.bench.happen(notification(1))
        settle_hooks(web)
        assert (len(hook.got), len(other.got)) == (1, 1)
    seen = web.done("GET", f"/v1/webhooks/{made['id']}")
    assert (seen["enabled"], seen["failing_since"]) == (True, None)
    assert [(entry["state"], entry["attempts"]) for entry in log_of(web, made["id"])] == [("delivered", 1)]


def test_one_user_s_webhooks_hold_up_nobody_else_s(web: Web) -> None:
    for n in range(5):
        add(web, f"https://hooks.example.org/{n}")
    add(web, "https://hooks.example.org/x", "user-2")
    now = web.bench.clock()
    with web.bench.database.begin() as connection:
        hooks = connection.execute(select(WEBHOOK.c.webhook_id, WEBHOOK.c.user_id)).all()
        late = [deliveries.row(hook.webhook_id, "notice-1", now - (hook.user_id == "user-1")) for hook in hooks]
        connection.execute(insert(DELIVERY), late)
        taken = deliveries.claim(connection, now, 3)
        assert sorted(each.hook.user_id for each in taken) == ["user-1", "user-1", "user-2"]
        assert deliveries.claim(connection, now, 3) == []
        deliveries.delivered(connection, taken[0], 200, now)
        assert [each.hook.user_id for each in deliveries.claim(connection, now, 3)] == ["user-1"]


def test_webhooks_are_woken_only_for_what_is_for_them(web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(web.bench.service.webhook_sender, "wake", lambda: woken.append(True))
    add(web, hook.url)
    web.bench.happen(notification(1, "user-2"), profile("user-1"))
    assert woken == []
    web.bench.happen(notification(2))
    assert woken == [True]


def test_gone_is_gone_at_once(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [410]
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert web.done("GET", f"/v1/webhooks/{made['id']}")["enabled"] is False


def test_a_success_ends_a_row_of_failures(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [500]
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert web.done("GET", f"/v1/webhooks/{made['id']}")["failing_since"] is not None
    web.bench.clock.now_ms += 5_000
    settle_hooks(web)
    assert web.done("GET", f"/v1/webhooks/{made['id']}")["failing_since"] is None


def test_a_redirect_is_not_followed(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", hook.url)
        handler.send_header("content-length", "0")
        handler.end_headers()

    hook.answers = [redirect]
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert len(hook.got) == 1
    assert log_of(web, made["id"])[0]["last_error"] == "the server answered 302, and redirects are not followed"


def test_of_an_answer_only_the_status_is_read(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    sent = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(100_000):
                handler.wfile.write(b"secret" * 10_000)
        except OSError:
            sent.set()

    hook.answers = [endless]
    web.bench.happen(notification(1))
    began = time.monotonic()
    settle_hooks(web)
    assert time.monotonic() - began < 5
    assert sent.wait(10)
    [entry] = log_of(web, made["id"])
    assert entry["state"] == "delivered"
    assert "secret" not in repr(entry)


def test_a_server_that_does_not_answer_is_given_up_in_time(
    web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "TIMEOUT_S", 0.3)
    made = add(web, hook.url)
    release = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        # One byte of a head now and then would go on for ever, each within the time for one step.
        while not release.wait(0.1):
            handler.wfile.write(b"H")

    hook.answers = [drip]
    web.bench.happen(notification(1))
    settle_hooks(web)
    release.set()
    assert log_of(web, made["id"])[0]["last_error"] == "no answer within 0 s"


def test_a_slow_one_holds_up_nobody_else(web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        release.wait(10)
        handler.send_response(204)
        handler.end_headers()

    with hook_server() as other:
        add(web, hook.url)
        add(web, other.url, "user-2")
        hook.answers = [slow]
        web.bench.happen()
        stop = threading.Event()
        sender = web.bench.service.webhook_sender
        thread = threading.Thread(target=sender.run, args=(stop,))
        thread.start()
        try:
            monkeypatch.setattr(sender, "send_due", lambda: 0)
            web.bench.happen(notification(1), notification(2), notification(3, "user-2"))
            deadline = time.monotonic() + 10
            while (not other.got or not hook.got) and time.monotonic() < deadline:
                sender.wake()
                time.sleep(0.01)
            assert len(other.got) == 1
            # Of one webhook one message is on its way at a time.
            assert len(hook.got) == 1
            release.set()
            while len(hook.got) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(hook.got) == 2
        finally:
            release.set()
            stop.set()
            sender.interrupt()
            thread.join(5)
        assert not thread.is_alive()


def test_a_claim_of_a_process_that_died_is_free_after_a_while(web: Web, hook: Hook) -> None:
    add(web, hook.url)
    monkey = web.bench.service.webhook_sender
    original, monkey.send_due = monkey.send_due, lambda: 0  # type: ignore[method-assign]
    web.bench.happen(notification(1))
    with web.bench.database.begin() as connection:
        assert len(deliveries.claim(connection, web.bench.clock(), 10)) == 1
        assert deliveries.claim(connection, web.bench.clock(), 10) == []
    monkey.send_due = original  # type: ignore[method-assign]
    settle_hooks(web)
    assert hook.got == []
    web.bench.clock.now_ms += LEASE_MS
    settle_hooks(web)
    assert len(hook.got) == 1


def test_a_ping_is_sent_once(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [500]
    ping = web.done("POST", f"/v1/webhooks/{made['id']}:ping")
    settle_hooks(web)
    [(headers, body)] = hook.got
    assert headers["webhook-id"] == ping["id"]
    assert json.loads(body)["type"] == "webhook.test"
    web.bench.clock.now_ms += DAY_MS
    settle_hooks(web)
    assert len(hook.got) == 1
    assert log_of(web, made["id"])[0]["state"] == "failed"


def test_of_a_webhook_one_test_waits_at_a_time(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    web.done("POST", f"/v1/webhooks/{made['id']}:ping")
    again = web("POST", f"/v1/webhooks/{made['id']}:ping")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/ping-pending")
    settle_hooks(web)
    web.done("POST", f"/v1/webhooks/{made['id']}:ping")


def test_what_waits_for_a_webhook_has_a_bound(web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "PENDING_MAX", 3)
    made, other = add(web, hook.url), add(web, hook.url, "user-2")
    hook.answers = [500] * 20
    web.bench.happen(notification(1), notification(2))
    settle_hooks(web)
    web.bench.happen(notification(3), notification(4), notification(5, "user-2"))
    settle_hooks(web)
    states = [(entry["state"], entry["last_error"]) for entry in log_of(web, made["id"])]
    assert states[0] == ("failed", deliveries.TOO_MANY)
    assert [state for state, _ in states[1:]] == ["pending"] * 3
    full = web("POST", f"/v1/webhooks/{made['id']}:ping")
    assert (full.status_code, full.json()["type"]) == (409, "/problems/too-many-deliveries")
    assert web.done("GET", f"/v1/webhooks/{other['id']}/deliveries", "user-2")["items"][0]["state"] == "pending"
    # The inbox has what the webhook missed.
    assert len(web.done("GET", "/v1/inbox")["items"]) == 4
    hook.answers = []
    web.bench.clock.now_ms += DAY_MS
    settle_hooks(web)
    web.bench.happen(notification(6))
    settle_hooks(web)
    assert log_of(web, made["id"])[0]["state"] == "delivered"


def test_a_claim_does_not_take_the_square_of_what_waits(web: Web) -> None:
    now = web.bench.clock()
    made = add(web, "https://hooks.example.org/")
    quick = add(web, "https://hooks.example.org/", "user-2")
    with web.bench.database.begin() as connection:
        rows = [deliveries.row(made["id"], f"notice-{n}", now - 1) for n in range(20_000)]
        connection.execute(insert(DELIVERY), [*rows, deliveries.row(quick["id"], "notice-x", now)])
        began = time.process_time()
        first = deliveries.claim(connection, now, 16)
        second = deliveries.claim(connection, now, 16)
        assert time.process_time() - began < 1
    assert [each.notice_id for each in first] == ["notice-0", "notice-x"]
    assert second == []


def test_while_a_secret_changes_both_sign(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    rotated = web.done("POST", f"/v1/webhooks/{made['id']}:rotate-secret")
    assert rotated["secret"] != made["secret"]
    web.bench.happen(notification(1))
    settle_hooks(web)
    web.bench.clock.now_ms += DAY_MS
    web.bench.happen(notification(2))
    settle_hooks(web)
    (first, body), (second, body_2) = hook.got
    assert verified(first, body, made["secret"])
    assert verified(first, body, rotated["secret"])
    assert verified(second, body_2, rotated["secret"])
    assert not verified(second, body_2, made["secret"])


def test_no_proxy_is_asked(web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    add(web, hook.url)
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert len(hook.got) == 1


def test_without_the_setting_this_machine_is_refused(any_database: Databases, hook: Hook) -> None:
    bench = Bench(any_database("notifications"))
    bench.know("user-1")
    with web_of(bench) as web:
        for url in (hook.url, hook.url.replace("http:", "https:"), "https://169.254.169.254/"):
            answer = web("POST", "/v1/webhooks", json={"url": url})
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/url")
    bench.close()


@pytest.mark.parametrize("name", ["hooks.example.org", "other.example.org"])
def test_the_certificate_is_checked_against_the_name(web: Web, tmp_path: Path, name: str) -> None:
    certificate = self_signed("hooks.example.org", tmp_path)
    with hook_server(certificate) as hook:
        port = hook.url.split(":")[2].split("/")[0]
        made = add(web, f"https://{name}:{port}/x")
        asked = []

        async def resolve(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        sender = web.bench.service.webhook_sender
        sender._resolve, sender._tls = resolve, ssl.create_default_context(cafile=certificate)
        web.bench.happen(notification(1))
        settle_hooks(web)
        [entry] = log_of(web, made["id"])
        assert asked == [name]
        if name == "hooks.example.org":
            assert entry["state"] == "delivered"
            assert hook.got[0][0]["host"] == f"{name}:{port}"
        else:
            assert (entry["state"], hook.got) == ("pending", [])
            assert "ConnectError" in entry["last_error"]


def self_signed(name: str, folder: Path) -> Path:
    """A certificate for the name, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(private + made.public_bytes(pem))
    return path


def test_a_name_that_leads_inside_when_it_is_sent_gets_nothing(web: Web, hook: Hook) -> None:
    port = hook.url.split(":")[2].split("/")[0]
    made = add(web, f"https://hooks.example.org:{port}/")
    asked = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.7"]

    web.bench.service.webhook_sender._resolve = resolve
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert asked == ["hooks.example.org"]
    assert hook.got == []
    assert log_of(web, made["id"])[0]["last_error"] == (
        "the host's name leads to no address, or to one that is not public"
    )


def test_where_one_address_is_not_there_the_next_is_tried(web: Web, hook: Hook) -> None:
    port = hook.url.split(":")[2].split("/")[0]
    made = add(web, f"http://localhost:{port}/")

    async def resolve(_host: str, _port: int) -> list[str]:
        # The server listens at the last of these.
        return ["127.0.0.9", "127.0.0.1"]

    web.bench.service.webhook_sender._resolve = resolve
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert len(hook.got) == 1
    assert log_of(web, made["id"])[0]["attempts"] == 1


def test_one_that_cannot_be_told_or_sent_stops_no_other(web: Web, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    made = add(web, hook.url)
    tell = webhook_payloads.payload

    def odd(kept: Any, reader: Any) -> bytes:
        if kept.facts.told == "goal-budget":
            raise RuntimeError("odd")
        return tell(kept, reader)

    monkeypatch.setattr(webhook_sender, "payload", odd)
    web.bench.happen(goal_mark(), transfer())
    settle_hooks(web)
    assert [json.loads(body)["type"] for _, body in hook.got] == ["transfer.sent"]
    assert {entry["state"] for entry in log_of(web, made["id"])} == {"delivered", "failed"}

    async def broken(_host: str, _port: int) -> list[str]:
        raise RuntimeError("odd")

    web.bench.service.webhook_sender._resolve = broken
    web.bench.happen(notification(1))
    settle_hooks(web)
    assert log_of(web, made["id"])[0]["last_error"] == "no answer: RuntimeError"


def test_no_more_than_ten(web: Web) -> None:
    for n in range(10):
        add(web, f"https://hooks.example.org/{n}")
    answer = web("POST", "/v1/webhooks", json={"url": "https://hooks.example.org/x"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-many-webhooks")


def test_removed_is_removed_with_all_that_waits(web: Web, hook: Hook) -> None:
    made = add(web, hook.url)
    hook.answers = [500]
    web.bench.happen(notification(1))
    settle_hooks(web)
    web.done("DELETE", f"/v1/webhooks/{made['id']}", headers={"If-Match": '"v1"'})
    web.bench.clock.now_ms += DAY_MS
    settle_hooks(web)
    assert len(hook.got) == 1
    with web.bench.database.read() as connection:
        assert connection.execute(select(DELIVERY)).all() == []
