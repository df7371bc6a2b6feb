"""Sends to webhooks: signed, to checked addresses only, several at once, each again until it is taken or given up.

1. Claim what is due, for as long as a lease; of each webhook one at a time.
2. Resolve its host, look at every address (:mod:`.webhook_addresses`), and connect to one that was looked at. TLS is
   checked against the host's name all the same.
3. Send. No redirect is followed, no proxy asked, and of the answer nothing is read but its status.
4. Record the outcome.

A crash between 3 and 4 repeats a message, with the same ``webhook-id``, once the lease is over.
"""

import asyncio
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy import Connection

from streambank.bank.notifications import deliveries, inbox, planning, recipients, repository
from streambank.bank.notifications.deliveries import Delivery
from streambank.bank.notifications.facts import WebhookFacts
from streambank.bank.notifications.notices import Notice
from streambank.bank.notifications.settings import NotificationsSettings
from streambank.bank.notifications.telling import Reader
from streambank.bank.notifications.unsealing import opener
from streambank.bank.notifications.webhook_addresses import (
    Resolve,
    Target,
    WebhookAddressError,
    checked_addresses,
    host_of,
    parse_target,
    resolve,
)
from streambank.bank.notifications.webhook_payloads import payload, ping_payload
from streambank.bank.notifications.webhook_signing import signed_headers
from streambank.clock import Clock
from streambank.ids import derived_id
from streambank.service.database import Database

logger = structlog.get_logger(__name__)

AT_ONCE_MAX = 16
"""Messages on their way at the same time: most of their time is waiting."""

TIMEOUT_S = 15.0
"""For one message, from the resolver to the status; the specification suggests 15 to 30."""

STEP_TIMEOUT_S = 5.0
"""For each step of it: connecting, sending, receiving."""

IDLE_WAIT_S = 5.0
"""How long it sleeps at most. New notices wake it; this is for those of another process that ended."""

STOP_S = 0.2
"""How long what is on its way may take when the service stops; it is repeated otherwise."""


