"""Which operator raised, found in the traceback."""

from typing import Any

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.streams import ErrorContext, StreamBuilder, StreamsConfig
from streambank.streams.testing import TopologyTestDriver


def fail(*_: Any) -> Any:
    raise ValueError("told to")


def same(_key: Any, value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("at", "operator"),
    [
        ("second", "map-values-002"),
        ("predicate", "filter-001"),
        ("aggregator", "sum"),
        ("joiner", "join-table"),
        ("after the fan-out", "map-values-005"),
    ],
)
def test_the_innermost_operator_that_raised_is_named(at: str, operator: str) -> None:
    seen: list[ErrorContext] = []

    def policy(context: ErrorContext) -> Any:
        seen.append(context)
        return "skip"

    builder = StreamBuilder()
    stream = builder.stream(IN)
    if at == "second":
        stream.map_values(str, value=ANY).map_values(fail, value=ANY).map_values(str, value=ANY).to(OUT)
    elif at == "predicate":
        stream.filter(fail).filter(same).to(OUT)
    elif at == "aggregator":
        stream.group_by_key().aggregate(int, fail, name="sum", value=ANY).to_stream().to(OUT)
    elif at == "joiner":
        stream.left_join(builder.table(TABLE), fail, value=ANY).to(OUT)
    else:
        for function in (str, str, fail, str):
            stream.map_values(function, value=ANY).to(topic(f"out-{id(function)}", partitions=2))
    with TopologyTestDriver(builder.build(), config=StreamsConfig(application_id="test", on_error=policy)) as driver:
        driver.pipe(IN, "a", 1)
    assert [(context.operator, str(context.error)) for context in seen] == [(operator, "told to")]
