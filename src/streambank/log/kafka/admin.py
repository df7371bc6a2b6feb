"""An admin client for groups, which is replaced where it fails.

librdkafka's admin client keeps the first coordinator that it has found for a group: where that broker dies, or the
group moves, every later request fails (``NOT_COORDINATOR``, or no connection), for as long as the client lives.
"""

from __future__ import annotations

import threading
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from streambank.log.kafka.settings import KafkaSettings


class GroupAdmin:
    """For several threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._client: AdminClient | None = None

    @property
    def client(self) -> AdminClient:
        """The client to ask with now."""
        with self._mutex:
            if self._client is None:
                self._client = AdminClient(self._settings.admin())
            return self._client

    def renew(self) -> None:
        """Forget the client, and what it knows of coordinators."""
        with self._mutex:
            # In a list alone, since the client ends with its last reference.
            ended, self._client = [self._client], None
        end_in_background(ended)


def end_in_background(clients: list[Any]) -> None:
    """Let clients go, and empty the list: their ends wait for requests under way, however long these hang."""
    threading.Thread(target=_end, args=(clients,), name="streambank-clients-end", daemon=True).start()


def _end(clients: list[Any]) -> None:
    while clients:
        client = clients.pop()
        if isinstance(client, Consumer):
            client.close()
