import sys
from pathlib import Path
from typing import Any

import pytest

from streambank.streams import ErrorPolicy, Retry, StreamsConfig, StreamsError
from streambank.streams.error_policies import ERROR_KINDS


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"application_id": ""}, "application_id is empty"),
        ({"on_error": "ignore"}, "on_error must be 'fail', 'skip', 'dead-letter' or a function, not 'ignore'"),
        ({"on_processing_error": "retry"}, "on_processing_error must be 'fail'"),
        ({"on_deserialization_error": Retry()}, "Retry is for on_processing_error and on_error"),
        ({"on_production_error": Retry()}, "Retry is for on_processing_error and on_error"),
        ({"poll_records": 0}, "poll_records"),
        ({"poll_timeout_s": -0.1}, "poll_timeout_s"),
        ({"commit_interval_ms": -1}, "commit_interval_ms must not be negative: -1"),
        ({"storage_retry_s": 0.0}, "storage_retry_s"),
        ({"idle_close_ms": 0}, "idle_close_ms must be positive, or None for never, not 0"),
        ({"store": "disk"}, "store must be 'memory' or 'rocksdb', not 'disk'"),
        ({"store": "rocksdb"}, "store='rocksdb' needs state_dir="),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(StreamsError, match=says):
        StreamsConfig(**{"application_id": "app"} | settings)


def test_a_store_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    with pytest.raises(StreamsError, match=r"needs rocksdict: pip install 'streambank\[rocksdb\]'"):
        StreamsConfig(application_id="app", store="rocksdb", state_dir=Path("state"))


def test_the_dead_letters_are_the_applications_own() -> None:
    assert StreamsConfig(application_id="app").dead_letter_topic == "app.dlq"


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, False),
        ({"on_error": "skip"}, False),
        ({"on_error": "dead-letter"}, True),
        ({"on_deserialization_error": "dead-letter"}, True),
        ({"on_error": Retry(then="skip")}, False),
        ({"on_error": Retry()}, True),
        ({"on_production_error": lambda context: "skip"}, True),
        ({"dead_letter_drops": True}, True),
        ({"dead_letter_drops": frozenset({"late"})}, True),
        ({"dead_letter_drops": frozenset()}, False),
    ],
)
def test_a_topic_for_dead_letters_is_needed_where_a_policy_may_ask_for_it(
    settings: dict[str, Any], needed: bool
) -> None:
    assert StreamsConfig(application_id="app", **settings).writes_dead_letters == needed


def test_on_error_stands_for_what_is_not_said() -> None:
    config = StreamsConfig(application_id="app", on_error="skip", on_production_error="fail")
    found: list[ErrorPolicy] = [config.error_policy(kind) for kind in ERROR_KINDS]
    assert found == ["skip", "skip", "fail"]
