"""How a foreign-key join is put together: two topics between the tables, and the operators on both sides."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streambank.streams.infer import returned_value
from streambank.streams.operators.base import Operator
from streambank.streams.operators.foreign_key_join import (
    ForeignUpdates,
    MissingForeignKey,
    ResolveInner,
    ResolveLeft,
    ResponseSerde,
    Subscribe,
    Subscriptions,
    SubscriptionSerde,
)
from streambank.streams.operators.merge import Merge
from streambank.streams.operators.table_source import TableSource
from streambank.streams.serde import BYTES, Serde
from streambank.streams.stores.base import StoreSpec
from streambank.streams.stores.subscription import ReferenceSerde, SubscriberSerde
from streambank.streams.topic import Topic

if TYPE_CHECKING:
    from streambank.streams.ktable import KTable


def join_on_foreign_key(
    left: KTable[Any, Any],
    right: KTable[Any, Any],
    extractor: Callable[..., Any],
    joiner: Callable[[Any, Any], Any],
    *,
    left_join: bool,
    name: str,
    value: Serde[Any] | None,
) -> KTable[Any, Any]:
    """The joined table, by the left table's keys. Raises TopologyError where a serde is not known."""
    from streambank.streams.ktable import KTable

    builder, left_node, right_node = left._builder, left._latest(), right._latest()
    extract, serialize, deserialize_key = _with_key(extractor), left._value.serialize, left._key.deserialize
    unanswered = StoreSpec(f"{name}-unanswered", left._key, BYTES)
    asking = Subscribe(extract, left._key.serialize, serialize, None if left_join else unanswered)
    subscribe = builder.add_node(f"{name}-subscribe", asking, (left_node,))
    requests = Topic(
        name=f"{name}-subscription", key=right._key, value=SubscriptionSerde(), partitions=right._partitions
    )
    arriving = builder.repartition(subscribe, requests, drop_null_keys=True)
    store = StoreSpec(f"{name}-subscriptions", ReferenceSerde(right._key), SubscriberSerde(), kind="subscription")
    subscriptions = builder.add_node(store.name, Subscriptions(right._node, store), (arriving,))
    updates = builder.add_node(f"{name}-updates", ForeignUpdates(subscriptions), (right_node,))
    answers = builder.add_node(f"{name}-answers", Merge(), (subscriptions, updates))
    responses = Topic(
        name=f"{name}-response", key=BYTES, value=ResponseSerde(right._key, right._value), partitions=left._partitions
    )
    returning = builder.repartition(
        answers, responses, drop_null_keys=False, partition_of=lambda response: response.partition
    )
    resolve: Operator
    if left_join:
        resolve = ResolveLeft(left._node, deserialize_key, serialize, joiner)
    else:
        resolve = ResolveInner(left._node, subscribe, unanswered.name, extract, deserialize_key, serialize, joiner)
    parents = [builder.add_node(f"{name}-resolve", resolve, (returning,))]
    if left_join:
        missing = MissingForeignKey(extract, joiner)
        parents.append(builder.add_node(f"{name}-missing", missing, (left_node,)))
    serde = value or returned_value(joiner, f"foreign_key_join {name!r}")
    result = TableSource(None, StoreSpec(name, left._key, serde), materialized=False, kind="foreign-key-join")
    node = builder.add_node(name, result, (builder.add_node(f"{name}-results", Merge(), parents),))
    return KTable(builder, node, left._key, serde, left._partitions, grace_ms=left._grace_ms)


def _with_key(extractor: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """The extractor as a function of key and value; one of the value alone is as good (KIP-1104)."""
    try:
        signature = inspect.signature(extractor)
    except ValueError:  # classes written in C, such as str, need not have one: they take the value
        return lambda _key, value: extractor(value)
    parameters = [
        each
        for each in signature.parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) and each.default is each.empty
    ]
    return extractor if len(parameters) == 2 else lambda _key, value: extractor(value)
