"""``streambank tail``: where it begins, what it leaves out, what it prints."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Call
from tests.cli.support import START_S, environment

from streambank.log import TopicConfig, encode_headers, open_log, partition_for

HOUR_MS = 3_600_000
START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty numbers, an hour apart, in two partitions: each key is its number."""
    data = tmp_path_factory.mktemp("numbers")
    log = open_log(data / "log")
    log.create_topics([TopicConfig(name="numbers", partitions=2), TopicConfig(name="odd", partitions=1)])
    producer = log.producer()
    for number in range(20):
        with producer.transaction() as transaction:
            transaction.append(
                "numbers",
                b'{"number":%d}' % number,
                key=b"%d" % number,
                timestamp=START_MS + number * HOUR_MS,
                headers=encode_headers([("kind", b"odd" if number % 2 else b"even")]),
            )
    with producer.transaction() as transaction:
        transaction.append("odd", b"\xff\xfe", timestamp=0)
        transaction.append("odd", None, key=b"k", timestamp=1)
        transaction.append("odd", b"plain text", timestamp=2)
    log.close()
    return data


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), list(range(10, 20))),
        (("-n", "3"), [17, 18, 19]),
        (("-n", "0"), []),
        (("--from", "start"), list(range(20))),
        (("--from", "start", "-n", "2"), [0, 1]),
        (("--from", "end"), []),
        (("--from", "@2026-01-01T18:00:00Z"), [18, 19]),
        (("--from", f"@{START_MS + 19 * HOUR_MS}"), [19]),
        (("--from", "@-15m"), []),
        (("-k", "7"), [7]),
        (("-k", "nothing"), []),
        (("--grep", '"NUMBER":1'), [1, *range(10, 19), 19]),
        (("--grep", "odd", "-n", "2"), [17, 19]),
    ],
)
def test_which_records(call: Call, numbers: Path, arguments: tuple[str, ...], expected: list[int]) -> None:
    found = call("tail", "numbers", *arguments, "-o", "jsonl", "--data", str(numbers))
    assert found.code == 0, found.stderr
    shown = [json.loads(line)["value"]["number"] for line in found.stdout.splitlines()]
    assert shown == expected[-10:] if arguments[:1] == ("--grep",) else shown == expected


def test_one_partition_and_offsets_in_it(call: Call, numbers: Path) -> None:
    mine = [number for number in range(20) if partition_for(b"%d" % number, 2) == 1]
    data = ("-o", "json", "--data", str(numbers))
    for start, expected in (("2", mine[2:]), ("-2", mine[-2:]), ("999", []), ("-999", mine)):
        found = json.loads(call("tail", "numbers", "-p", "1", "--from", start, *data).stdout)
        assert [item["value"]["number"] for item in found] == expected


def test_a_line_has_time_place_key_and_value(call: Call, numbers: Path) -> None:
    found = call("tail", "numbers", "-n", "1", "--headers", "--data", str(numbers)).stdout.splitlines()
    assert found[0].startswith("2026-01-01T19:00:00.000Z")
    assert found[0].endswith('  19  {"number": 19}')
    assert found[1] == "    kind: odd"


def test_bytes_tombstones_and_plain_text(call: Call, numbers: Path) -> None:
    shown = json.loads(call("tail", "odd", "-o", "json", "--data", str(numbers)).stdout)
    assert [(item["key"], item["value"]) for item in shown] == [(None, "0xfffe"), ("k", None), (None, "plain text")]
    assert "(deleted)" in call("tail", "odd", "--data", str(numbers)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("nope",), 1, "Topics: numbers, odd"),
        (("numbers", "-p", "2"), 1, "partitions 0 to 1, not 2"),
        (("numbers", "--from", "yesterday"), 2, "--from: 'yesterday'"),
        (("numbers", "--from", "@yesterday"), 2, "is not a moment"),
        (("numbers", "-f", "-o", "json"), 2, "-o jsonl"),
        (("numbers", "-n", "-1"), 2, "lines"),
    ],
)
def test_what_cannot_be(call: Call, numbers: Path, arguments: tuple[str, ...], code: int, expected: str) -> None:
    found = call("tail", *arguments, "--data", str(numbers))
    assert (found.code, found.stdout) == (code, "")
    assert expected in found.stderr


def test_a_reader_that_has_enough_ends_it_quietly(bank: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streambank", "tail", "balance.changed", "-f"],
        env=environment(bank),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    # It notices with the next write; none comes here, so that Ctrl-C ends it.
    process.terminate()
    assert process.wait(START_S) != 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_head_ends_it_quietly(bank: Path) -> None:
    command = f"'{sys.executable}' -m streambank tail balance.changed --from start --headers | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment(bank),
        capture_output=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 1
