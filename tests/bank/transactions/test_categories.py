"""Categories: a tree of two levels."""

from collections.abc import Callable

import pytest
from tests.bank.transactions.support import Bench, caller

from streambank.bank.transactions.categories import DEFAULTS, default_id
from streambank.bank.transactions.schemas import CategoryBody, CategoryList, CategoryView, RuleBody
from streambank.service.http.problems import Problem


def listed(bench: Bench, user: str = "ada") -> list[CategoryView]:
    answer = bench.look(lambda c: bench.service.list_categories(c, caller(user), None))
    assert isinstance(answer.body, CategoryList)
    return answer.body.items


def add(bench: Bench, name: str, parent: str | None = None) -> CategoryView:
    told = CategoryBody(name=name, parent_id=parent)
    return bench.do(lambda c: bench.service.create_category(c, caller(), told)).body  # type: ignore[return-value]


def put(bench: Bench, category: str, name: str, parent: str | None, expected: int | None = None) -> CategoryView:
    told = CategoryBody(name=name, parent_id=parent)
    answer = bench.do(lambda c: bench.service.replace_category(c, caller(), category, told, expected))
    return answer.body  # type: ignore[return-value]


def remove(bench: Bench, category: str, user: str = "ada") -> None:
    bench.do(lambda c: bench.service.remove_category(c, caller(user), category, None))


def refusal(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value.status, refused.value.slug


def test_the_usual_ones_are_there(bench: Bench) -> None:
    found = listed(bench)
    assert len(found) == sum(1 + len(children) for _, children in DEFAULTS)
    by_id = {view.id: view for view in found}
    groceries = by_id[default_id("ada", "Groceries")]
    assert by_id[groceries.parent_id or ""].name == "Food"
    position = {view.id: i for i, view in enumerate(found)}
    assert all(view.parent_id is None or position[view.parent_id] < position[view.id] for view in found)
    assert not {view.id for view in found} & {view.id for view in listed(bench, "bob")}
    bench.know("ada")
    assert listed(bench) == found


def test_the_tree(bench: Bench) -> None:
    pets = add(bench, "Animals")
    dog = add(bench, "Dog", pets.id)
    assert refusal(lambda: add(bench, "Bone", dog.id)) == (422, "invalid-field")
    assert refusal(lambda: add(bench, "Dog", pets.id)) == (409, "category-exists")
    assert refusal(lambda: add(bench, "Cat", "nothing")) == (422, "unknown-category")
    assert refusal(lambda: put(bench, pets.id, "Animals", dog.id)) == (422, "invalid-field")
    assert refusal(lambda: put(bench, pets.id, "Animals", default_id("ada", "Food"))) == (422, "invalid-field")
    assert refusal(lambda: put(bench, dog.id, "Dog", None, 9)) == (412, "version-mismatch")
    moved = put(bench, dog.id, "Dogs", default_id("ada", "Food"), 1)
    assert (moved.name, moved.parent_id, moved.version) == ("Dogs", default_id("ada", "Food"), 2)
    assert refusal(lambda: remove(bench, default_id("ada", "Food"))) == (409, "category-in-use")
    assert refusal(lambda: remove(bench, pets.id, "bob")) == (404, "not-found")
    remove(bench, pets.id)
    assert pets.id not in {view.id for view in listed(bench)}


def test_deleting_one_that_is_used(bench: Bench) -> None:
    pets = add(bench, "Animals")
    account = bench.open()
    entry = bench.post(account, 5, category_id=pets.id)
    parted = bench.post(account, 5)
    bench.edit(parted.id, splits=[{"amount_minor": 5, "category_id": pets.id}])
    rule = RuleBody(name="r", credit_debit="CRDT", category_id=pets.id)  # type: ignore[arg-type]
    made = bench.do(lambda c: bench.service.create_rule(c, caller(), rule)).body
    assert refusal(lambda: remove(bench, pets.id)) == (409, "category-in-use")
    bench.do(lambda c: bench.service.remove_rule(c, caller(), made.id, None))  # type: ignore[union-attr]
    remove(bench, pets.id)
    assert bench.entry(entry.id).category_id is None
    assert bench.entry(parted.id).splits[0].category_id is None


def test_a_category_of_somebody_else(bench: Bench) -> None:
    account = bench.open()
    theirs = default_id("bob", "Fuel")
    assert refusal(lambda: bench.post(account, 5, category_id=theirs)) == (422, "unknown-category")
    entry = bench.post(account, 5)
    assert refusal(lambda: bench.edit(entry.id, category_id=theirs)) == (422, "unknown-category")


def test_no_more_than_fit_in_a_list(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.transactions.categories.CATEGORIES_MAX", len(listed(bench)) + 1)
    add(bench, "One")
    assert refusal(lambda: add(bench, "Two")) == (409, "too-many-categories")
