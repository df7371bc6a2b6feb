"""Notes, tags, categories and parts of entries."""

from collections.abc import Callable

import pytest
from tests.bank.transactions.support import Bench

from streambank.bank.transactions.categories import default_id
from streambank.service.http.problems import Problem

FOOD, FUEL = default_id("ada", "Food"), default_id("ada", "Fuel")


def refusal(work: Callable[[], object]) -> tuple[int, list[str]]:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value.status, [error.pointer for error in refused.value.errors]


def test_what_is_left_out_stays(bench: Bench) -> None:
    entry = bench.post(bench.open(), 10, notes="a", tags=["x"], category_id=FOOD)
    assert bench.edit(entry.id, tags=["y", "x"]).model_dump(include={"notes", "tags", "category_id", "version"}) == {
        "notes": "a",
        "tags": ["x", "y"],
        "category_id": FOOD,
        "version": 2,
    }
    assert bench.edit(entry.id, notes=None).notes is None
    assert bench.edit(entry.id, category_id=None).category_id is None
    assert bench.edit(entry.id, tags=[]).tags == []
    assert bench.edit(entry.id).version == 6
    assert refusal(lambda: bench.edit(entry.id, expected=5, notes="late"))[0] == 412


def test_parts(bench: Bench) -> None:
    entry = bench.post(bench.open(overdraft_limit_minor=None), -10, category_id=FOOD)
    parts = [{"amount_minor": 4, "category_id": FOOD, "note": "bread"}, {"amount_minor": 6, "category_id": FUEL}]
    edited = bench.edit(entry.id, splits=parts)
    assert [(p.amount_minor, p.category_id, p.note) for p in edited.splits] == [(4, FOOD, "bread"), (6, FUEL, None)]
    assert edited.category_id is None
    assert refusal(lambda: bench.edit(entry.id, category_id=FOOD)) == (422, ["/category_id"])
    assert refusal(lambda: bench.edit(entry.id, splits=[{"amount_minor": 9}])) == (422, ["/splits"])
    assert refusal(lambda: bench.edit(entry.id, splits=[{"amount_minor": 10, "category_id": "no"}])) == (
        422,
        ["/splits/0/category_id"],
    )
    assert bench.entry(entry.id) == edited
    both = bench.edit(entry.id, splits=[], category_id=FUEL)
    assert (both.splits, both.category_id) == ([], FUEL)
    assert bench.faults() == []


def test_nothing_is_published(bench: Bench) -> None:
    entry = bench.post(bench.open(), 10)
    bench.settle()
    before = bench.published()
    bench.edit(entry.id, notes="x", tags=["y"], splits=[{"amount_minor": 10}])
    bench.settle()
    assert bench.published() == before


def test_not_by_others(bench: Bench) -> None:
    entry = bench.post(bench.open(), 10)
    assert refusal(lambda: bench.edit(entry.id, "bob", notes="x"))[0] == 404
