"""An admin client for groups, which is replaced where it fails.

librdkafka's admin client keeps the first coordinator that it has found for a group: where that broker dies, or the
group moves, every later request fails (``NOT_COORDINATOR``, or no connection), for as long as the client lives.
"""

from __future__ import annotations

import threading

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
            old, self._client = self._client, None
        if old is not None:
            # Its end waits for requests that are under way, however long these hang.
            ended = [old]
            del old
            threading.Thread(target=ended.clear, name="streambank-admin-end", daemon=True).start()
