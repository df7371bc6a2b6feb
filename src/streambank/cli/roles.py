"""The roles of the bank: its topologies, each in a thread of its own, and what else is a function of a stop event."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from streambank.log import EventLog
from streambank.streams import OnRestore, RestoreProgress, StreamRunner, StreamsConfig, Topology

logger = structlog.get_logger(__name__)


class _StoppedError(Exception):
    """Raised in the midst of a restore, to leave it."""


class TopologyRole:
    """Runs one topology. The runner is made in the role's own thread, since it belongs to one."""

    def __init__(
        self,
        name: str,
        build: Callable[[], Topology],
        log: EventLog,
        *,
        on_restore: OnRestore | None = None,
        commit_interval_ms: int = 0,
    ) -> None:
        self.name = name
        self._config = StreamsConfig(application_id=name, on_error="dead-letter", commit_interval_ms=commit_interval_ms)
        self._build = build
        self._log = log
        self._on_restore = on_restore
        self._runner: StreamRunner | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set. A record that fails becomes a dead letter in ``<name>.dlq``."""

        def restored(progress: RestoreProgress) -> None:
            if stop.is_set():
                raise _StoppedError
            if self._on_restore is not None:
                self._on_restore(progress)

        with suppress(_StoppedError):
            # Global tables are read as it is made: that may be left too.
            runner = StreamRunner(self._build(), self._log, self._config, on_restore=restored)
            self._runner = runner
            try:
                # Looked at after the runner can be interrupted: a stop before that is seen here.
                if not stop.is_set():
                    runner.run()
            finally:
                runner.close()
                for reason, count in runner.drops.items():
                    logger.warning("records were left out", application=self.name, reason=reason, count=count)

    def interrupt(self) -> None:
        """Let :meth:`run` return after the transaction in work."""
        runner = self._runner
        if runner is not None:
            runner.stop()


class FunctionRole:
    """A role that is a function of the stop event, and watches it itself."""

    def __init__(self, name: str, run: Callable[[threading.Event], None]) -> None:
        self.name = name
        self.run = run

    def interrupt(self) -> None:
        """Nothing to do: the function sees the stop event."""
