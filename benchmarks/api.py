"""The services' API under load: single transactions, the batch route, and reads meanwhile.

``python -m benchmarks.api [--seconds N] [--database URL]`` starts ``streambank run users transactions`` as a process of
its own and loads it from this one, over HTTP on 127.0.0.1: both share the machine. Every single transaction is durable
before it is answered. Without a URL the databases are files of SQLite.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeAlias

import httpx

from streambank.bank.events import MAIL_REQUESTED, USER_KEY
from streambank.bank.events.personal import unseal
from streambank.bank.reading import batches, latest
from streambank.log import open_log

USERS = 8
"""Each has an account; more than one, so that no rate limit of a single user is met."""

CONNECTIONS = 32
BATCH_LINES = 2_000
BATCH_CONNECTIONS = 2
READS_PER_S = 50
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class User:
    """Somebody with an account."""

    token: str
    account: str


@dataclass
class Measured:
    """How long requests took, in seconds."""

    times_s: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.times_s.append(time.perf_counter() - began)

    def __str__(self) -> str:
        ordered = sorted(self.times_s)
        return (
            f"median {1000 * statistics.median(ordered):.1f} ms, p99 {1000 * ordered[int(0.99 * len(ordered))]:.1f} ms,"
            f" longest {1000 * ordered[-1]:.1f} ms"
        )


class Connection:
    """HTTP/1.1 with as little work as can be, since the load shares the machine with what it loads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, method: str, path: str, user: User, body: bytes = b"", key: str = "") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {user.token}\r\n"
        if key:
            head += f"Idempotency-Key: {key}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        if length is not None:
            return status, await self._reader.readexactly(int(length[1]))
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append((await self._reader.readexactly(size + 2))[:-2])
        await self._reader.readline()
        return status, b"".join(parts)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


SERVICES = ("run", "users", "transactions", "--api-port", "0")


@contextmanager
def serving(data: Path, database: str | None, what: Sequence[str] = SERVICES) -> Iterator[tuple[int, int]]:
    """The command ``what``; the port of its API, and its process."""
    command = [sys.executable, "-m", "streambank", *what]
    command += ["--data", str(data), *(["--database", database] if database else [])]
    errors = (data.parent / "services.log").open("wb")
    with errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.match(r"api +http://127\.0\.0\.1:(\d+)", line):
                    yield int(found[1]), process.pid
                    return
            raise SystemExit(f"the services did not start: {(data.parent / 'services.log').read_text()}")
        finally:
            process.terminate()


def sign_up(port: int, data: Path, users_count: int = USERS) -> list[User]:
    """Users whose address is verified, as their e-mails would have it, each with an account."""
    api = f"http://127.0.0.1:{port}/v1"
    keys = count()

    def post(path: str, expect: int, bearer: str = "", **body: str) -> httpx.Response:
        headers = {"Idempotency-Key": f"setup-{next(keys)}"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        answer = httpx.post(f"{api}{path}", json=body, headers=headers, timeout=30)
        while answer.status_code == 503:
            time.sleep(0.05)
            answer = httpx.post(f"{api}{path}", json=body, headers=headers, timeout=30)
        if answer.status_code != expect:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text}")
        return answer

    emails = [f"user{number}@example.org" for number in range(users_count)]
    for email in emails:
        post("/users", 202, email=email, password=PASSWORD, name="Someone")
    for code in _codes(data, users_count):
        post("/users/verify", 204, token=code)
    users = []
    for email in emails:
        token = post("/sessions", 201, email=email, password=PASSWORD).json()["access_token"]
        account = post("/accounts", 201, token, name="Everyday", currency="EUR").json()["id"]
        users.append(User(token, account))
    return users


def _codes(data: Path, users_count: int) -> list[str]:
    log = open_log(data / "log")
    try:
        while True:
            keys = {user_id: key.key for user_id, key in latest(log, USER_KEY).items()}
            requests = [
                MAIL_REQUESTED.value.deserialize(value)
                for batch in batches(log, MAIL_REQUESTED.name)
                for value in batch.values
                if value is not None
            ]
            if len(requests) == users_count <= len(keys):
                return [unseal(keys[r.user_id], r.user_id, r.token or "") or "" for r in requests]
            time.sleep(0.05)
    finally:
        log.close()


