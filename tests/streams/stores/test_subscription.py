import pytest
from tests.streams.support import ANY

from streambank.streams.stores import StoreSpec, SubscriptionStore
from streambank.streams.stores.subscription import Reference, ReferenceSerde, Subscriber, SubscriberSerde

SPEC = StoreSpec("references", ReferenceSerde(ANY), SubscriberSerde(), kind="subscription")
A, B = Subscriber(b"a", 0), Subscriber(b"b", 1)


@pytest.fixture
def store() -> SubscriptionStore:
    store = SubscriptionStore(SPEC, None)
    store.put(Reference("x", b"2"), A, 5)
    store.put(Reference("x", b"1"), B, 6)
    store.put(Reference("y", b"1"), A, 7)
    store.committed()
    return store


def test_the_rows_that_refer_to_a_key_are_in_the_order_of_their_keys(store: SubscriptionStore) -> None:
    assert store.of("x") == [(b"1", (B, 6)), (b"2", (A, 5))]
    assert store.of("z") == []
    assert len(store) == 3


def test_what_was_put_since_the_last_commit_can_be_taken_back(store: SubscriptionStore) -> None:
    before = dict(store.items())
    store.record(True)
    store.put(Reference("x", b"1"), None, 8)
    store.put(Reference("y", b"1"), None, 9)
    store.put(Reference("x", b"3"), A, 10)
    store.put(Reference("x", b"2"), B, 11)
    assert dict(store.items()) == {Reference("x", b"2"): (B, 11), Reference("x", b"3"): (A, 10)}
    store.rollback()
    assert dict(store.items()) == before
    assert len(store) == 3


def test_it_comes_back_from_its_changelog(store: SubscriptionStore) -> None:
    again = SubscriptionStore(SPEC, None)
    for reference, (subscriber, timestamp) in store.items():
        key, value = SPEC.key.serialize(reference), SPEC.value.serialize(subscriber)
        again.load(SPEC.key.deserialize(key), SPEC.value.deserialize(value), timestamp)
    assert dict(again.items()) == dict(store.items())
    again.load(Reference("x", b"1"), None, 8)
    assert again.of("x") == [(b"2", (A, 5))]
    again.clear()
    assert (len(again), again.of("y")) == (0, [])
