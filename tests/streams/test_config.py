import sys
from pathlib import Path
from typing import Any

import pytest

from streambank.streams import StreamsConfig, StreamsError


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"application_id": ""}, "application_id is empty"),
        ({"on_error": "ignore"}, "on_error must be 'fail' or 'dead-letter', not 'ignore'"),
        ({"poll_records": 0}, "poll_records"),
        ({"poll_timeout_s": -0.1}, "poll_timeout_s"),
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
