"""Strict names: what owns state or a topic is named by the program, so that no change elsewhere renames it."""

from collections.abc import Iterable, Sequence, Set

from streambank.streams.errors import TopologyError
from streambank.streams.topology import Node


def check_names(nodes: Sequence[Node], internal: Set[str], automatic: Iterable[str]) -> None:
    """Refuse what is stored under a name of the builder's own making: ``automatic`` are those names.

    Raises:
        TopologyError: names every such operator, what it owns, and the fix.
    """
    by_name = {node.name: node for node in nodes}
    unnamed = []
    for name in sorted(by_name.keys() & set(automatic)):
        operator, topic = by_name[name].operator, f"{name}-repartition"
        owned = [f"store {store.name!r}" for store in operator.stores if not store.read_only]
        owned += [f"topic {topic!r}"] if topic in internal else []
        if owned:
            unnamed.append(f"{operator.kind} {name!r} ({', '.join(owned)})")
    if unnamed:
        raise TopologyError(
            f"strict names: automatic names can change with the program, and what is stored under them is then lost: "
            f"give name= to {'; '.join(unnamed)}"
        )
