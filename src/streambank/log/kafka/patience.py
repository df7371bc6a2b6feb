"""Calls to a cluster in which a broker may just be changing its role: they are tried again for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from streambank.log.kafka.errors import translate

_logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE_S = 60.0
"""A broker that dies is noticed after 9 s by default, and what it led moves within a second or two."""

STEP_S = 0.05

TRANSIENT = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._WAIT_COORD,
    }
)


def patiently(call: Callable[[], T], doing: str, refresh: Callable[[], object] = lambda: None) -> T:
    """Call until it succeeds; what else it raises, and after a minute these too, as errors of the log.

    ``refresh`` is called before the next try, and lets the client learn who leads now.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except KafkaException as exception:
            error: KafkaError = exception.args[0]
            if error.code() not in TRANSIENT or time.monotonic() > deadline:
                raise translate(error, doing) from exception
            _logger.info("%s: trying again: %s", doing, error)
            time.sleep(STEP_S)
            with suppress(KafkaException):
                refresh()
