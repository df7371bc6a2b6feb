"""Pipes a case's inputs and compares what comes out, as the case's ``assert`` says."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from tests.streams.conformance.cases import Case
from tests.streams.support import Row, topic

from streambank.streams.testing import TopologyTestDriver

Rows: TypeAlias = list[tuple[Any, ...]]

NOT_COMPARED = {"expected_store", "expected_metrics"}


def drive(case: Case, driver: TopologyTestDriver, after_each: Callable[[], None]) -> None:
    """Run the case. Raises AssertionError where the outputs differ, NotImplementedError for what cannot be compared."""
    if unknown := NOT_COMPARED & case.keys():
        raise NotImplementedError(f"{case['name']}: nothing compares {sorted(unknown)} yet")
    names = sorted({*(row["topic"] for row in case["expected"]), *(mark["topic"] for mark in case["checkpoints"])})
    pending: dict[str, list[Row]] = {name: [] for name in names}
    compared = dict.fromkeys(names, -1)
    dropped: list[int] = []
    late_windows = 0
    for index, given in enumerate(case["inputs"]):
        before, late_before = driver.runner.drops.total(), driver.runner.drops["late"]
        driver.pipe(topic(given["topic"]), given["key"], given["value"], given["timestamp"])
        if driver.runner.drops.total() > before:
            dropped.append(index)
        late_windows += driver.runner.drops["late"] - late_before
        after_each()
        for name in names:
            pending[name] += driver.read(topic(name))
        for mark in _marks(case, index, names):
            name = mark["topic"]
            expected = _expected(case, name, compared[name], index)
            _compare(case, f"{name} after input {index}", pending[name], expected, mark.get("count"))
            pending[name], compared[name] = [], index
    if "expected_dropped" in case:
        assert dropped == case["expected_dropped"]
    if (windows := case.get("expected_dropped_windows")) is not None:
        # One drop for each window that a record was too late for: counted, not named.
        assert late_windows == (windows if isinstance(windows, int) else len(windows))


def _marks(case: Case, index: int, names: Iterable[str]) -> list[dict[str, Any]]:
    """What to compare after this input: the checkpoints, everything after each input, or everything at the end."""
    granularity = case["assert"]["granularity"]
    if granularity in ("store_only", "drops_only"):
        return []
    marks = [mark for mark in case["checkpoints"] if mark["after"] == index]
    if granularity == "per_input" or index == len(case["inputs"]) - 1:
        marks += [{"topic": name} for name in names if all(mark["topic"] != name for mark in marks)]
    return marks


def _expected(case: Case, name: str, after: int, until: int) -> list[Row]:
    return [
        (row["key"], row["value"], row["timestamp"])
        for row in case["expected"]
        if row["topic"] == name and after < row["after"] <= until
    ]


def _compare(case: Case, where: str, actual: list[Row], expected: list[Row], count: int | None) -> None:
    rules = case["assert"]
    found, wanted = (_reduced(rules, rows) for rows in (actual, expected))
    assert found == wanted, f"{case['name']}, {where} ({case['source_file']}, {case['test_method']})"
    if count is not None:
        assert len(found) == count, f"{case['name']}, {where}"


def _reduced(rules: dict[str, Any], rows: list[Row]) -> Rows:
    """The rows as they are to be compared."""
    if rules["collapse"] != "none":
        last = {_text(row[0]): row for row in rows}
        skip = rules["collapse"] == "last_value_per_key_skip_tombstoned"
        rows = [row for row in last.values() if not (skip and row[1] is None)]
    if rules["order"] == "any":
        rows = sorted(rows, key=_text)
    elif rules["order"] == "sorted_by_key_string_then_timestamp":
        rows = sorted(rows, key=lambda row: (str(row[0]), row[2]))
    return [tuple(row) if rules["timestamps"] else tuple(row[:2]) for row in rows]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
