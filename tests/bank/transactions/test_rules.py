"""Rules by themselves, on arrival, in a preview, and applied to the past."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.bank.transactions.support import Bench, caller, line

from streambank.bank.events import CreditDebit
from streambank.bank.transactions.categories import default_id
from streambank.bank.transactions.rules import Facts, Rule, RuleBook, TextCondition, facts
from streambank.bank.transactions.schemas import ApplyRule, RuleApplied, RuleBody, RulePreview, RuleView
from streambank.service.http.problems import Problem

NUMS = {"food": 1, "car": 2}
GROCERIES, FUEL = default_id("ada", "Groceries"), default_id("ada", "Fuel")


def text(value: str, field: Any = "any", op: Any = "contains") -> TextCondition:
    return TextCondition(field, op, value)


COFFEE = facts("a", CreditDebit.DEBIT, 350, "Café Slavia", "Card payment")

MATCHING: list[tuple[dict[str, Any], bool]] = [
    ({"texts": (text("slavia"),)}, True),
    ({"texts": (text("CAFE"),)}, True),
    ({"texts": (text("payment"),)}, True),
    ({"texts": (text("payment", "counterparty"),)}, False),
    ({"texts": (text("payment", "remittance"),)}, True),
    ({"texts": (text("café slavia", op="equals"),)}, True),
    ({"texts": (text("café", op="equals"),)}, False),
    ({"texts": (text("café"), text("card"))}, True),
    ({"texts": (text("café"), text("transfer"))}, False),
    ({"texts": (text("c.*a"),)}, False),
    ({"account_ids": ("a", "b")}, True),
    ({"account_ids": ("b",)}, False),
    ({"credit_debit": CreditDebit.DEBIT}, True),
    ({"credit_debit": CreditDebit.CREDIT}, False),
    ({"amount_min_minor": 350, "amount_max_minor": 350}, True),
    ({"amount_min_minor": 351}, False),
    ({"amount_max_minor": 349}, False),
    ({"amount_max_minor": 350, "enabled": False}, False),
]


@pytest.mark.parametrize(("conditions", "matches"), MATCHING, ids=[str(n) for n in range(len(MATCHING))])
def test_conditions(conditions: dict[str, Any], matches: bool) -> None:
    book = RuleBook([Rule(name="r", category_id="food", **conditions)], NUMS)
    assert book.apply(COFFEE).category_num == (1 if matches else None)


def outcome(*rules: Rule, of: Facts = COFFEE) -> tuple[int | None, tuple[str, ...]]:
    return RuleBook(rules, NUMS).apply(of)


def test_order_and_stop() -> None:
    first = Rule(name="1", texts=(text("café"),), category_id="food", tags=("x", "y"))
    second = Rule(name="2", texts=(text("card"),), category_id="car", tags=("y", "z"))
    stopping = Rule(name="3", texts=(text("card"),), tags=("s",), stop=True)
    other = Rule(name="4", texts=(text("tram"),), category_id="car", stop=True)
    assert outcome(first, second) == (2, ("x", "y", "z"))
    assert outcome(second, first) == (1, ("y", "z", "x"))
    assert outcome(first, stopping, second) == (1, ("x", "y", "s"))
    assert outcome(other, first) == (1, ("x", "y"))
    assert outcome(Rule(name="5", texts=(text("café"),), category_id="gone")) == (None, ())


def body(**fields: Any) -> RuleBody:
    texts = [{"field": "any", "op": "contains", "value": "shell"}]
    return RuleBody(**{"name": "Fuel", "texts": texts, "category_id": FUEL, **fields})


def make(bench: Bench, told: RuleBody) -> RuleView:
    answer = bench.do(lambda c: bench.service.create_rule(c, caller(), told))
    assert isinstance(answer.body, RuleView)
    return answer.body


def step(bench: Bench, rule: RuleView, cursor: str | None) -> RuleApplied:
    told = ApplyRule(cursor=cursor)
    answer = bench.do(lambda c: bench.service.apply_rule(c, caller(), rule.id, told))
    assert isinstance(answer.body, RuleApplied)
    return answer.body


def refusal(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value.status, refused.value.slug


def test_on_arrival(bench: Bench) -> None:
    account = bench.open(overdraft_limit_minor=None)
    bench.post(account, -5, counterparty="Shell Brno")
    rule = make(bench, body(tags=["car"]))
    arrived = bench.post(account, -5, counterparty="SHELL Praha", tags=["mine"])
    assert (arrived.category_id, arrived.tags) == (FUEL, ["car", "mine"])
    chosen = bench.post(account, -5, counterparty="Shell", category_id=GROCERIES)
    assert chosen.category_id == GROCERIES
    bench.batch(line(account, -6, "1", remittance="at shell"), line(account, -7, "2", remittance="at home"))
    replaced = bench.do(
        lambda c: bench.service.replace_rule(c, caller(), rule.id, body(category_id=GROCERIES), rule.version)
    )
    assert bench.post(account, -5, counterparty="Shell").category_id == GROCERIES
    bench.do(lambda c: bench.service.remove_rule(c, caller(), rule.id, replaced.version))
    assert bench.post(account, -5, counterparty="Shell").category_id is None
    bench.settle()
    assert [e.category for e in bench.published()] == [None, FUEL, GROCERIES, FUEL, None, GROCERIES, None]


def test_rules_are_their_users_own(bench: Bench) -> None:
    make(bench, body())
    account = bench.open("bob", overdraft_limit_minor=None)
    assert bench.post(account, -5, "bob", counterparty="Shell").category_id is None
    rule = bench.look(lambda c: bench.service.list_rules(c, caller())).body.items[0]  # type: ignore[union-attr]
    for work in (
        lambda: bench.look(lambda c: bench.service.get_rule(c, caller("bob"), rule.id)),
        lambda: bench.do(lambda c: bench.service.remove_rule(c, caller("bob"), rule.id, None)),
        lambda: bench.do(lambda c: bench.service.apply_rule(c, caller("bob"), rule.id, ApplyRule())),
    ):
        assert refusal(work) == (404, "not-found")


def test_preview_and_apply(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    account = bench.open(overdraft_limit_minor=None)
    fresh = [bench.post(account, -n, counterparty="Shell") for n in range(1, 8)]
    chosen = bench.post(account, -8, counterparty="Shell", category_id=GROCERIES)
    bench.post(account, -9, counterparty="Tram")
    done = bench.post(account, -10, counterparty="Shell", category_id=FUEL, tags=["car"])
    told = body(tags=["car"])
    answer = bench.look(lambda c: bench.service.preview_rule(c, caller(), told))
    assert isinstance(answer.body, RulePreview)
    view = answer.body
    assert (view.scanned, view.matched, view.would_change, view.complete) == (10, 9, 8, True)
    assert {change.transaction.id for change in view.examples} == {chosen.id, *(e.id for e in fresh)}
    by_id = {change.transaction.id: change for change in view.examples}
    assert (by_id[fresh[0].id].category_id, by_id[chosen.id].category_id) == (FUEL, GROCERIES)
    assert bench.entry(fresh[0].id).category_id is None

    monkeypatch.setattr("streambank.bank.transactions.rule_runs.APPLY_ENTRIES_MAX", 4)
    monkeypatch.setattr("streambank.bank.transactions.rule_runs._CHUNK", 3)
    rule = make(bench, told)
    cursor, steps = None, []
    while True:
        made = step(bench, rule, cursor)
        steps.append((made.scanned, made.changed))
        cursor = made.next
        if cursor is None:
            break
    assert steps == [(4, 2), (4, 4), (2, 2)]
    assert [(bench.entry(e.id).category_id, bench.entry(e.id).tags) for e in fresh] == [(FUEL, ["car"])] * 7
    assert (bench.entry(chosen.id).category_id, bench.entry(chosen.id).tags) == (GROCERIES, ["car"])
    assert bench.entry(done.id).version == 1
    assert bench.entry(fresh[0].id).version == 2


def test_a_preview_is_capped_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streambank.bank.transactions.rule_runs.PREVIEW_ENTRIES_MAX", 3)
    account = bench.open()
    for n in range(1, 5):
        bench.post(account, n, counterparty="Shell")
    view = bench.look(lambda c: bench.service.preview_rule(c, caller(), body())).body
    assert isinstance(view, RulePreview)
    assert (view.scanned, view.matched, view.complete) == (3, 3, False)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"texts": []}, "/texts"),
        ({"category_id": None}, "/category_id"),
        ({"category_id": "unknown"}, "/category_id"),
        ({"amount_min_minor": 2, "amount_max_minor": 1}, "/amount_max_minor"),
        ({"account_ids": ["unknown"]}, "/account_ids/0"),
    ],
)
def test_rules_that_are_none(bench: Bench, fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Problem) as refused:
        make(bench, body(**fields))
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert bench.look(lambda c: bench.service.list_rules(c, caller())).body.items == []  # type: ignore[union-attr]


def test_rules_in_their_order(bench: Bench) -> None:
    for position in (3, 1, 2):
        make(bench, body(name=f"r{position}", position=position))
    rules = bench.look(lambda c: bench.service.list_rules(c, caller())).body.items  # type: ignore[union-attr]
    assert [rule.name for rule in rules] == ["r1", "r2", "r3"]
    assert rules[0].texts[0].value == "shell"
