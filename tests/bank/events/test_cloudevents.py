from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from tests.bank.events.samples import BALANCE_CHANGED_EVENT

from streambank.bank.events import BALANCE_CHANGED
from streambank.log import decode_headers


def test_the_reference_implementation_reads_our_headers() -> None:
    event = BALANCE_CHANGED_EVENT
    assert BALANCE_CHANGED.headers is not None
    headers = decode_headers(BALANCE_CHANGED.headers(event, event.timestamp))
    message = KafkaMessage(
        headers={name: value for name, value in headers if value is not None},
        key=event.account_id.encode(),
        value=BALANCE_CHANGED.value.serialize(event),
    )
    read = from_binary(message, JSONFormat(), CloudEvent)
    attributes = read.get_attributes()
    assert attributes["id"] == event.entry_id
    assert attributes["type"] == "bank.balance.changed.v1"
    assert attributes["source"] == "/services/transactions"
    assert attributes["subject"] == event.account_id
    assert attributes["time"] == event.occurred_at
    assert attributes["specversion"] == "1.0"
    assert attributes["partitionkey"] == event.account_id
    data = read.get_data()
    assert isinstance(data, dict)
    assert data["amount_minor"] == event.amount_minor