@dataclass(frozen=True, slots=True)
class _Message:
    """A delivery with its body; None: its notice is gone, or cannot be told."""

    delivery: Delivery
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a server answered, or why there is no answer."""

    status: int | None
    reason: str | None


class WebhookSender:
    """A worker of the service. Any number of processes may run one each: a delivery is claimed by one of them."""

    name = "notifications-webhooks"

    def __init__(
        self,
        database: Database,
        settings: NotificationsSettings,
        clock: Clock,
        *,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.delivered_count = 0
        self._database = database
        self._clock = clock
        self._local = settings.local_webhooks
        self._emails_max = settings.emails_per_hour_max
        self._resolve = resolve
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None

    def run(self, stop: threading.Event) -> None:
        """Send what is due until ``stop`` is set and :meth:`interrupt` was called."""
        asyncio.run(self._run(stop))

    def wake(self) -> None:
        """There may be something to send. May be called from any thread."""
        loop, woken = self._loop, self._woken
        if loop is not None and woken is not None:
            # The loop may be closing.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

    def interrupt(self) -> None:
        """Let :meth:`run` look at its stop event now. May be called from any thread."""
        self.wake()

    def send_due(self) -> int:
        """Send what is due now, and wait for it; how many messages were sent or given up. For tests."""
        messages = self._claim(AT_ONCE_MAX)

        async def send() -> None:
            await asyncio.gather(*(self._send(message) for message in messages))

        # Where there is nothing there needs to be no loop, which there can be only one of in a thread.
        if messages:
            asyncio.run(send())
        return len(messages)

    async def _run(self, stop: threading.Event) -> None:
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        woken, running = self._woken, set[asyncio.Task[None]]()
        try:
            while not stop.is_set():
                woken.clear()
                for task in [task for task in running if task.done()]:
                    running.remove(task)
                    task.result()
                for message in self._claim(AT_ONCE_MAX - len(running)):
                    task = asyncio.create_task(self._send(message))
                    task.add_done_callback(lambda _: woken.set())
                    running.add(task)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._idle_s(is_full=len(running) == AT_ONCE_MAX)):
                        await woken.wait()
        finally:
            self._loop = self._woken = None
            if running:
                await asyncio.wait(running, timeout=STOP_S)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _idle_s(self, *, is_full: bool) -> float:
        if is_full:
            return IDLE_WAIT_S
        # What is due but waits for another of its webhook is looked at when that one is done.
        now = self._clock()
        with self._database.read() as connection:
            due_at = deliveries.next_due_at(connection, now)
        return IDLE_WAIT_S if due_at is None else min(IDLE_WAIT_S, (due_at - now) / 1000)

    def _claim(self, limit: int) -> list[_Message]:
        now = self._clock()
        with self._database.read() as connection:
            # So that nobody waits for a transaction that writes nothing.
            if limit < 1 or not deliveries.is_due(connection, now):
                return []
        with self._database.begin() as connection:
            return [self._message(connection, delivery) for delivery in deliveries.claim(connection, now, limit)]

    def _message(self, connection: Connection, delivery: Delivery) -> _Message:
        hook = delivery.hook
        if delivery.notice_id is None:
            return _Message(delivery, ping_payload(hook.webhook_id, delivery.created_at))
        kept = inbox.by_id(connection, delivery.notice_id)
        if kept is None:
            return _Message(delivery, None)
        user = recipients.one(connection, hook.user_id)
        key = repository.key_of(connection, hook.user_id)
        reader = Reader(user.locale, user.wishes.timezone, opener(hook.user_id, kept.notice_id, key))
        try:
            return _Message(delivery, payload(kept, reader))
        except Exception as error:
            # Whatever is odd about one notice, it must not stop the others.
            logger.error(
                "a webhook's message cannot be made", message_id=delivery.message_id, error=type(error).__name__
            )
            return _Message(delivery, None)

    async def _send(self, message: _Message) -> None:
        delivery, body = message.delivery, message.body
        outcome = _Outcome(None, "there is no message any more") if body is None else await self._post(delivery, body)
        now = self._clock()
        with self._database.begin() as connection:
            if outcome.reason is None and outcome.status is not None:
                deliveries.delivered(connection, delivery, outcome.status, now)
                self.delivered_count += 1
                return
            reason = outcome.reason or ""
            logger.info(
                "a webhook failed", webhook_id=delivery.hook.webhook_id, attempt=delivery.attempt, reason=reason
            )
            if body is None:
                deliveries.given_up(connection, delivery, None, reason, now)
            else:
                self._failed(connection, delivery, outcome.status, reason, now)

    def _failed(self, connection: Connection, delivery: Delivery, status: int | None, reason: str, now_ms: int) -> None:
        hook = deliveries.hook_now(connection, delivery.hook.webhook_id, now_ms)
        if hook is None:
            return
        if hook.url != delivery.hook.url:
            # It went to where the webhook led before: that says nothing of where it leads now.
            deliveries.put_back(connection, delivery, now_ms)
            return
        deliveries.failed(connection, delivery, status, reason, now_ms)
        since = hook.failing_since if delivery.notice_id is not None else None
        if status == 410:
            self._disable(connection, delivery, "its server answered 410: there is no such thing any more", now_ms)
        elif since is not None and now_ms - since >= deliveries.DISABLE_AFTER_MS:
            self._disable(connection, delivery, f"it took nothing for days, at last since {reason}", now_ms)

    def _disable(self, connection: Connection, delivery: Delivery, reason: str, now_ms: int) -> None:
        hook = delivery.hook
        if not deliveries.disable(connection, hook.webhook_id, reason, now_ms):
            return
        host = host_of(hook.url)
        notice_id = derived_id("notice", "webhook", hook.webhook_id, delivery.message_id)
        facts = WebhookFacts(hook.webhook_id, host)
        notice = Notice(notice_id, notice_id, hook.user_id, now_ms, facts)
        planning.tell(connection, notice, self._emails_max, now_ms)
        logger.warning("a webhook is switched off", webhook_id=hook.webhook_id, reason=reason)

    async def _post(self, delivery: Delivery, body: bytes) -> _Outcome:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                target = parse_target(delivery.hook.url, local=self._local)
                addresses = await checked_addresses(target, self._resolve, local=self._local)
                status = await self._ask_any(target, addresses, delivery, body)
        except WebhookAddressError as error:
            return _Outcome(None, str(error))
        except TimeoutError:
            return _Outcome(None, f"no answer within {TIMEOUT_S:.0f} s")
        except Exception as error:
            # Whatever a server does to one message, it must not stop the others.
            return _Outcome(None, f"no answer: {type(error).__name__}")
        if 200 <= status < 300:
            return _Outcome(status, None)
        hint = ", and redirects are not followed" if 300 <= status < 400 else ""
        return _Outcome(status, f"the server answered {status}{hint}")

    async def _ask_any(self, target: Target, addresses: Sequence[str], delivery: Delivery, body: bytes) -> int:
        for address in addresses[:-1]:
            # Nothing was sent: another may be there.
            with suppress(httpx.ConnectError):
                return await self._ask(target, address, delivery, body)
        return await self._ask(target, addresses[-1], delivery, body)

    async def _ask(self, target: Target, address: str, delivery: Delivery, body: bytes) -> int:
        timestamp_s = self._clock() // 1000
        headers = {
            "Host": target.host_header,
            "Content-Type": "application/json",
            "User-Agent": "streambank-webhooks/1",
            "Accept": "*/*",
            **signed_headers(delivery.hook.secrets, delivery.message_id, timestamp_s, body),
        }
        # A client of its own for each message: no cookie and no connection of one server's is ever used for another's
        # that happens to have the same address.
        async with httpx.AsyncClient(
            verify=self._context(), trust_env=False, follow_redirects=False, timeout=STEP_TIMEOUT_S
        ) as client:
            request = client.build_request(
                "POST",
                target.url_at(address),
                headers=headers,
                content=body,
                extensions={"sni_hostname": target.host} if target.scheme == "https" else {},
            )
            response = await client.send(request, stream=True)
            await response.aclose()
            return response.status_code

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
