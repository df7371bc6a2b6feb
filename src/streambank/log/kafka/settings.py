"""How to reach a cluster: the address, and librdkafka's settings for everything else."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from streambank.log.errors import LogError

CONFIG_PARAMETER = "config"
"""The part of an address that names a file of settings, so that passwords stay off the command line."""

TRANSACTION_TIMEOUT_MS = 10_000
"""As Kafka Streams has it for exactly-once: how long a transaction whose writer is gone may hold readers up where
nobody fences it."""

CLIENT_ID = "streambank"

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s,:/?#\[\]@]+):([0-9]{1,5})")

_OURS = frozenset({"bootstrap.servers", "group.id", "transactional.id", "isolation.level", "enable.auto.commit"})
"""What exactly-once rests on, or what the program says itself."""


_librdkafka = logging.getLogger("streambank.log.kafka")
# CONFWARN: of a setting that only the other kind of client knows, as each client gets all of them. GETPID: of a
# coordinator that is still loading, which is asked again.
_librdkafka.addFilter(lambda record: not record.getMessage().startswith(("CONFWARN", "GETPID")))


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """``bootstrap`` are the addresses of some brokers; ``client`` any settings of librdkafka, such as those of TLS and
    SASL. The value of a setting is never shown: not in messages, not in the log, not in ``repr``.

    Raises:
        LogError: an address cannot be read, or a setting is one that streambank itself has to decide.
    """

    bootstrap: str
    client: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for address in self.bootstrap.split(","):
            match = _ADDRESS.fullmatch(address)
            if match is None or not 0 < int(match[2]) < 65_536:
                raise LogError(f"kafka address {address!r} must be HOST:PORT, as in kafka://localhost:9092")
        if taken := sorted(_OURS & self.client.keys()):
            raise LogError(f"the Kafka setting {taken[0]} is streambank's own to decide; leave it out")
        object.__setattr__(self, "client", MappingProxyType(dict(self.client)))

    @classmethod
    def from_url(cls, rest: str) -> KafkaSettings:
        """Read ``//HOST:PORT,HOST:PORT?setting=value&config=FILE``, an address without its scheme.

        The file has a ``name=value`` a line, as the clients of Kafka's command line take it.

        Raises:
            LogError: as above, or the file cannot be read.
        """
        brokers, _, query = rest.removeprefix("//").partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        file = given.pop(CONFIG_PARAMETER, None)
        settings = _read_properties(Path(file)) if file is not None else {}
        return cls(brokers.rstrip("/"), {**settings, **given})

    @property
    def incremental(self) -> bool:
        """Whether the group gives and takes single partitions, rather than all at every rebalance."""
        strategy = self.client.get("partition.assignment.strategy", "")
        return self.client.get("group.protocol", "consumer") == "consumer" or "cooperative" in strategy

    def admin(self) -> dict[str, Any]:
        """For clients that neither write nor join groups."""
        return {"client.id": CLIENT_ID, **self.client, "bootstrap.servers": self.bootstrap, "logger": _librdkafka}

    def producer(self, transactional_id: str) -> dict[str, Any]:
        """For a producer of transactions."""
        return {
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            # A commit sends what waits at once; until then, larger batches cost less.
            "linger.ms": 100,
            # A transaction is as large as its program makes it.
            "queue.buffering.max.messages": 2_000_000,
            **self.admin(),
            "transactional.id": transactional_id,
        }

    def reader(self) -> dict[str, Any]:
        """For a consumer that is told what to read."""
        return {
            # librdkafka stops fetching for so long once enough is queued: its default of a second starves the reader.
            "fetch.queue.backoff.ms": 5,
            **self.admin(),
            # Asked for by librdkafka, and used for nothing.
            "group.id": CLIENT_ID,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
        }

    def member(self, group: str, *, client_id: str = "", instance_id: str | None = None) -> dict[str, Any]:
        """For a member of a group."""
        settings = {"queued.min.messages": 200_000, **self.reader(), "group.id": group}
        if settings.setdefault("group.protocol", "consumer") == "consumer":
            # Range puts partition n of every topic with as many partitions on one member: what joins need.
            settings.setdefault("group.remote.assignor", "range")
        if client_id:
            settings["client.id"] = client_id
        if instance_id is not None:
            settings["group.instance.id"] = instance_id
        return settings


def _read_properties(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"the file of Kafka settings {file} cannot be read: {error}") from error
    settings = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found:
            raise LogError(f"{file}, line {number}: expected name=value")
        settings[name.strip()] = value.strip()
    return settings
