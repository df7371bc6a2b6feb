"""Builds the Java peers with Maven, and runs them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
CLASSES = "streambank.peers"


class PeerMissingError(Exception):
    """This machine cannot build or run the peer; says what is missing."""


def classpath() -> str:
    """The peers and what they need, built where their sources are newer.

    Raises:
        PeerMissingError: there is no Java or no Maven, or the build failed.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise PeerMissingError(f"the Java peers need `{program}`")
    jar = HERE / "target" / "peers-1.jar"
    sources = [HERE / "pom.xml", *HERE.glob("src/**/*.java")]
    if not jar.exists() or jar.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "package", "dependency:copy-dependencies"]
        libs = HERE / "target" / "libs"
        done = subprocess.run([*command, f"-DoutputDirectory={libs}"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PeerMissingError(f"Maven could not build the Java peers:\n{done.stdout[-3000:]}")
    return f"{jar}:{HERE / 'target' / 'libs'}/*"


class JavaPeer:
    """A running peer, which answers a line with a line. A context manager that ends it."""

    def __init__(self, main_class: str, *arguments: str, heap_mb: int = 2048) -> None:
        command = ["java", f"-Xmx{heap_mb}m", "-cp", classpath(), f"{CLASSES}.{main_class}", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read_line(self) -> str:
        """The next line that it prints."""
        if self._process.stdout is None or not (line := self._process.stdout.readline()):
            raise RuntimeError(f"the peer ended: exit code {self._process.wait(10)}")
        return line.strip()

    def ask(self, line: str = "") -> str:
        """Write a line and read one."""
        if self._process.stdin is None:
            raise RuntimeError("the peer takes no input")
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.read_line()

    def close(self) -> None:
        """End its input, which ends it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class KafkaStreamsPeer(JavaPeer):
    """The reference workload on Kafka Streams, up and running."""

    def __init__(self, bootstrap: str, run: str, *, threads: int = 1, fast: bool = True) -> None:
        self._state = tempfile.mkdtemp(prefix="kafka-streams-")
        mode = "fast" if fast else "default"
        super().__init__("ReferenceWorkload", bootstrap, run, str(threads), mode, self._state)
        while self.read_line() != "running":
            pass

    def processed(self) -> int:
        """How many records it has processed, those of tables and repartition topics included."""
        return int(self.ask())

    def close(self) -> None:
        """End it and remove what it has stored."""
        super().close()
        shutil.rmtree(self._state, ignore_errors=True)
