"""The Java programs of the tests: built by Maven's ordinary client, once, into ``target/``."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.kafka.cluster import KafkaMissingError

HERE = Path(__file__).parent
TARGET = HERE / "target"

END_S = 30.0
"""A Kafka Streams application gives itself 20 s to close."""


def command_or_skip(main_class: str, *arguments: str) -> list[str]:
    """What runs a program; the test is skipped where it cannot be built; in CI that is a failure."""
    try:
        found = classpath()
    except KafkaMissingError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    # These programs do little: the time goes into starting them.
    fast_start = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    return ["java", *fast_start, "-cp", found, f"streambank.interop.{main_class}", *arguments]


def classpath() -> str:
    """The programs and what they need, built where their sources are newer.

    Raises:
        KafkaMissingError: there is no Java or no Maven, or the build failed.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise KafkaMissingError(f"the Java programs need a JDK of version 17 or newer, and Maven: no `{program}`")
    jar, libs = TARGET / "interop-1.jar", TARGET / "libs"
    sources = [HERE / "pom.xml", *HERE.glob("src/**/*.java")]
    TARGET.mkdir(exist_ok=True)
    with (TARGET / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jar.exists() or jar.stat().st_mtime < max(source.stat().st_mtime for source in sources):
            # The jar comes last, so that it tells of a whole build.
            goals = ["dependency:copy-dependencies", f"-DoutputDirectory={libs}", "package"]
            command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *goals]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise KafkaMissingError(f"Maven could not build the Java programs:\n{done.stdout[-3000:]}")
    return f"{jar}:{libs}/*"


@contextmanager
def running(main_class: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with its input, which is when the block does."""
    process = subprocess.Popen(command_or_skip(main_class, *arguments), stdin=subprocess.PIPE)
    try:
        yield process
        process.communicate(timeout=END_S)
        if process.returncode:
            raise RuntimeError(f"{main_class} ended with exit code {process.returncode}")
    finally:
        process.kill()
        process.communicate()