def _line(account: str, number: int, more: str = "") -> str:
    # By hand, since the load shares the machine with what it loads.
    return (
        f'{{"account_id":"{account}","external_id":"line-{number}","credit_debit":"{"CRDT" if number % 3 else "DBIT"}",'
        f'"amount":{{"amount_minor":{1 + number % 10_000},"currency":"EUR"}},"booking_date":"2026-11-02",'
        f'"counterparty":"Shop {number % 500}","remittance":"card payment"{more}}}'
    )


Writer: TypeAlias = Callable[[int, list[User], float, Iterator[int], Measured], Coroutine[None, None, None]]


async def singles(port: int, users: list[User], until: float, numbers: Iterator[int], times: Measured) -> None:
    async with connected(port) as connection:
        while time.perf_counter() < until:
            number = next(numbers)
            user = users[number % len(users)]
            body = _line(user.account, number, ',"force":true').encode()
            with times.one():
                status, answer = await connection.ask("POST", "/v1/transactions", user, body, f"single-{number}")
            if status != 201:
                raise SystemExit(f"a single transaction: {status} {answer.decode()}")


async def in_batches(port: int, users: list[User], until: float, numbers: Iterator[int], times: Measured) -> None:
    async with connected(port) as connection:
        while time.perf_counter() < until:
            user = users[next(numbers) % len(users)]
            lines = [_line(user.account, 10_000_000 + next(numbers)) for _ in range(BATCH_LINES)]
            with times.one():
                status, answer = await connection.ask(
                    "POST", "/v1/transactions:batch", user, "\n".join(lines).encode(), f"batch-{next(numbers)}"
                )
            if status != 200 or answer.count(b'"created"') + answer.count(b'"recorded"') != BATCH_LINES:
                raise SystemExit(f"a batch: {status} {answer[:500].decode()}")


async def reads(port: int, users: list[User], seconds: float) -> list[float]:
    times, until = Measured(), time.perf_counter() + seconds
    async with connected(port) as connection:
        for number in count():
            if time.perf_counter() >= until:
                break
            user = users[number % len(users)]
            path = (
                f"/v1/accounts/{user.account}/balance"
                if number % 2
                else f"/v1/transactions?account_id={user.account}&limit=50"
            )
            with times.one():
                status, answer = await connection.ask("GET", path, user)
            if status != 200:
                raise SystemExit(f"a read: {status} {answer.decode()}")
            await asyncio.sleep(1 / READS_PER_S)
    return times.times_s


def read_apart(port: int, users: list[User], seconds: float) -> list[float]:
    """The reads, in a process of their own: the writers' work must not show in their times."""
    return asyncio.run(reads(port, users, seconds))


async def writes(port: int, users: list[User], seconds: float, connections: int, work: Writer) -> Measured:
    """The times of the requests that write."""
    times, numbers, until = Measured(), count(), time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work(port, users, until, numbers, times))
    return times


def cpu_s(process: int) -> float:
    """The CPU time that a process has used, on Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--database", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        with serving(data, options.database) as (port, process), ProcessPoolExecutor(1) as readers:
            users = sign_up(port, data)
            for name, connections, work, size in (
                ("single transactions", CONNECTIONS, singles, 1),
                (f"batches of {BATCH_LINES:,}", BATCH_CONNECTIONS, in_batches, BATCH_LINES),
            ):
                before_s = cpu_s(process)
                reading = readers.submit(read_apart, port, users, options.seconds)
                writing = asyncio.run(writes(port, users, options.seconds, connections, work))
                done, used_s = len(writing.times_s) * size, cpu_s(process) - before_s
                print(f"{name}: {done / options.seconds:,.0f} transactions/s from {connections} connections")
                print(f"  a request: {writing}; {1e6 * used_s / done:,.0f} us of CPU a transaction, with the reads")
                print(f"  reads meanwhile, {len(reading.result()):,}: {Measured(reading.result())}", flush=True)


if __name__ == "__main__":
    main()
