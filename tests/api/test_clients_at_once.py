"""Eight clients at once, over HTTP: the ledger stays whole, and the log tells every entry once and in order."""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
from tests.api.support import NDJSON, Client, World, ndjson
from tests.bank.transactions.support import line, records, signed, transaction

from streambank.bank.events import BALANCE_CHANGED, BalanceChanged

CLIENTS = 8
ROUNDS = 25
"""Of each client: some two seconds in all."""

REFUSALS = {"already-reversed", "insufficient-funds"}
"""What may come of doing things at once, and is right."""


@contextmanager
def running(world: World) -> Iterator[None]:
    """The services' own threads, which publish while the clients ask."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=service.run, args=(stop,), kwargs={"grace_s": 5.0})
        for service in (world.api.users, world.api.transactions)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def at_once(world: World, work: Callable[[int, Client], Any]) -> list[Any]:
    """What the work of each client, who all begin at the same moment, comes to."""
    clients = [world.api.client(world.ada.token) for _ in range(CLIENTS)]
    start = threading.Barrier(CLIENTS)

    def begin(number: int) -> Any:
        start.wait()
        return work(number, clients[number])

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(begin, range(CLIENTS)))


class Busy:
    """A client who posts, reverses, imports and undoes, and counts what was refused."""

    def __init__(self, number: int, ask: Client, accounts: list[str]) -> None:
        self.ask = ask
        self.number = number
        self.accounts = accounts
        self.chance = random.Random(number)
        self.entries: list[str] = []
        self.outcomes: Counter[str] = Counter()

    def live(self) -> Counter[str]:
        for turn in range(ROUNDS):
            act = self.chance.choice([self.post, self.post, self.batch, self.reverse, self.read_in, self.read_in])
            act(turn)
        return self.outcomes

    def do(self, what: str, method: str, path: str, **more: Any) -> Any:
        answer = self.ask(method, path, **more)
        if answer.is_success:
            self.outcomes[what] += 1
            return answer
        slug = answer.json()["type"].removeprefix("/problems/")
        assert slug in REFUSALS, f"{method} {path}: {answer.status_code} {answer.text}"
        self.outcomes[slug] += 1
        return None

    def post(self, turn: int) -> None:
        minor = self.chance.choice([-1, 1]) * self.chance.randint(1, 500)
        body = transaction(self.chance.choice(self.accounts), minor)
        if answer := self.do("post", "POST", "/v1/transactions", json=body):
            self.entries.append(answer.json()["id"])

    def batch(self, turn: int) -> None:
        lines = [line(self.chance.choice(self.accounts), n + 1, f"b-{self.number}-{turn}-{n}") for n in range(20)]
        answer = self.do("batch", "POST", "/v1/transactions:batch", content=ndjson(lines), headers=NDJSON)
        assert answer.content.count(b'"created"') == 20

    def reverse(self, turn: int) -> None:
        if self.entries:
            path = f"/v1/transactions/{self.chance.choice(self.entries)}:reverse"
            self.do("reverse", "POST", path, json={"force": True})

    def read_in(self, turn: int) -> None:
        # Files of all clients overlap.
        first = self.chance.randint(1, 100)
        account = self.chance.choice(self.accounts)
        lines = ndjson(line("", n, f"f-{n}") for n in range(first, first + 30))
        made = self.do("import", "POST", f"/v1/accounts/{account}/imports", content=lines, headers=NDJSON)
        if self.chance.random() < 0.7:
            headers = {"If-Match": made.headers["etag"]}
            self.do("undo", "DELETE", f"/v1/imports/{made.json()['id']}", headers=headers)


def published(world: World) -> list[BalanceChanged]:
    return [BALANCE_CHANGED.value.deserialize(r.value or b"") for r in records(world.api.log, BALANCE_CHANGED.name)]


def test_the_ledger_and_the_log_agree(any_world: World) -> None:
    shared = [any_world.ids["account_id"], any_world.private_account_id]
    with running(any_world):
        outcomes: Counter[str] = sum(
            at_once(any_world, lambda number, ask: Busy(number, ask, shared).live()), Counter[str]()
        )
    assert {"post", "batch", "reverse", "import", "undo"} <= outcomes.keys(), outcomes
    any_world.api.settle()
    assert any_world.api.faults() == []
    by_account: dict[str, list[BalanceChanged]] = defaultdict(list)
    for event in published(any_world):
        by_account[event.account_id].append(event)
    exported = any_world.ada.ask("GET", "/v1/transactions/export").content.splitlines()
    told = [event for account in shared for event in by_account[account]]
    assert len({event.entry_id for event in told}) == len(told) == len(exported)
    for account in shared:
        events = by_account[account]
        balance = any_world.ada.ask.done("GET", f"/v1/accounts/{account}/balance")
        assert [event.account_seq for event in events] == list(range(1, balance["last_seq"] + 1))
        booked = sum(signed(event) for event in events if event.status.value == "BOOK")
        assert balance["booked_minor"] == booked


def same_post(body: dict[str, Any], key: dict[str, str], _: int, ask: Client) -> httpx.Response:
    return ask("POST", "/v1/transactions", json=body, headers=key)


def test_one_key_does_the_thing_once(any_world: World) -> None:
    account = any_world.ids["account_id"]
    before = any_world.ada.ask.done("GET", f"/v1/accounts/{account}/balance")
    same = {"Idempotency-Key": "the same"}
    rounds = 10
    for turn in range(rounds):
        key = {"Idempotency-Key": f"the same {turn}"}
        body = transaction(account, 7)
        answers = at_once(any_world, partial(same_post, body, key))
        done = [answer for answer in answers if answer.status_code == 201]
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.json()["id"] for answer in done}) == 1
        assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
        for refused in set(answers) - set(done):
            assert refused.json()["type"] == "/problems/request-in-flight"
            assert refused.headers["retry-after"] == "1"
        again = any_world.ada.ask("POST", "/v1/transactions", json=body, headers=key)
        assert (again.json(), again.headers["idempotency-replayed"]) == (done[0].json(), "true")
    after = any_world.ada.ask.done("GET", f"/v1/accounts/{account}/balance")
    assert after["booked_minor"] - before["booked_minor"] == 7 * rounds
    assert after["last_seq"] - before["last_seq"] == rounds
    first = any_world.ada.ask("POST", "/v1/transactions", json=transaction(account, 1), headers=same)
    other = any_world.ada.ask("POST", "/v1/transactions", json=transaction(account, 2), headers=same)
    assert (first.status_code, other.status_code) == (201, 422)
    assert any_world.api.faults() == []


def test_one_version_is_changed_once(any_world: World) -> None:
    path = f"/v1/transactions/{any_world.ids['entry_id']}"
    version = any_world.ada.ask("GET", path).headers["etag"]
    answers = at_once(
        any_world,
        lambda number, ask: ask("PATCH", path, json={"notes": f"by {number}"}, headers={"If-Match": version}),
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * (CLIENTS - 1)
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert any_world.ada.ask.done("GET", path) == winner.json()
