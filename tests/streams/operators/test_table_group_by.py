from tests.streams.support import ANY

from streambank.streams.operators.table_group_by import Change, ChangeSerde


def test_both_values_of_a_change_travel_in_one_record() -> None:
    serde = ChangeSerde(ANY)
    for change in (Change("new", "old"), Change(None, "old"), Change(0, None), Change([1], "")):
        assert serde.deserialize(serde.serialize(change)) == change
