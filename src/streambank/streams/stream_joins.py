"""How a join of two streams is put together: two sides that keep records for each other, and what comes out of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from streambank.streams.errors import TopologyError
from streambank.streams.infer import returned_value
from streambank.streams.operators.merge import Merge
from streambank.streams.operators.stream_stream_join import JoinSide, StreamStreamJoin
from streambank.streams.serde import Serde
from streambank.streams.stores.base import StoreSpec
from streambank.streams.stores.join_buffer import BufferKeySerde
from streambank.streams.windows import JoinWindows

if TYPE_CHECKING:
    from streambank.streams.kstream import KStream

How: TypeAlias = Literal["inner", "left", "outer"]


def join_streams(
    left: KStream[Any, Any],
    right: KStream[Any, Any],
    joiner: Callable[[Any, Any], Any],
    *,
    how: How,
    windows: JoinWindows | None,
    name: str | None,
    value: Serde[Any] | None,
) -> KStream[Any, Any]:
    """The joined stream. Raises TopologyError where ``windows`` or ``name`` are missing."""
    from streambank.streams.kstream import KStream

    if windows is None or name is None:
        raise TopologyError(
            f"{how} join of two streams: say which records meet with windows=JoinWindows.of(...), and give a name="
        )
    builder = left._builder
    left = left._keyed(f"{name}-left", drop_null_keys=how == "inner")
    right = right._keyed(f"{name}-right", drop_null_keys=how != "outer")
    left_side = _side(f"{name}-left", left, keeps_unmatched=how != "inner", reach_ms=windows.after_ms)
    right_side = _side(f"{name}-right", right, keeps_unmatched=how == "outer", reach_ms=windows.before_ms)
    sides = (
        (
            f"{name}-left",
            left,
            StreamStreamJoin(left_side, right_side, f"{name}-right", True, windows.grace_ms, joiner),
        ),
        (
            f"{name}-right",
            right,
            StreamStreamJoin(right_side, left_side, f"{name}-left", False, windows.grace_ms, joiner),
        ),
    )
    nodes = [builder.add_node(node, operator, (stream._node,)) for node, stream, operator in sides]
    node = builder.add_node(name, Merge(), nodes)
    return KStream(builder, node, left._key, value or returned_value(joiner, f"join {name!r}"), left._partitions)


def _side(name: str, stream: KStream[Any, Any], *, keeps_unmatched: bool, reach_ms: int) -> JoinSide:
    key = BufferKeySerde(stream._key)
    buffer = StoreSpec(name, key, stream._value, kind="join-buffer")
    unmatched = StoreSpec(f"{name}-unmatched", key, stream._value, kind="join-buffer") if keeps_unmatched else None
    return JoinSide(buffer, unmatched, reach_ms)
