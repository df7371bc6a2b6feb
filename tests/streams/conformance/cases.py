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

WAITING = {
    "stream_stream_join": "a join of two streams",
    "stream_global_table_join": "global tables",
    "windowed_aggregate": "windows",
    "windowed_count": "windows",
    "windowed_count_suppress": "windows, suppress",
    "session_count": "session windows",
    "table_group_count_suppress": "group_by on a table, suppress",
    "table_group_aggregate": "group_by on a table",
    "table_group_count": "group_by on a table",
    "table_table_fk_join": "a join by foreign key",
}
"""The kinds that no operator can express yet, with what is missing."""

OPERATORS = frozenset(
    {
        "aggregate",
        "filter",
        "flat_map",
        "flat_map_values",
        "map",
        "map_values",
        "merge",
        "peek",
        "process",
        "reduce",
        "select_key",
        "sink",
        "source",
        "split",
        "stream_table_join",
        "table_filter",
        "table_map_values",
        "table_source",
        "table_table_join",
        "to_stream",
    }
)
"""The operator modules that :data:`WAITING` was drawn up with."""


def operator_modules() -> frozenset[str]:
    """The operator modules that there are."""
    return frozenset(module.name for module in pkgutil.iter_modules(operators.__path__)) - {"base"}


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
