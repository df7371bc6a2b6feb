import pytest
from tests.streams.support import ANY, TABLE

from streambank.streams import StreamBuilder, TopologyError
from streambank.streams.operators.table_group_by import Change, ChangeSerde


def test_both_values_of_a_change_travel_in_one_record() -> None:
    serde = ChangeSerde(ANY)
    for change in (Change("new", "old"), Change(None, "old"), Change(0, None), Change([1], "")):
        assert serde.deserialize(serde.serialize(change)) == change


def test_rows_of_an_unknown_type_are_refused_before_anything_runs() -> None:
    grouped = StreamBuilder().table(TABLE).group_by(lambda key, value: (value, key), key=ANY)
    with pytest.raises(TopologyError, match="group_by values: its type is not known"):
        grouped.count(name="n")
