"""Addresses of logs."""

from pathlib import Path

import pytest

from streambank.log import LogError, TopicConfig, open_log


@pytest.mark.parametrize("form", ["path", "text", "scheme"])
def test_a_folder_can_be_named_in_three_ways(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    addresses: dict[str, str | Path] = {"path": folder, "text": str(folder), "scheme": f"embedded:{folder}"}
    address = addresses[form]
    log = open_log(address)
    log.create_topics([TopicConfig(name="t")])
    log.close()
    again = open_log(folder)
    assert (again.log_id, list(again.topics())) == (log.log_id, ["t"])
    again.close()


def test_embedded_without_a_path_is_private() -> None:
    one, two = open_log("embedded:"), open_log("embedded:")
    one.create_topics([TopicConfig(name="t")])
    assert two.topics() == {}
    assert one.log_id != two.log_id
    one.close()
    two.close()


@pytest.mark.parametrize("address", ["redis://x", ""])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(LogError, match="embedded:PATH"):
        open_log(address)
