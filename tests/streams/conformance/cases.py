"""The cases cut from Apache Kafka's own tests (Apache-2.0), and which of them wait for an operator.

Each case names its ``source_file``, ``test_method`` and ``source_commit``; the test ids carry the method.
"""

import json
import pkgutil
from typing import Any, TypeAlias

from tests.data import conformance_file

from streambank.streams import operators

Case: TypeAlias = dict[str, Any]

CASES_FILE = conformance_file("kafka_streams_cases.json")

WAITING: dict[str, str] = {}
"""The kinds that no operator can express yet, with what is missing."""

SIGNS = {
    "a join of two streams": "stream_stream_join",
    "global tables": "global",
    "windows": "window",
    "session windows": "session",
    "suppress": "suppress",
    "group_by on a table": "group",
    "a join by foreign key": "foreign",
}
"""For each thing that may be missing, a word in the name of the operator module that brings it."""

OPERATORS = frozenset(
    {
        "aggregate",
        "cogroup",
        "filter",
        "flat_map",
        "flat_map_values",
        "foreign_key_join",
        "late_records",
        "latest_updates",
        "map",
        "map_values",
        "merge",
        "peek",
        "process",
        "reduce",
        "select_key",
        "session_aggregate",
        "sink",
        "sliding_window_aggregate",
        "source",
        "split",
        "stream_global_table_join",
        "stream_stream_join",
        "stream_table_join",
        "suppress",
        "table_aggregate",
        "stream_versioned_table_join",
        "table_filter",
        "table_group_by",
        "table_map_values",
        "table_materialize",
        "table_source",
        "table_table_join",
        "to_stream",
        "window_aggregate",
        "versioned_table",
    }
)
"""The operator modules that :data:`WAITING` was drawn up with."""


def operator_modules() -> frozenset[str]:
    """The operator modules that there are."""
    return frozenset(module.name for module in pkgutil.iter_modules(operators.__path__)) - {"base"}


def forgotten(modules: frozenset[str]) -> set[str]:
    """The kinds in :data:`WAITING` although there are operators for all that they were said to need."""

    def is_there(missing: str) -> bool:
        return any(SIGNS[missing] in module for module in modules)

    return {kind for kind, missing in WAITING.items() if all(map(is_there, missing.split(", ")))}


def load_cases() -> list[Case]:
    """Every case; none where the file is absent."""
    if not CASES_FILE.exists():
        return []
    cases: list[Case] = json.loads(CASES_FILE.read_text("utf-8"))
    return cases


def case_id(case: Case) -> str:
    """The case's name and the test that it was cut from."""
    test_class = case["source_file"].rsplit("/", 1)[-1].removesuffix(".java")
    return f"{case['name']}[{test_class}.{case['test_method']}]"
