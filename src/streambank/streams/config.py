"""The settings of a stream application."""

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from streambank.streams.error_policies import ERROR_KINDS, ErrorKind, ErrorPolicy, Retry, check_policy, may_dead_letter
from streambank.streams.errors import StreamsError

StoreBackend: TypeAlias = Literal["memory", "rocksdb"]

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})", re.ASCII)
_SECRET = re.compile(r"[!-~]([ -~]*[!-~])?")
_WILDCARDS = ("0.0.0.0", "[::]")  # noqa: S104
"""Every address of the machine: one can listen there, but nobody can be reached there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """Validated once; the same for every task.

    Args:
        application_id: names the application for ever: its consumer group, its internal topics and its dead letters.
        on_error: what to do with a record that fails, where the next three do not say otherwise: ``fail`` stops the
            application before it; ``skip`` leaves it out; ``dead-letter`` leaves it out and writes it, unchanged, to
            ``<application_id>.dlq``; :class:`Retry` tries again first; a function of an :class:`ErrorContext` returns
            one of the three. Whatever it is, nothing of a record that is left out remains: no output, no state.
        on_deserialization_error: for a record that cannot be decoded.
        on_processing_error: for a record that an operator's function fails on.
        on_production_error: for a record of which something comes that cannot be encoded or that the log refuses.
        dead_letter_drops: the reasons (such as ``late`` or ``null key``) for which a record that an operator drops is
            kept as a dead letter; True for every reason.
        operator_metrics: whether to count and time every operator's calls, which takes time of its own.
        poll_records: how many records one transaction takes in, about; more is faster, fewer is sooner.
        commit_interval_ms: after a commit, the next records are polled no sooner than so long after those before it.
            They gather meanwhile, and cost fewer transactions; what comes of them is that much later, through each
            internal topic once more, and so are answers to queries. 0: at once.
        poll_timeout_s: how long to wait for records before looking again whether to stop.
        idle_close_ms: once a task has had no record for so long by the wall clock, its stream time goes on as the clock
            does, so that windows close and their final results come though no record follows; records that come after
            all may then be late. To be well above any delay that records can have. None: never, as in Kafka Streams.
        store: where key-value stores are: in ``memory``, read from their changelogs at every start; or in ``rocksdb``,
            for state that does not fit there, or that takes long to read. Needs the extra ``rocksdb`` and
            ``state_dir``. Stores of other kinds are always in memory.
        state_dir: the folder for what is kept between starts. Members of one application may share it.
        group_instance_id: makes this a static member (KIP-345), by a name that no other member has: one that is started
            again within the session time-out finds its partitions, and nothing is moved meanwhile. For logs on Kafka.
        num_standby_replicas: how many other members keep a copy of each task's stores, so that one of them can go on at
            once where the owner fails.
        application_server: HOST:PORT at which the other members reach this one for queries (port 0: any free one); with
            None it answers none of them. It listens at this host alone, which has to be an address of this machine.
        query_secret: what members show one another for that, in printable ASCII; the same for all of them. Who asks
            needs it as well as who answers.
        storage_retry_s: how long to wait before a commit is tried again after the storage was full.
    """

    application_id: str
    on_error: ErrorPolicy = "fail"
    on_deserialization_error: ErrorPolicy | None = None
    on_processing_error: ErrorPolicy | None = None
    on_production_error: ErrorPolicy | None = None
    dead_letter_drops: frozenset[str] | bool = False
    operator_metrics: bool = False
    poll_records: int = 10_000
    commit_interval_ms: int = 0
    poll_timeout_s: float = 0.5
    storage_retry_s: float = 2.0
    idle_close_ms: int | None = None
    store: StoreBackend = "memory"
    state_dir: Path | None = None
    group_instance_id: str | None = None
    num_standby_replicas: int = 0
    application_server: str | None = None
    query_secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.application_id:
            raise StreamsError("application_id is empty: it names the application's group and topics")
        if isinstance(self.on_deserialization_error, Retry) or isinstance(self.on_production_error, Retry):
            raise StreamsError("Retry is for on_processing_error and on_error: bytes do not change by trying again")
        check_policy("on_error", self.on_error)
        for kind in ERROR_KINDS:
            check_policy(f"on_{kind}_error", self.error_policy(kind))
        if self.poll_records < 1 or self.poll_timeout_s < 0 or self.storage_retry_s <= 0:
            raise StreamsError("poll_records and storage_retry_s must be positive, poll_timeout_s not negative")
        if self.commit_interval_ms < 0:
            raise StreamsError(f"commit_interval_ms must not be negative: {self.commit_interval_ms}")
        if self.idle_close_ms is not None and self.idle_close_ms < 1:
            raise StreamsError(f"idle_close_ms must be positive, or None for never, not {self.idle_close_ms}")

        self._check_server()
        self._check_store()

    def _check_server(self) -> None:
        if self.application_server is not None:
            found = _SERVER.fullmatch(self.application_server)
            if found is None or int(found[2]) > 65_535:
                raise StreamsError(f"application_server must be HOST:PORT, not {self.application_server!r}")
            if found[1] in _WILDCARDS:
                raise StreamsError(
                    f"application_server is where others reach this member, which {found[1]} does not say"
                )
            if not self.query_secret:
                raise StreamsError("application_server needs query_secret, which all members share")
        if self.query_secret is not None and _SECRET.fullmatch(self.query_secret) is None:
            raise StreamsError("query_secret must be printable ASCII, without spaces around it: it goes into a header")

    def _check_store(self) -> None:
        if self.store not in ("memory", "rocksdb"):
            raise StreamsError(f"store must be 'memory' or 'rocksdb', not {self.store!r}")
        if self.num_standby_replicas < 0:
            raise StreamsError(f"num_standby_replicas must not be negative: {self.num_standby_replicas}")
        if self.store == "rocksdb":
            if self.num_standby_replicas:
                raise StreamsError(
                    "num_standby_replicas needs store='memory': there are no standby copies of stores on disk"
                )
            if self.state_dir is None:
                raise StreamsError("store='rocksdb' needs state_dir=, the folder for the stores")
            if find_spec("rocksdict") is None:
                raise StreamsError("store='rocksdb' needs rocksdict: pip install 'streambank[rocksdb]'")

    def error_policy(self, kind: ErrorKind) -> ErrorPolicy:
        """What to do with a record that fails in that way."""
        own: ErrorPolicy | None = getattr(self, f"on_{kind}_error")
        return self.on_error if own is None else own

    @property
    def dead_letter_topic(self) -> str:
        """Where records go that cannot be processed."""
        return f"{self.application_id}.dlq"

    @property
    def writes_dead_letters(self) -> bool:
        """Whether there has to be such a topic."""
        policies = (self.error_policy(kind) for kind in ERROR_KINDS)
        return bool(self.dead_letter_drops) or any(map(may_dead_letter, policies))

    def keeps_dropped(self, reason: str) -> bool:
        """Whether a record that is dropped for that reason becomes a dead letter."""
        drops = self.dead_letter_drops
        return drops if isinstance(drops, bool) else reason in drops
