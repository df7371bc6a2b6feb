"""What a store needs to go back to the last commit: its changes since then, in order."""

from typing import Any

from streambank.streams.stores.base import LogUpdate, StateStore, StoreSpec


class UndoStore(StateStore):
    """A store that notes its changes while it is recording, so that they can be taken back.

    Subclasses append to ``_undo`` what :meth:`_take_back` needs for each change: a function to call, unless they say
    otherwise.
    """

    def __init__(self, spec: StoreSpec, log_update: LogUpdate | None) -> None:
        super().__init__(spec)
        self._log_update: LogUpdate = log_update or _written_elsewhere
        self._recording = False
        self._undo: list[Any] = []

    @property
    def recording(self) -> bool:
        """Whether what is put can be rolled back."""
        return self._recording

    def record(self, on: bool) -> None:
        """Switch :attr:`recording`, between a commit or a reload and the next put."""
        self._recording = on

    def clear(self) -> None:
        """Forget every entry, to be loaded again. Overridden: calls this too."""
        super().clear()
        self._undo.clear()

    def committed(self) -> None:
        """What was put is final."""
        super().committed()
        self._undo.clear()

    def rollback(self) -> None:
        """Undo what was put since the last commit."""
        super().rollback()
        for change in reversed(self._undo):
            self._take_back(change)
        self._undo.clear()

    def _take_back(self, change: Any) -> None:
        change()


def _written_elsewhere(key: object, value: object, timestamp: int, headers: bytes | None) -> None:
    """Another operator writes the changelog."""
