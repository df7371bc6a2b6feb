"""Whether a topology still fits what an earlier version of the program has stored.

What is stored says so itself: the log knows the internal topics and their partitions, and the compacted topic
``<application>-topology`` has a record for each store and repartition topic of the topology that ran last: its kind,
its changelog, and the fingerprints of its serdes. It is written when an application first starts and when that changes.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any

import msgspec
import structlog

from streambank.log import EventLog, TopicConfig, TopicPartition
from streambank.streams.errors import TopologyError
from streambank.streams.schemas import reads
from streambank.streams.serde import fingerprint
from streambank.streams.stores import StoreSpec
from streambank.streams.topology import Topology

logger = structlog.get_logger(__name__)

REPARTITION = "-repartition"
CHANGELOG = "-changelog"

RESET = "(reset)"
"""In place of a name, while an application is reset (:mod:`streambank.streams.reset`). No store can be called so."""


class StoredForm(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a store, or a repartition topic, keeps what is in it. What is not known is None."""

    topic: str
    """The topic that rebuilds the store, or the repartition topic itself, as the log names it."""
    kind: str | None = None
    key: Any = None
    value: Any = None
    source: bool = False
    """Whether the topic is read as it is, so that nothing is lost with the store."""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(StoredForm).decode


def topology_topic(application_id: str) -> TopicConfig:
    """The topic in which an application's topology is written down."""
    return TopicConfig(name=f"{application_id}-topology", partitions=1, cleanup_policy="compact")


def recorded_forms(log: EventLog, application_id: str) -> dict[str, StoredForm]:
    """What an application has written down of its topology, by the names of stores and repartition topics."""
    topic = topology_topic(application_id).name
    if topic not in log.topics():
        return {}
    return {key.decode(): _decode(value) for key, value in _live(log, TopicPartition(topic, 0)).items()}


def _guessed_forms(log: EventLog, application_id: str) -> dict[str, StoredForm]:
    """What an application has that has never written down its topology: its internal topics, by their names."""
    prefix = f"{application_id}-"
    others = [f"{group.group}-" for group in log.groups() if group.group.startswith(prefix)]
    found = {}
    for topic in log.topics():
        name = topic.removeprefix(prefix)
        is_ours = topic.startswith(prefix) and not topic.startswith(tuple(others))
        if is_ours and topic.endswith((CHANGELOG, REPARTITION)):
            found[name.removesuffix(CHANGELOG)] = StoredForm(topic)
    return found


def internal_topics(log: EventLog, application_id: str) -> list[str]:
    """The topics in which an application keeps its state and hands records on; they exist."""
    forms = recorded_forms(log, application_id)
    forms.pop(RESET, None)
    forms = forms or _guessed_forms(log, application_id)
    return sorted({form.topic for form in forms.values() if not form.source} & log.topics().keys())


