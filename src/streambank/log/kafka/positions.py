"""Groups' committed positions, as their coordinators have them.

Consumers ask, which join nothing: librdkafka's admin client ends the process with a segmentation fault when it asks for
positions while a coordinator is new or moves (its issue 5040).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from streambank.log.errors import LogError
from streambank.log.kafka.admin import end_in_background
from streambank.log.kafka.patience import patiently
from streambank.log.kafka.settings import KafkaSettings
from streambank.log.records import TopicPartition

CALL_S = 5.0
"""One attempt: what waits for a coordinator that has died is not sent to the next one."""

STABLE_S = 60.0
"""How long committed positions may be uncertain: until the transactions that move them have ended or timed out."""

STABLE_STEP_S = 0.005

KEPT_CLIENTS = 8
"""To make a client, connect and find the coordinator takes some tens of ms."""

_ANSWERS = (KafkaError.UNSTABLE_OFFSET_COMMIT, KafkaError.GROUP_ID_NOT_FOUND)


class Positions:
    """For several threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._idle: OrderedDict[tuple[str, bool], Consumer] = OrderedDict()

    def committed(self, group: str, partitions: Collection[TopicPartition], *, stable: bool) -> list[KafkaPartition]:
        """The positions there are in these partitions; ``stable`` waits for transactions that are about to move them.

        Raises:
            LogError: the coordinator cannot be asked, or a transaction stays open.
        """
        places = [KafkaPartition(*at) for at in sorted(set(partitions))]
        if not places:
            return []
        deadline = time.monotonic() + STABLE_S
        while (found := patiently(lambda: self._ask(group, places, stable), f"group {group!r}")) is None:
            if time.monotonic() > deadline:
                raise LogError(f"group {group!r}: a transaction that moves its positions is open for {STABLE_S:.0f} s")
            time.sleep(STABLE_STEP_S)
        return [at for at in found if at.offset >= 0]

    def close(self) -> None:
        """Close the clients."""
        with self._mutex:
            idle, self._idle = self._idle, OrderedDict()
        end_in_background(list(idle.values()))

    def _ask(self, group: str, places: list[KafkaPartition], stable: bool) -> list[KafkaPartition] | None:
        """None while a transaction is about to change them."""
        client = self._borrow(group, stable)
        try:
            found: list[KafkaPartition] | None = client.committed(places, timeout=CALL_S)
            for at in found or ():
                if at.error is not None:
                    raise KafkaException(at.error)
        except KafkaException as exception:
            code = exception.args[0].code()
            if code not in _ANSWERS:
                # The next try begins with a client that knows no coordinator.
                end_in_background([client])
                raise
            found = None if code == KafkaError.UNSTABLE_OFFSET_COMMIT else []
        self._give_back(group, stable, client)
        return found

    def _borrow(self, group: str, stable: bool) -> Consumer:
        with self._mutex:
            client = self._idle.pop((group, stable), None)
        if client is None:
            level = "read_committed" if stable else "read_uncommitted"
            settings = {**self._settings.reader(), "group.id": group, "isolation.level": level}
            # While a transaction is about to move one of them, librdkafka asks again by itself.
            client = Consumer({**settings, "retry.backoff.ms": 5, "retry.backoff.max.ms": 20})
        return client

    def _give_back(self, group: str, stable: bool, client: Consumer) -> None:
        with self._mutex:
            spare = [self._idle.pop((group, stable), None)]
            self._idle[group, stable] = client
            if len(self._idle) > KEPT_CLIENTS:
                spare.append(self._idle.popitem(last=False)[1])
        if any(spare):
            end_in_background(spare)
