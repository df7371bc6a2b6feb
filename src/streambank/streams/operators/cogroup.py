"""cogroup: several streams aggregated into one value per key, each with a function of its own (KIP-150)."""

from dataclasses import dataclass

from streambank.streams.operators.aggregate import Aggregate
from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext, View


@dataclass(frozen=True, slots=True)
class CogroupSide(Stateless):
    """One of the streams: an aggregation whose store :class:`Cogroup` owns."""

    aggregate: Aggregate
    kind: str = "cogroup-side"

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Update the key's aggregate and forward the change."""
        return self.aggregate.bind(context, forward)


@dataclass(frozen=True, slots=True)
class Cogroup(Stateless):
    """The table that the streams make together: passes on what each of them sends."""

    store: StoreSpec
    kind: str = "cogroup"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The aggregates by key."""
        return (self.store,)

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Updates pass through as they are."""
        return forward

    def view(self, context: TaskContext) -> View:
        """The store."""
        view: View = context.store(self.store.name).get
        return view
