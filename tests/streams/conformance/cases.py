"""The cases cut from Apache Kafka's own tests (Apache-2.0).

Each case names its ``source_file``, ``test_method`` and ``source_commit``; the test ids carry the method.
"""

import json
import pkgutil
from typing import Any, TypeAlias

from tests.data import conformance_file

from streambank.streams import operators

Case: TypeAlias = dict[str, Any]

CASES_FILE = conformance_file("kafka_streams_cases.json")

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
"""The operator modules that there were when the kinds were last looked through."""


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
