"""The embedded log, with a folder and in memory, passes the suite that every event log passes."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.log.conformance import (
    LogConformance,
    ReadingConformance,
    TopicConformance,
    WritingConformance,
)
from tests.log.group_conformance import GroupConformance, MembershipConformance

from streambank.log import EventLog
from streambank.log.embedded import EmbeddedLog


class Embedded(LogConformance):
    features: ClassVar[frozenset[str]] = frozenset({"dense_offsets", "epoch_timestamps", "memberless_fenced"})

    @pytest.fixture(params=["folder", "memory"])
    def log(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
        with EmbeddedLog.open(tmp_path / "log" if request.param == "folder" else None) as log:
            yield log


class TestTopics(Embedded, TopicConformance):
    pass


class TestWriting(Embedded, WritingConformance):
    pass


class TestReading(Embedded, ReadingConformance):
    pass


class TestGroups(Embedded, GroupConformance):
    pass


class TestMembership(Embedded, MembershipConformance):
    pass
