"""The live stream from a real server: what is the caller's own, once, in order, and without a gap.

 feed:   a b c   d e        f g
client:  a b |gone|         d e f g      goes on behind the last id that it got
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.bank.transactions.support import NOON, NOON_MS, key_of
from tests.bank.views.support import EUR, made
from tests.bank.views.web import Event, Web, serving

from streambank.bank.events import (
    GOAL_PROGRESS,
    TRANSFER_STATUS,
    USER_FEED,
    FeedItem,
    GoalKind,
    GoalProgress,
    TransferChanged,
    TransferParty,
    TransferState,
)
from streambank.bank.events.personal import seal
from streambank.bank.views import live, repository
from streambank.bank.views.live import BUFFER_RECORDS_MAX, LISTENERS_OF_USER_MAX, Item, Listener, LiveFeed
from streambank.log import TopicPartition, Watermarks
from streambank.log.embedded import EmbeddedLog
from streambank.service.http.problems import Problem


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with made(lambda name: tmp_path / f"{name}.db") as bench:
        bench.know("ada")
        bench.know("bob")
        with serving(bench) as web:
            yield web


def balances(events: list[Event]) -> list[int]:
    """Of the account, one for each entry."""
    return [e.data["balance_minor"] for e in events if e.kind == "balance" and e.data["scope"] == "account"]


def last(web: Web) -> None:
    """Something that comes behind all else."""
    web.bench.write(GOAL_PROGRESS, "goal", progress("ada"))


def progress(user_id: str) -> GoalProgress:
    return GoalProgress(
        user_id=user_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="g",
        goal_id="goal",
        kind=GoalKind.SAVINGS,
        currency=EUR,
        target_minor=100,
        amount_minor=50,
    )


def test_what_happens_is_told_as_it_happens_and_only_to_whom_it_concerns(web: Web) -> None:
    with web.follow() as ada, web.follow("bob") as bob:
        assert [event.kind for event in (*ada.until("ready"), *bob.until("ready"))] == ["ready", "ready"]
        web.bench.book(-12_50, counterparty="The Baker", category="food")
        last(web)
        told = ada.until("goal")
        assert {event.kind for event in told} == {"balance", "net-worth", "cash-flow", "spending", "goal"}
        balance = next(event for event in told if event.kind == "balance")
        assert (balance.data["balance_minor"], balance.data["entry"]["counterparty"]) == (-12_50, "The Baker")
        spent = next(event for event in told if event.kind == "spending")
        assert (spent.data["category_id"], spent.data["spent_minor"]) == ("food", 12_50)
        assert "user_id" not in balance.data
        web.bench.write(GOAL_PROGRESS, "bobs", progress("bob"))
        assert [event.kind for event in bob.until("goal")] == ["goal"]


def test_a_transfer_is_told_to_each_side_with_its_own_texts_only(web: Web) -> None:
    def party(user_id: str, other: str) -> TransferParty:
        name = seal(key_of(user_id), user_id, other)
        return TransferParty(user_id=user_id, account_id=f"{user_id}-account", other_name=name)

    changed = TransferChanged(
        user_id="ada",
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="t1",
        transfer_id="t",
        state=TransferState.POSTED,
        debtor=party("ada", "Bob B."),
        creditor=party("bob", "Ada A."),
        amount_minor=500,
        currency=EUR,
    )
    with web.follow() as ada, web.follow("bob") as bob:
        web.bench.write(TRANSFER_STATUS, "t", changed)
        for follower, direction, other in ((ada, "out", "Bob B."), (bob, "in", "Ada A.")):
            told = follower.until("transfer")[-1].data
            assert (told["direction"], told["other_name"], told["state"]) == (direction, other, "posted")
            assert "bob-account" not in str(told) or direction == "in"


def test_who_comes_back_goes_on_behind_what_they_got(web: Web) -> None:
    with web.follow() as ada:
        ada.until("ready")
        for minor in (1, 2):
            web.bench.book(minor)
        last(web)
        first = ada.until("goal")
    place = next(event.id for event in first if event.kind == "balance")
    seen = balances(first[: [event.id for event in first].index(place) + 1])
    for minor in (4, 8):
        web.bench.book(minor)
    with web.follow(last_id=place) as ada:
        missed = ada.until("ready")
        web.bench.book(16)
        last(web)
        after = ada.until("goal")
    assert seen + balances(missed) + balances(after) == [1, 3, 7, 15, 31]
    ids = [event.id for event in (*missed, *after) if event.kind != "ready"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("last_id", ["nonsense", "!", "WyJhbm90aGVyLWxvZyIsNV0", "x" * 512])
def test_who_comes_with_an_id_of_nowhere_is_told_to_load_everything(web: Web, last_id: str) -> None:
    with web.follow(last_id=last_id) as ada:
        found = ada.next()
        assert found is not None
        assert found.kind == "reset"
    with web.follow(last_id=found.id) as ada:
        assert ada.next() == Event("ready", found.id, {})


def test_it_ends_when_the_token_does(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.views.endpoints.HEARTBEAT_S", 0.05)
    with web.follow() as ada:
        ada.until("ready")
        web.bench.clock.now_ms += 600_000
        assert ada.until("end")[-1].data == {"reason": "token-expired"}
        assert ada.next() is None


@pytest.mark.alone
def test_it_ends_at_once_when_the_service_stops(web: Web) -> None:
    with web.follow() as ada:
        ada.until("ready")
        started = time.monotonic()
        web.stop.set()
        assert ada.until("end")[-1].data == {"reason": "stopping"}
        assert ada.next() is None
        web.server.close()
        assert time.monotonic() - started < 1
    assert threading.active_count() < 50


def test_it_ends_when_its_user_is_erased(web: Web) -> None:
    with web.follow() as ada, web.follow("bob") as bob:
        ada.until("ready")
        bob.until("ready")
        web.bench.forget("ada")
        assert ada.until("end")[-1].data == {"reason": "erased"}
        web.bench.write(GOAL_PROGRESS, "bobs", progress("bob"))
        assert bob.until("goal")
    assert web.get("/v1/stream").status_code == 403


def test_it_ends_when_another_process_erases_its_user(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.views.endpoints.HEARTBEAT_S", 0.05)
    with web.follow() as ada:
        ada.until("ready")
        with web.bench.database.begin() as connection:
            repository.erase(connection, "ada", NOON_MS)
        assert ada.until("end")[-1].data == {"reason": "erased"}
        assert ada.next() is None


def test_who_is_refused_holds_no_place(web: Web) -> None:
    web.bench.forget("ada")
    for _ in range(LISTENERS_OF_USER_MAX + 1):
        assert web.get("/v1/stream").status_code == 403


#   missed:  a b | c d e ...        the token runs out, the stream is cut off, or its user erased, after the first batch
@pytest.mark.parametrize("why", ["token-expired", "slow", "erased", "stopping"])
def test_it_ends_while_what_was_missed_is_told(web: Web, monkeypatch: pytest.MonkeyPatch, why: Any) -> None:
    monkeypatch.setattr(live, "READ_RECORDS", 1)
    with web.follow() as ada:
        place = ada.until("ready")[0].id
    for minor in (1, 2, 4):
        web.bench.book(minor)
    missed = LiveFeed.missed

    def end_after(feed: LiveFeed, listener: Listener, offset: int) -> tuple[list[Item], int]:
        if why == "token-expired":
            web.bench.clock.now_ms += 600_000
        else:
            listener.loop.call_soon_threadsafe(listener.end, why)
        return missed(feed, listener, offset)

    monkeypatch.setattr(LiveFeed, "missed", end_after)
    with web.follow(last_id=place) as ada:
        *told, end = ada.until("end")
    assert end.data == {"reason": why}
    assert balances(told) == [1]
    assert "ready" not in {event.kind for event in told}


@pytest.mark.parametrize(("scopes", "status"), [(("transactions:read",), 403), (("users:read",), 403)])
def test_it_takes_the_right_scope(web: Web, scopes: tuple[str, ...], status: int) -> None:
    assert web.get("/v1/stream", "ada", *scopes).status_code == status


def test_nobody_opens_too_many(web: Web) -> None:
    with ExitStack() as stack:
        # Kept: who lets go of one ends it.
        followers = [stack.enter_context(web.follow()) for _ in range(LISTENERS_OF_USER_MAX)]
        assert all(follower.until("ready") for follower in followers)
        refused = web.get("/v1/stream")
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-streams")
        assert stack.enter_context(web.follow("bob")).until("ready")


def test_heartbeats_show_that_the_connection_is_alive(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.views.endpoints.HEARTBEAT_S", 0.05)
    with web.follow() as ada:
        ada.until("ready")
        assert [next(ada.lines) for _ in range(2)] == [":", ""]


class Hub:
    """The reader of the feed by itself, stepped by the test."""

    def __init__(self, log: EmbeddedLog) -> None:
        self.log = log
        self.live = LiveFeed(log)
        self._producer = log.producer()

    def tell(self, *user_ids: str) -> None:
        with self._producer.transaction() as transaction:
            for user_id in user_ids:
                item = FeedItem(user_id=user_id, occurred_at=NOON, recorded_at=NOON, event_id="e")
                USER_FEED.write(transaction, user_id, item, NOON_MS)

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with EmbeddedLog.open(None, background_cleaning=False) as log:
        hub = Hub(log)
        yield hub
        hub.close()


async def test_a_client_that_does_not_keep_up_loses_its_buffer_and_ends(hub: Hub) -> None:
    slow = hub.live.listen("ada", asyncio.get_running_loop(), None)
    quick = hub.live.listen("ada", asyncio.get_running_loop(), None)
    heard: list[Item] = []
    for _ in range(BUFFER_RECORDS_MAX // 500 + 1):
        hub.tell(*["ada"] * 500)
        hub.live.step()
        heard += await quick.next(1)
    assert (slow.ended, await slow.next(1)) == ("slow", [])
    assert (quick.ended, len(heard)) == (None, BUFFER_RECORDS_MAX + 500)
    assert [item.offset for item in heard] == sorted({item.offset for item in heard})


async def test_joining_while_others_listen_leaves_no_gap(hub: Hub) -> None:
    first = hub.live.listen("ada", asyncio.get_running_loop(), None)
    hub.tell("ada", "ada")
    # Not handed on yet: the second one begins where the reader is, and hears them too.
    second = hub.live.listen("ada", asyncio.get_running_loop(), None)
    hub.live.step()
    heard = [[item.offset for item in await one.next(1)] for one in (first, second)]
    assert heard == [[first.start, first.start + 1]] * 2
    # One that joins now has both behind it, and finds them where it is asked for them.
    third = hub.live.listen("ada", asyncio.get_running_loop(), hub.live.id_of(first.start - 1))
    missed, offset = hub.live.missed(third, third.since)
    assert ([item.offset for item in missed], offset) == (heard[0], third.start)


async def test_who_heard_more_elsewhere_hears_only_what_is_new(hub: Hub) -> None:
    # The reader of another process was faster: what it told its client has not been read here yet.
    first = hub.live.listen("ada", asyncio.get_running_loop(), None)
    hub.tell("ada", "ada")
    ahead = hub.live.listen("ada", asyncio.get_running_loop(), hub.live.id_of(first.start + 1))
    unknown = hub.live.listen("ada", asyncio.get_running_loop(), hub.live.id_of(first.start + 2))
    assert (ahead.is_complete, unknown.is_complete) == (True, False)
    hub.live.step()
    assert await ahead.next(0.05) == []
    hub.tell("ada")
    hub.live.step()
    assert [item.offset for item in await ahead.next(1)] == [first.start + 2]
    assert len(await first.next(1)) == 3


async def test_the_lock_is_free_while_the_log_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    watermarks, locked = hub.log.watermarks, list[bool]()

    def asked(place: TopicPartition) -> Watermarks:
        locked.append(hub.live._lock.locked())
        return watermarks(place)

    monkeypatch.setattr(hub.log, "watermarks", asked)
    hub.live.listen("ada", asyncio.get_running_loop(), None)
    hub.live.listen("ada", asyncio.get_running_loop(), hub.live.id_of(0))
    assert locked
    assert not any(locked)


async def test_nobody_reads_while_nobody_listens(hub: Hub) -> None:
    hub.tell("ada")
    assert hub.live.step() == 0
    listener = hub.live.listen("ada", asyncio.get_running_loop(), None)
    hub.tell("bob", "ada")
    hub.live.step()
    assert [item.offset for item in await listener.next(1)] == [listener.start]


async def test_who_was_away_for_too_long_begins_anew(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CATCH_UP_RECORDS_MAX", 3)
    listener = hub.live.listen("ada", asyncio.get_running_loop(), None)
    place = hub.live.id_of(listener.start - 1)
    hub.live.leave(listener)
    for complete in (True, False):
        hub.tell("ada", "ada", "ada")
        assert hub.live.listen("ada", asyncio.get_running_loop(), place).is_complete is complete
        hub.live.close()
        hub.live = LiveFeed(hub.log)


async def test_a_reader_that_has_stopped_takes_nobody(hub: Hub) -> None:
    hub.live.close()
    with pytest.raises(Problem, match="about to stop"):
        hub.live.listen("ada", asyncio.get_running_loop(), None)
