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
from tests.api.support import ALL_SCOPES, NDJSON, Client, World, ndjson, transfer_body
from tests.bank.transactions.support import NOON, line, records, signed, transaction

from streambank.bank.events import BALANCE_CHANGED, USER_LIMITS, BalanceChanged, Currency, PaymentLimit, UserLimits
from streambank.bank.payments.settings import DAY_COUNT

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
        threading.Thread(target=service.run, args=(stop,), kwargs={"grace_s": 5.0}) for service in world.api.services
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


class Payer:
    """A client who pays, cancels, and moves money between Ada's accounts, and counts what was answered."""

    def __init__(self, number: int, ask: Client, accounts: list[str], payees: list[str]) -> None:
        self.ask, self.accounts, self.payees = ask, accounts, payees
        self.chance = random.Random(number)
        self.outcomes: Counter[str] = Counter()

    def live(self) -> Counter[str]:
        for _ in range(12):
            account = self.chance.choice(self.accounts)
            body: dict[str, Any] = {"debtor_account_id": account, "amount": {"amount_minor": 40, "currency": "EUR"}}
            if self.chance.random() < 0.2:
                body["creditor_account_id"] = next(one for one in self.accounts if one != account)
            else:
                body["payee"] = self.chance.choice(self.payees)
            answer = self.ask("POST", "/v1/transfers", json=body)
            self.note("pay", answer)
            if answer.is_success and self.chance.random() < 0.3:
                self.note("cancel", self.ask("POST", f"/v1/transfers/{answer.json()['id']}:cancel"))
        return self.outcomes

    def note(self, what: str, answer: httpx.Response) -> None:
        slug = what if answer.is_success else answer.json()["type"].removeprefix("/problems/")
        assert slug in {what, "limit-exceeded", "transfer-not-cancellable"}, answer.text
        self.outcomes[slug] += 1


def money_of(world: World) -> int:
    """All that is booked on the accounts of those who have some."""
    people = (world.ada, world.bob, world.fay)
    lists = [person.ask.done("GET", "/v1/accounts")["items"] for person in people]
    return sum({one["id"]: one["balance"]["booked_minor"] for items in lists for one in items}.values())


def test_no_money_is_made_or_lost_in_payments(any_world: World) -> None:
    accounts = [any_world.ids["account_id"], any_world.private_account_id]
    before = money_of(any_world)
    payees = [any_world.bob.email, any_world.fay.email, "nobody@example.org"]
    with running(any_world):
        outcomes: Counter[str] = sum(
            at_once(any_world, lambda number, ask: Payer(number, ask, accounts, payees).live()), Counter[str]()
        )
    assert {"pay", "cancel", "limit-exceeded"} <= outcomes.keys(), outcomes
    any_world.api.settle()
    any_world.api.clock.now_ms += 8 * 86_400_000
    any_world.api.settle()
    any_world.ada.token = any_world.ada.ask.token = any_world.api.scoped_token(any_world.ada, ALL_SCOPES)
    for person in (any_world.bob, any_world.fay):
        any_world.api.log_in(person)
    assert any_world.api.faults() == []
    assert money_of(any_world) == before
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = any_world.ada.ask.done("GET", f"/v1/transfers?limit=200{cursor and f'&cursor={cursor}'}")
        items, cursor = items + page["items"], page["next"]
    states = Counter(one["state"] for one in items)
    assert states.keys() <= {"posted", "rejected", "cancelled", "expired"}, states
    # The service's own limit: what went out, or was still on its way when the last one was refused.
    out = [one for one in items if one["direction"] == "outgoing" and one["state"] in ("posted", "expired")]
    assert len(out) <= DAY_COUNT


def test_a_limit_is_passed_by_none_of_those_who_come_together(any_world: World) -> None:
    event = UserLimits(
        user_id=any_world.ada.user_id,
        occurred_at=NOON,
        recorded_at=NOON,
        event_id="l",
        limits=(PaymentLimit(currency=Currency("EUR"), per_day_minor=100),),
    )
    producer = any_world.api.log.producer()
    with producer.transaction() as transaction:
        USER_LIMITS.write(transaction, any_world.ada.user_id, event, any_world.api.clock())
    producer.close()
    any_world.api.settle()
    # 5 have gone out before the test.
    body = {**transfer_body(any_world.private_account_id), "amount": {"amount_minor": 30, "currency": "EUR"}}
    answers = at_once(any_world, lambda _, ask: ask("POST", "/v1/transfers", json=body))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [422] * (CLIENTS - 3)
    assert {a.json()["type"] for a in answers if a.status_code == 422} == {"/problems/limit-exceeded"}
