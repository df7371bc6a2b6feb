"""Kafka Streams' own cases, run in memory and in a folder, undisturbed and with a crash after every input."""

from pathlib import Path

import pytest
from tests.data import require
from tests.streams.conformance.cases import (
    CASES_FILE,
    OPERATORS,
    Case,
    case_id,
    load_cases,
    operator_modules,
)
from tests.streams.conformance.drive import drive
from tests.streams.conformance.shapes import KINDS, build_case

from streambank.streams.testing import TopologyTestDriver

CASES = load_cases()
RUN = [case for case in CASES if case["topology"]["kind"] in KINDS]


@pytest.mark.parametrize("case", RUN, ids=case_id)
@pytest.mark.parametrize("place", ["in memory", "in a folder"])
@pytest.mark.parametrize("crashes", [False, True], ids=["undisturbed", "a crash after every input"])
def test_kafka_streams_case(case: Case, place: str, crashes: bool, tmp_path: Path) -> None:
    folder = tmp_path / "log" if place == "in a folder" else None
    with TopologyTestDriver(build_case(case), folder=folder) as driver:
        drive(case, driver, after_each=driver.crash if crashes else lambda: None)


def test_every_case_is_run() -> None:
    require(CASES_FILE)
    assert {case["topology"]["kind"] for case in CASES} == KINDS.keys()


def test_a_new_operator_lets_somebody_look_for_its_cases() -> None:
    assert operator_modules() == OPERATORS, "add the kinds of case that it can express to KINDS, and it to OPERATORS"


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"value": "another"}, "after input 4"),
        ({"timestamp": 6}, "after input 4"),
        ({"key": 1}, "after input 4"),
        ({"after": 5}, "after input 4"),
    ],
    ids=["value", "timestamp", "key", "place"],
)
def test_a_wrong_expectation_is_noticed(broken: dict[str, object], says: str) -> None:
    case = _synthetic(broken)
    with TopologyTestDriver(build_case(case)) as driver, pytest.raises(AssertionError, match=says):
        drive(case, driver, after_each=lambda: None)


def test_the_case_that_is_broken_there_is_right_as_it_stands() -> None:
    case = _synthetic({})
    with TopologyTestDriver(build_case(case)) as driver:
        drive(case, driver, after_each=lambda: None)


@pytest.mark.parametrize(("expected", "right"), [(2, True), ([{}, {}], True), (1, False), ([{}], False)])
def test_windows_that_a_record_was_too_late_for_are_counted(expected: object, right: bool) -> None:
    case = _synthetic({})
    case["topology"] = {
        "kind": "windowed_count",
        "source": "stream",
        "window": {"type": "hopping", "size_ms": 10, "advance_ms": 5, "grace_ms": 0},
        "emit": "on_update",
    }
    case["inputs"] = [{"topic": "stream", "key": 0, "value": "", "timestamp": at} for at in (100, 6)]
    case |= {"expected": [], "expected_dropped_windows": expected}
    with TopologyTestDriver(build_case(case)) as driver:
        if right:
            drive(case, driver, after_each=driver.crash)
        else:
            with pytest.raises(AssertionError):
                drive(case, driver, after_each=driver.crash)


def _synthetic(changed: dict[str, object]) -> Case:
    times = [("table", "row", 1), ("table", None, 2), ("stream", "lost", 3), ("table", "new", 4), ("stream", "met", 5)]
    return {
        "name": "synthetic",
        "topology": {
            "kind": "stream_table_join",
            "stream": "stream",
            "table": "table",
            "how": "inner",
            "joiner": 'lambda l, r: f"{l}-{r}"',
        },
        "inputs": [{"topic": at, "key": 0, "value": value, "timestamp": time} for at, value, time in times]
        + [{"topic": "table", "key": 0, "value": None, "timestamp": 6}],
        "expected": [{"after": 4, "topic": "output", "key": 0, "value": "met-new", "timestamp": 5} | changed],
        "checkpoints": [],
        "assert": {"granularity": "per_input", "order": "exact", "timestamps": True, "collapse": "none"},
        "source_file": "none",
        "test_method": "none",
    }
