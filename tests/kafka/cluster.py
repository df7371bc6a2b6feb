"""A real Apache Kafka on this machine, for tests and benchmarks: KRaft brokers from Maven's jars, no Docker.

The jars come by Maven's ordinary client, once, into ``.kafka/`` of the checkout.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
POM = Path(__file__).with_name("pom.xml")
CACHE = ROOT / ".kafka"

START_S = 60.0
"""A broker starts in about 3 s on an idle machine of 2 cores; this is for a loaded one."""

STOP_S = 20.0


class KafkaMissingError(Exception):
    """This machine cannot run a broker; says what is missing."""


def jars() -> Path:
    """The folder with Kafka's jars, fetched where it is not there yet.

    Raises:
        KafkaMissingError: there is no Java or no Maven, or Maven could not fetch them.
    """
    if shutil.which("java") is None:
        raise KafkaMissingError("a test broker needs Java 17 or newer: there is no `java`")
    CACHE.mkdir(exist_ok=True)
    with _locked(CACHE / "lock"):
        libs = CACHE / f"libs-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
        if not libs.exists():
            _fetch(libs)
    return libs


def _fetch(libs: Path) -> None:
    if shutil.which("mvn") is None:
        raise KafkaMissingError("a test broker needs Maven to fetch Apache Kafka: there is no `mvn`")
    unfinished = CACHE / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KafkaMissingError(f"Maven could not fetch Apache Kafka:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for old in CACHE.glob("libs-*"):
        shutil.rmtree(old)
    unfinished.rename(libs)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@dataclass
class Broker:
    """One broker, which is a controller too."""

    node_id: int
    port: int
    controller_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    _seen: int = field(default=0, init=False)

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the broker prints."""
        return self.folder / "broker.log"

    def ready(self) -> bool:
        """Whether it takes requests."""
        return b"Kafka Server started" in self.log_file.read_bytes()[self._seen :]

    def launch(self, classpath: str, heap_mb: int) -> None:
        """Start the process; :meth:`ready` tells when it is up."""
        self._seen = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as out:
            self.process = subprocess.Popen(
                ["java", f"-Xmx{heap_mb}m", "-cp", classpath, "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )

    def send(self, number: int) -> None:
        """Send the process a signal."""
        if self.process is None:
            raise ValueError(f"broker {self.node_id} does not run")
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End the process and wait for that."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class KafkaCluster:
    """Brokers on 127.0.0.1; a context manager that starts and removes them."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, int] | None = None,
        heap_mb: int = 768,
    ) -> None:
        """``settings`` override the brokers' properties. ``folder`` holds everything, and may be removed afterwards.

        ``listeners`` are more of them, by name, with their ports; for a cluster of one node.
        """
        self.listeners = dict(listeners or {})
        self._classpath = f"{jars()}/*"
        self._heap_mb = heap_mb
        ports = free_ports(2 * nodes)
        self.brokers = [
            Broker(number, ports.pop(), ports.pop(), folder / f"broker-{number}") for number in range(1, nodes + 1)
        ]
        self._settings = settings or {}
        self._format()

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers."""
        return ",".join(broker.address for broker in self.brokers)

    @property
    def url(self) -> str:
        """For :func:`streambank.log.open_log`."""
        return f"kafka://{self.bootstrap}"

    def start(self) -> None:
        """Start every broker that does not run, and wait until all take requests."""
        for broker in self.brokers:
            if broker.process is None:
                broker.launch(self._classpath, self._heap_mb)
        deadline = time.monotonic() + START_S
        for broker in self.brokers:
            while not broker.ready():
                if broker.process is None or broker.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"broker {broker.node_id} did not start: {broker.log_file.read_text()[-3000:]}")
                time.sleep(0.05)

    def close(self) -> None:
        """End every broker."""
        for broker in self.brokers:
            broker.end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _format(self) -> None:
        voters = ",".join(f"{broker.node_id}@127.0.0.1:{broker.controller_port}" for broker in self.brokers)
        replicas = min(3, len(self.brokers))
        tool = ["java", "-XX:TieredStopAtLevel=1", "-cp", self._classpath, "kafka.tools.StorageTool"]
        cluster_id = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, check=True)
        for broker in self.brokers:
            broker.folder.mkdir(parents=True)
            more = [f"{name}://127.0.0.1:{port}" for name, port in self.listeners.items()]
            clients = [f"PLAINTEXT://{broker.address}", *more]
            settings = {
                "process.roles": "broker,controller",
                "node.id": str(broker.node_id),
                "controller.quorum.voters": voters,
                "controller.listener.names": "CONTROLLER",
                "listeners": ",".join([*clients, f"CONTROLLER://127.0.0.1:{broker.controller_port}"]),
                "advertised.listeners": ",".join(clients),
                "log.dirs": str(broker.folder / "data"),
                "default.replication.factor": str(replicas),
                "min.insync.replicas": str(max(1, replicas - 1)),
                "offsets.topic.replication.factor": str(replicas),
                "offsets.topic.num.partitions": "4",
                "transaction.state.log.replication.factor": str(replicas),
                "transaction.state.log.min.isr": str(max(1, replicas - 1)),
                "transaction.state.log.num.partitions": "4",
                "group.initial.rebalance.delay.ms": "0",
                "auto.create.topics.enable": "false",
                # Fault tests are not to wait for the defaults' minutes.
                "group.min.session.timeout.ms": "1000",
                "group.consumer.min.session.timeout.ms": "1000",
                "group.consumer.min.heartbeat.interval.ms": "100",
                "group.consumer.heartbeat.interval.ms": "300",
                "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
                **self._settings,
            }
            lines = "".join(f"{name}={value}\n" for name, value in settings.items())
            (broker.folder / "server.properties").write_text(lines)
            command = [*tool, "format", "-t", cluster_id.stdout.strip(), "-c", str(broker.folder / "server.properties")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"broker {broker.node_id} cannot be set up: {done.stdout}{done.stderr}")


def cluster_or_skip(
    folder: Path,
    *,
    nodes: int = 1,
    settings: Mapping[str, str] | None = None,
    listeners: Mapping[str, int] | None = None,
) -> KafkaCluster:
    """A cluster for a test, which is skipped where there can be none; in CI that is a failure."""
    try:
        return KafkaCluster(folder, nodes=nodes, settings=settings, listeners=listeners)
    except KafkaMissingError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
