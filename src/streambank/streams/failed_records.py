"""Leaves failed records out, as the configuration says."""

from collections.abc import Callable

import structlog

from streambank.log import Record
from streambank.streams.collector import RecordCollector
from streambank.streams.config import StreamsConfig
from streambank.streams.dead_letters import write_dead_letter
from streambank.streams.drops import Drops
from streambank.streams.error_policies import ErrorAction, ErrorContext, decide

logger = structlog.get_logger(__name__)


class FailedRecords:
    """What happens to the failed records of one source."""

    def __init__(
        self,
        config: StreamsConfig,
        collector: RecordCollector,
        drops: Drops,
        *,
        source: str,
        operator_of: Callable[[Exception], str | None],
        keep_update: Callable[[Record], None] | None,
    ) -> None:
        """``source`` is the node that they enter by; ``operator_of`` tells which operator raised.

        ``keep_update`` lets a table have a record of its topic of which nothing else follows.
        """
        self.source, self.operator_of = source, operator_of
        self._config, self._collector, self._drops, self._keep_update = config, collector, drops, keep_update

    def decide(self, context: ErrorContext) -> ErrorAction:
        """What to do with a record that is not tried again."""
        return decide(self._config.error_policy(context.kind), context)

    def leave_out(self, context: ErrorContext, action: ErrorAction) -> None:
        """Count and log the record, and write a dead letter if that is the ``action``."""
        record, dead_letter = context.record, action == "dead-letter"
        self._drops.add(self.source, "dead letter" if dead_letter else "skipped")
        log = logger.error if dead_letter else logger.warning
        log(
            "record to dead letters" if dead_letter else "record skipped",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            kind=context.kind,
            error=type(context.error).__name__,
            operator=context.operator,
        )
        if dead_letter:
            write_dead_letter(self._collector.columns(self._config.dead_letter_topic, 0), record, context.error)
        if self._keep_update is not None:
            self._keep_update(record)
