"""Queries across processes: any member of an application answers for any key, by asking the member that has it.

Where each member answers stands in the log, in the compacted topic ``<application>-servers``, by member; which member
has which partitions, the group says: of the member itself too, which may have lost some and not know it yet. A member
asks over HTTP, with a secret that all of them share; who is asked for a partition that it does not have refuses, and is
looked up anew.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol

import msgspec
import structlog

from streambank.log import EventLog, LogError, TopicConfig, TopicPartition, partition_for
from streambank.streams.config import StreamsConfig
from streambank.streams.errors import NotHereError, QueryError, QueryTimeoutError
from streambank.streams.queries import StoreQuery, find_store
from streambank.streams.stores.base import StoreSpec
from streambank.streams.topology import SubTopology, Topology

logger = structlog.get_logger(__name__)

REQUEST_BYTES_MAX = 1 << 20
SOCKET_TIMEOUT_S = 10.0

AGAIN_S = 0.1
"""How long to wait before the owner of a partition is looked up again."""

FRESH_S = 1.0
"""Who has what, is asked for at most so often, so that no answer is as of longer ago."""

EXTRA_S = 1.0
"""How much longer than the owner itself, who asks it waits for the answer."""


class _Request(msgspec.Struct, omit_defaults=True):
    """What is asked of a store; keys are serialized, positions are topic, partition and offset."""

    method: Literal["get", "fetch", "range", "all", "count"]
    partitions: tuple[int, ...] = ()
    first: bytes | None = None
    last: bytes | None = None
    from_ms: int = 0
    to_ms: int = 0
    min_position: tuple[tuple[str, int, int], ...] = ()
    timeout_s: float = 0.0


class _Answer(msgspec.Struct):
    """Serialized keys and values, or a number."""

    entries: list[tuple[bytes, bytes]] = []
    count: int = 0


_decode_request = msgspec.msgpack.Decoder(_Request).decode
_decode_answer = msgspec.msgpack.Decoder(_Answer).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class KeyQueryMetadata:
    """Who has a key. ``server`` is None while nobody does, or where the owner answers no others."""

    partition: int
    server: str | None
    is_local: bool


@dataclass(frozen=True, slots=True)
class Owners:
    """Who has the partitions of a sub-topology, as the group says: this member, or where the others answer."""

    here: set[int]
    elsewhere: dict[int, str]


class LocalQuery(Protocol):
    """:meth:`streambank.streams.StreamRunner.query`."""

    def __call__(
        self, store: str, *, min_position: Mapping[TopicPartition, int] | None = None, timeout_s: float = 0.0
    ) -> StoreQuery:
        """Reads the parts of a store that this member has."""


class QueryPeers:
    """What one member is to the others, and they to it."""

    def __init__(self, topology: Topology, log: EventLog, config: StreamsConfig, query: LocalQuery) -> None:
        """Take the port, where ``config.application_server`` names one. Raises QueryError where it is taken."""
        self._topology, self._log, self._query = topology, log, query
        self._application_id, self._secret = config.application_id, config.query_secret
        self._topic = TopicConfig(name=f"{config.application_id}-servers", partitions=1, cleanup_policy="compact")
        self._member_id = ""
        self._owners: dict[int, tuple[float, Owners]] = {}
        self._server: _Server | None = None
        if config.application_server is not None:
            log.create_topics([self._topic])
            self._server = _Server(config.application_server, self._secret or "", self._answer)

    @property
    def server(self) -> str | None:
        """Where this member answers."""
        return self._server.address if self._server is not None else None

    def start(self) -> None:
        """Answer from now on."""
        if self._server is not None:
            self._server.start()

    def follow(self, member_id: str) -> bool:
        """Tell the others, once this is a member of the group, and when it is another one; False if that failed."""
        if member_id and member_id != self._member_id:
            if self._server is not None and not self._write(member_id, self._server.address):
                return False
            self._member_id = member_id
        return True

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            if self._member_id:
                self._write(self._member_id, None)

    def metadata(self, store: str, key: Any) -> KeyQueryMetadata:
        """Who has a key, as of now. Raises QueryError."""
        sub = find_store(self._topology, store)
        partition = _partition_of(_spec(sub, store), key, sub)
        owners = self.owners(sub)
        if partition in owners.here:
            return KeyQueryMetadata(partition, self.server, is_local=True)
        return KeyQueryMetadata(partition, owners.elsewhere.get(partition), is_local=False)

    def owners(self, sub: SubTopology, *, fresh: bool = True) -> Owners:
        """Who has a sub-topology's partitions; unless ``fresh``, as of a moment ago."""
        known = self._owners.get(sub.index)
        if known is None or fresh or time.monotonic() - known[0] > FRESH_S:
            # As of before it was asked for, so that it is never taken for fresher than it is.
            known = self._owners[sub.index] = time.monotonic(), self._look(sub)
        return known[1]

    def _look(self, sub: SubTopology) -> Owners:
        servers, owners = self._servers(), Owners(set(), {})
        for member in self._log.describe_group(self._application_id).members:
            for partition in range(sub.partitions):
                if member.assignment.issuperset(self._topology.task_inputs(sub, partition, self._application_id)):
                    if member.member_id == self._member_id:
                        owners.here.add(partition)
                    elif member.member_id in servers:
                        owners.elsewhere[partition] = servers[member.member_id]
        return owners

    def ask(self, server: str, store: str, request: _Request) -> _Answer:
        """Ask another member.

        Raises:
            NotHereError: it does not have these partitions.
            QueryTimeoutError: it did not answer in time.
            QueryError: it refuses the question.
            OSError, HTTPException: it cannot be reached.
        """
        host, _, port = server.rpartition(":")
        connection = HTTPConnection(host.strip("[]"), int(port), timeout=request.timeout_s + EXTRA_S)
        with closing(connection):
            headers = {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/msgpack"}
            connection.request("POST", f"/stores/{store}", _encode(request), headers)
            response = connection.getresponse()
            body = response.read()
        if response.status == HTTPStatus.OK:
            return _decode_answer(body)
        text = f"{server}: {body.decode('utf-8', 'replace')}"
        kinds = {HTTPStatus.MISDIRECTED_REQUEST: NotHereError, HTTPStatus.GATEWAY_TIMEOUT: QueryTimeoutError}
        raise kinds.get(HTTPStatus(response.status), QueryError)(text)

    def _answer(self, store: str, request: _Request) -> _Answer:
        """Answer another member, in the server's thread."""
        positions = {TopicPartition(topic, number): offset for topic, number, offset in request.min_position}
        query = self._query(store, min_position=positions, timeout_s=min(max(request.timeout_s, 0.0), 60.0))
        spec = _spec(find_store(self._topology, store), store)
        return _local_answer(query.of(request.partitions) if request.partitions else query, spec, request)

    def _servers(self) -> dict[str, str]:
        at = TopicPartition(self._topic.name, 0)
        if self._topic.name not in self._log.topics():
            return {}
        found: dict[str, str] = {}
        offset, end = self._log.watermarks(at)
        while offset < end:
            batch = self._log.read(at, offset)
            for key, value in zip(batch.keys, batch.values, strict=True):
                member_id = (key or b"").decode()
                if value is None:
                    found.pop(member_id, None)
                else:
                    found[member_id] = value.decode()
            offset = batch.next_offset
        return found

    def _write(self, member_id: str, server: str | None) -> bool:
        value = server.encode() if server is not None else None
        try:
            with closing(self._log.producer()) as producer, producer.transaction() as transaction:
                transaction.append(self._topic.name, value, key=member_id.encode(), timestamp=1)
        except LogError as error:
            logger.warning("the other members could not be told where this one answers", error=str(error))
            return False
        return True


class AnywhereQuery:
    """Reads one store of a running application wherever its parts are. See :meth:`StreamRunner.query_anywhere`.

    What this member has it answers itself, as of one commit of it; what others have they answer, each as of one of
    theirs, and no answer is as of more than FRESH_S before the question: with ``min_position``, it has all of that. A
    part that is moving is waited for. Every method raises QueryError and, where a part cannot be had in time,
    QueryTimeoutError.
    """

    def __init__(
        self,
        peers: QueryPeers,
        topology: Topology,
        store: str,
        local: StoreQuery,
        min_position: Mapping[TopicPartition, int],
        timeout_s: float,
    ) -> None:
        self._peers, self._store, self._local, self._timeout_s = peers, store, local, timeout_s
        self._sub = find_store(topology, store)
        self._spec = _spec(self._sub, store)
        self._min_position = tuple((at.topic, at.partition, offset) for at, offset in min_position.items())

    def get(self, key: Any) -> Any | None:
        """The value of a key; None where there is none."""
        self._local.check_kind()
        partition = _partition_of(self._spec, key, self._sub)
        entries = self._gather(_Request("get", first=self._spec.key.serialize(key)), [partition])
        return entries[0][1] if entries else None

    def fetch(self, key: Any, from_ms: int, to_ms: int) -> list[tuple[Any, Any]]:
        """A key's windows: see :meth:`StoreQuery.fetch`."""
        partition = _partition_of(self._spec, key, self._sub)
        request = _Request("fetch", first=_inner(self._spec).serialize(key), from_ms=from_ms, to_ms=to_ms)
        return self._gather(request, [partition])

    def range(self, first: Any = None, last: Any = None) -> list[tuple[Any, Any]]:
        """Keys and values from key ``first`` to ``last`` (None: no bound), both included, by the keys' bytes."""
        self._local.check_kind()
        bounds = [None if key is None else self._spec.key.serialize(key) for key in (first, last)]
        return self._in_order(self._gather(_Request("range", first=bounds[0], last=bounds[1])))

    def all(self) -> list[tuple[Any, Any]]:
        """Every key and value, by the keys' bytes."""
        return self._in_order(self._gather(_Request("all")))

    def count(self) -> int:
        """How many entries there are."""
        return sum(answer.count for answer in self._answers(_Request("count"), range(self._sub.partitions)))

    def _gather(self, request: _Request, partitions: Collection[int] | None = None) -> list[tuple[Any, Any]]:
        wanted = range(self._sub.partitions) if partitions is None else partitions
        key, value = self._spec.key.deserialize, self._spec.value.deserialize
        return [(key(k), value(v)) for answer in self._answers(request, wanted) for k, v in answer.entries]

    def _in_order(self, entries: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        serialize = self._spec.key.serialize
        return sorted(entries, key=lambda entry: serialize(entry[0]))

    def _answers(self, request: _Request, partitions: Iterable[int]) -> list[_Answer]:
        """Every partition's answer, from whoever has it."""
        deadline = time.monotonic() + self._timeout_s
        missing, answers, problem = set(partitions), [], "nobody has it"
        again = False
        while missing:
            for server, numbers in self._places(missing, fresh=again).items():
                left_s = deadline - time.monotonic()
                asked = msgspec.structs.replace(
                    request,
                    partitions=tuple(sorted(numbers)),
                    min_position=self._min_position,
                    timeout_s=max(0.0, left_s),
                )
                try:
                    if server is None:
                        local = self._local.of(numbers).within(asked.timeout_s)
                        answers.append(_local_answer(local, self._spec, asked))
                    else:
                        answers.append(self._peers.ask(server, self._store, asked))
                    missing -= numbers
                except (NotHereError, OSError, HTTPException) as error:
                    problem = f"{server or 'this member'}: {error}"
            if missing:
                if time.monotonic() > deadline:
                    numbers_text = ", ".join(map(str, sorted(missing)))
                    raise QueryTimeoutError(
                        f"store {self._store!r}: partition {numbers_text} cannot be had within {self._timeout_s:g} s: "
                        f"{problem}. Does a member that has it run, with application_server?"
                    )
                again = True
                time.sleep(AGAIN_S)
        return answers

    def _places(self, partitions: set[int], *, fresh: bool) -> dict[str | None, set[int]]:
        """Where to ask for these partitions; None is here."""
        owners = self._peers.owners(self._sub, fresh=fresh)
        here = partitions & owners.here
        places: dict[str | None, set[int]] = {None: here} if here else {}
        for partition in sorted(partitions & owners.elsewhere.keys()):
            places.setdefault(owners.elsewhere[partition], set()).add(partition)
        return places


def _local_answer(query: StoreQuery, spec: StoreSpec, request: _Request) -> _Answer:
    key = _inner(spec) if request.method == "fetch" else spec.key
    first, last = (None if raw is None else key.deserialize(raw) for raw in (request.first, request.last))
    if request.method == "count":
        return _Answer(count=query.count())
    if request.method == "get":
        value = query.get(first)
        found = [] if value is None else [(first, value)]
    elif request.method == "fetch":
        found = query.fetch(first, request.from_ms, request.to_ms)
    else:
        found = query.range(first, last) if request.method == "range" else query.all()
    return _Answer([(spec.key.serialize(name), spec.value.serialize(value)) for name, value in found])


def _spec(sub: SubTopology, store: str) -> StoreSpec:
    return next(spec for spec in sub.stores if spec.name == store)


def _inner(spec: StoreSpec) -> Any:
    """The serde of the key alone, without its window."""
    return getattr(spec.key, "inner", spec.key)


def _partition_of(spec: StoreSpec, key: Any, sub: SubTopology) -> int:
    return partition_for(_inner(spec).serialize(key), sub.partitions)


class _Server:
    """Answers over HTTP, from threads of its own."""

    def __init__(self, address: str, secret: str, answer: Callable[[str, _Request], _Answer]) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._http = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(secret, answer))
        except OSError as error:
            raise QueryError(f"application_server {address}: {error.strerror}: give another port, or 0") from error
        self._http.daemon_threads = True
        self.address = f"{host}:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, name="streambank-queries", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


def _handler(secret: str, answer: Callable[[str, _Request], _Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SOCKET_TIMEOUT_S
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, body = self._respond()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def _respond(self) -> tuple[HTTPStatus, bytes]:
            given = self.headers.get("Authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, f"Bearer {secret}".encode()):
                return HTTPStatus.UNAUTHORIZED, b"wrong query_secret"
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > REQUEST_BYTES_MAX:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"the question is too long"
            try:
                request = _decode_request(self.rfile.read(int(length)))
                return HTTPStatus.OK, _encode(answer(self.path.removeprefix("/stores/"), request))
            except NotHereError as error:
                return HTTPStatus.MISDIRECTED_REQUEST, str(error).encode()
            except QueryTimeoutError as error:
                return HTTPStatus.GATEWAY_TIMEOUT, str(error).encode()
            except (QueryError, ValueError) as error:
                return HTTPStatus.BAD_REQUEST, str(error).encode()
            except Exception as error:
                logger.exception("a query failed", store=self.path)
                return HTTPStatus.INTERNAL_SERVER_ERROR, type(error).__name__.encode()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: who asks is a member."""

    return Handler