class StoredTopology:
    """What the log has of an application, beside the topology that is to run now.

    A runner calls :meth:`check` before it creates a topic or processes a record, then :meth:`record`.
    """

    def __init__(self, topology: Topology, log: EventLog, application_id: str) -> None:
        self.topic = topology_topic(application_id)
        self._log, self._application_id = log, application_id
        self._wanted = {config.name: config for config in topology.topic_configs(application_id)}
        self._internal = {topology.topic_name(name, application_id) for name in topology.internal}
        self._internal |= {
            topology.changelog_name(store, application_id)
            for store in topology.stores.values()
            if store.changelog is None
        }
        self._forms = _forms(topology, application_id)
        self._existing = log.topics()
        self._recorded = recorded_forms(log, application_id)
        self._stored = self._recorded or _guessed_forms(log, application_id)

    def check(self) -> None:
        """Warn of what is left over.

        Raises:
            TopologyError: something is stored in a form that the topology cannot go on with: what, and the ways out.
        """
        if RESET in self._recorded:
            raise TopologyError(
                f"{self._application_id}: a reset of this application was interrupted: reset it once more, to the end"
            )
        problems = [*self._other_settings(), *self._other_forms()]
        if problems:
            raise TopologyError(
                f"{self._application_id}: the topology does not fit what is stored: {'; '.join(problems)}. Nothing was "
                "changed. Take the change back; or give what changed another name=, which begins empty and goes on "
                "from the committed offsets; or run it under another application_id, which computes everything anew"
            )
        if orphans := self.orphans:
            logger.warning(
                "stored state that the topology no longer has",
                application=self._application_id,
                topics=sorted(form.topic for form in orphans.values()),
                begins_empty=sorted(name for name in self._begins_empty()),
                fix="give back the old name= to go on with it, or delete it with StoredTopology.delete_orphans()",
            )

    def record(self) -> None:
        """Write down the topology's forms where they are new; the topic exists. What is left over stays there."""
        wanted = {**self.orphans, **self._forms}
        self._write({name: form for name, form in wanted.items() if self._recorded.get(name) != form})

    @property
    def orphans(self) -> Mapping[str, StoredForm]:
        """What an earlier topology has stored in internal topics that this one does not have."""
        return {
            name: form
            for name, form in self._stored.items()
            if name not in self._forms and not form.source and form.topic in self._existing
        }

    def delete_orphans(self) -> list[str]:
        """Delete the topics that are left over, and forget them; returns their names.

        Call it once the topology has run, and no older version of the program does any more: that would lose its state.
        """
        orphans = self.orphans
        deleted = sorted({form.topic for form in orphans.values()})
        self._log.delete_topics(deleted)
        with closing(self._log.producer()) as producer, producer.transaction() as transaction:
            for name in orphans:
                transaction.append(self.topic.name, None, key=name.encode(), timestamp=0)
        self._stored = {name: form for name, form in self._stored.items() if name not in orphans}
        self._existing = self._log.topics()
        return deleted

    def _other_settings(self) -> Iterable[str]:
        for name in sorted(self._internal & self._existing.keys()):
            wanted, existing = self._wanted[name], self._existing[name]
            if (wanted.partitions, wanted.cleanup_policy) != (existing.partitions, existing.cleanup_policy):
                yield (
                    f"topic {name!r} has {existing.partitions} partitions (cleanup policy {existing.cleanup_policy}), "
                    f"and is to have {wanted.partitions} ({wanted.cleanup_policy})"
                )

    def _other_forms(self) -> Iterable[str]:
        for name, form in self._forms.items():
            stored = self._stored.get(name)
            if stored is None or stored.kind is None:
                continue
            if (stored.kind, stored.topic) != (form.kind, form.topic):
                yield (
                    f"store {name!r} was of kind {stored.kind}, rebuilt by {stored.topic!r}, and is now of kind "
                    f"{form.kind}, rebuilt by {form.topic!r}"
                )
            for part in ("key", "value"):
                before, now = getattr(stored, part), getattr(form, part)
                if not _reads(now, before):
                    yield f"the {part}s of {name!r} were {_short(before)} and are now {_short(now)}"

    def _begins_empty(self) -> set[str]:
        return {name for name, form in self._forms.items() if name not in self._stored and not form.source}

    def _write(self, forms: Mapping[str, StoredForm]) -> None:
        if not forms:
            return
        with closing(self._log.producer()) as producer, producer.transaction() as transaction:
            for name, form in forms.items():
                transaction.append(self.topic.name, _encode(form), key=name.encode(), timestamp=0)


def _forms(topology: Topology, application_id: str) -> dict[str, StoredForm]:
    def form(store: StoreSpec) -> StoredForm:
        topic = topology.changelog_name(store, application_id)
        return StoredForm(topic, store.kind, fingerprint(store.key), fingerprint(store.value), store.read_only)

    forms = {name: form(store) for name, store in topology.stores.items()}
    for topic in topology.source_topics:
        if topic.name in topology.internal:
            name = topology.topic_name(topic.name, application_id)
            forms[topic.name] = StoredForm(name, "repartition", fingerprint(topic.key), fingerprint(topic.value))
    return forms


def _live(log: EventLog, topic_partition: TopicPartition) -> dict[bytes, bytes]:
    """The last value of each key."""
    live: dict[bytes, bytes] = {}
    offset, end = log.watermarks(topic_partition)
    while offset < end:
        batch = log.read(topic_partition, offset)
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is not None and value is not None:
                live[key] = value
            elif key is not None:
                live.pop(key, None)
        offset = batch.next_offset
    return live


def _reads(now: Any, before: Any) -> bool:
    """Whether a serde of the one fingerprint reads the bytes of one of the other."""
    if isinstance(now, dict) and isinstance(before, dict) and now.keys() == before.keys():
        return all(
            reads(now[name], before[name]) if name == "json" else _reads(now[name], before[name]) for name in now
        )
    return bool(now == before)


def _short(form: Any) -> str:
    text = form if isinstance(form, str) else _encode(form).decode()
    return text if len(text) <= 200 else f"{text[:200]}..."
