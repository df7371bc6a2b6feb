"""The state of tasks: one class for each kind of store, all with the contract of :class:`StateStore`."""

from collections.abc import Callable

from streambank.streams.stores.base import LogUpdate, StateStore, StoreKind, StoreSpec
from streambank.streams.stores.join_buffer import JoinBuffer
from streambank.streams.stores.join_grace_buffer import JoinGraceBuffer
from streambank.streams.stores.key_value import KeyValueStore
from streambank.streams.stores.session import SessionStore
from streambank.streams.stores.subscription import SubscriptionStore
from streambank.streams.stores.suppression import SuppressionStore
from streambank.streams.stores.versioned import VersionedStore
from streambank.streams.stores.window import WindowStore

_KINDS: dict[StoreKind, Callable[[StoreSpec, LogUpdate | None], StateStore]] = {
    "key-value": KeyValueStore,
    "window": WindowStore,
    "session": SessionStore,
    "join-buffer": JoinBuffer,
    "suppression": SuppressionStore,
    "subscription": SubscriptionStore,
    "versioned": VersionedStore,
    "join-grace-buffer": JoinGraceBuffer,
}


def create_store(spec: StoreSpec, log_update: LogUpdate | None) -> StateStore:
    """The store of ``spec``'s kind; ``log_update`` is None where another operator writes its changelog."""
    return _KINDS[spec.kind](spec, log_update)


__all__ = [
    "JoinBuffer",
    "KeyValueStore",
    "SessionStore",
    "StateStore",
    "StoreSpec",
    "SubscriptionStore",
    "SuppressionStore",
    "WindowStore",
    "create_store",
]
