"""The state of tasks: one class for each kind of store, all with the contract of :class:`StateStore`."""

from collections.abc import Callable

from streambank.streams.stores.base import LogUpdate, StateStore, StoreSpec
from streambank.streams.stores.join_grace_buffer import JoinGraceBuffer
from streambank.streams.stores.key_value import KeyValueStore
from streambank.streams.stores.versioned import VersionedStore

_KINDS: dict[str, Callable[[StoreSpec, LogUpdate | None], StateStore]] = {
    "key-value": KeyValueStore,
    "versioned": VersionedStore,
    "join-grace-buffer": JoinGraceBuffer,
}


def create_store(spec: StoreSpec, log_update: LogUpdate | None) -> StateStore:
    """The store of ``spec``'s kind; ``log_update`` is None where another operator writes its changelog."""
    return _KINDS[spec.kind](spec, log_update)


__all__ = ["KeyValueStore", "StateStore", "StoreSpec", "create_store"]
