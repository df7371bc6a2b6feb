"""The ledger's side of transfers: every instruction in every order, and what each is answered."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from tests.bank.transactions.support import NOON, NOON_MS, Bench, caller, key_of, opened, records, signed

from streambank.bank.events import (
    TRANSFER_INSTRUCTED,
    TRANSFER_OUTCOME,
    Currency,
    TransferAction,
    TransferInstruction,
    TransferOutcome,
    TransferParty,
    TransferResult,
)
from streambank.bank.events.personal import seal
from streambank.bank.transactions.categories import default_id
from streambank.bank.transactions.schemas import ChangeAccount, RuleBody, TextConditionBody
from streambank.service.http.problems import Problem

RESERVE, POST, VOID = TransferAction.RESERVE, TransferAction.POST, TransferAction.VOID
RESERVED, POSTED, VOIDED, REJECTED = (
    TransferResult.RESERVED,
    TransferResult.POSTED,
    TransferResult.VOIDED,
    TransferResult.REJECTED,
)


class Payments:
    """Asks the ledger as the payments service does. Ada pays Bob, from an account with 1,000 on it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ada, self.bob = bench.open("ada"), bench.open("bob", name="Bob's")
        bench.post(self.ada, 1_000)

    def instruction(
        self, action: TransferAction, minor: int = 300, transfer_id: str = "t1", **more: Any
    ) -> TransferInstruction:
        told = TransferInstruction(
            user_id="ada",
            occurred_at=NOON,
            recorded_at=NOON,
            event_id="e",
            transfer_id=transfer_id,
            action=action,
            debtor=TransferParty(
                user_id="ada",
                account_id=self.ada,
                other_name=seal(key_of("ada"), "ada", "Bob"),
                remittance=seal(key_of("ada"), "ada", "for the boat"),
            ),
            creditor=TransferParty(
                user_id="bob",
                account_id=self.bob,
                other_name=seal(key_of("bob"), "bob", "Ada"),
                remittance=seal(key_of("bob"), "bob", "for the boat"),
            ),
            amount_minor=minor,
            currency=Currency("EUR"),
            end_to_end_id="boat-7",
            held_until=NOON + timedelta(days=8),
        )
        return msgspec.structs.replace(told, **more)

    def ask(self, *instructions: TransferInstruction) -> list[TransferOutcome]:
        """Publish instructions; what was answered since."""
        before = {(r.partition, r.offset) for r in records(self.bench.log, TRANSFER_OUTCOME.name)}
        producer = self.bench.log.producer()
        with producer.transaction() as transaction:
            for told in instructions:
                TRANSFER_INSTRUCTED.write(transaction, told.transfer_id, told, NOON_MS)
        producer.close()
        self.bench.settle()
        assert self.bench.faults() == []
        answers = [r for r in records(self.bench.log, TRANSFER_OUTCOME.name) if (r.partition, r.offset) not in before]
        return [TRANSFER_OUTCOME.value.deserialize(r.value or b"") for r in answers]

    def do(self, *actions: TransferAction) -> list[tuple[TransferAction, TransferResult, str | None]]:
        answers = self.ask(*(self.instruction(action) for action in actions))
        return [(answer.action, answer.result, answer.reason) for answer in answers]

    def outcomes(self) -> list[TransferOutcome]:
        return [
            TRANSFER_OUTCOME.value.deserialize(r.value or b"") for r in records(self.bench.log, TRANSFER_OUTCOME.name)
        ]

    def money(self) -> tuple[int, int, int, int]:
        """What Ada has, what is held of it, what is available; and what Bob has."""
        ada, bob = self.bench.balance(self.ada), self.bench.balance(self.bob, "bob")
        assert (bob.pending_credits_minor, bob.pending_debits_minor) == (0, 0)
        return ada.booked_minor, ada.pending_debits_minor, ada.available_minor, bob.booked_minor


@pytest.fixture
def pay(bench: Bench) -> Payments:
    return Payments(bench)


def test_both_sides_are_booked_in_one_transaction(pay: Payments) -> None:
    [reserved] = pay.ask(pay.instruction(RESERVE))
    assert (reserved.result, reserved.reason, reserved.transaction_id) == (RESERVED, None, None)
    assert pay.money() == (1_000, 300, 700, 0)
    [posted] = pay.ask(pay.instruction(POST))
    assert pay.money() == (700, 0, 700, 300)
    debit = pay.bench.entry(posted.debtor_entry_id or "")
    credit = pay.bench.entry(posted.creditor_entry_id or "", "bob")
    assert {debit.transaction_id, credit.transaction_id} == {posted.transaction_id}
    assert (signed(debit), signed(credit)) == (-300, 300)
    assert (debit.counterparty, credit.counterparty) == ("Bob", "Ada")
    for entry in (debit, credit):
        told = (entry.kind, entry.remittance, entry.end_to_end_id, entry.state)
        assert told == ("TRANSFER", "for the boat", "boat-7", "booked")
    events = {event.entry_id: event for event in pay.bench.published()}
    for entry, user in ((debit, "ada"), (credit, "bob")):
        event = events[entry.id]
        assert (event.user_id, event.transaction_id) == (user, posted.transaction_id)
        assert opened(user, event.counterparty) == entry.counterparty
        assert event.counterparty != entry.counterparty
    with pytest.raises(Problem, match="no such transaction"):
        pay.bench.entry(credit.id, "ada")


def test_rules_of_each_side_categorise_its_entry(pay: Payments) -> None:
    text = TextConditionBody(field="any", op="contains", value="boat")
    body = RuleBody(name="Boats", texts=[text], category_id=default_id("bob", "Food"), tags=["boat"])
    pay.bench.do(lambda c: pay.bench.service.create_rule(c, caller("bob"), body))
    *_, posted = pay.ask(pay.instruction(RESERVE), pay.instruction(POST))
    credit = pay.bench.entry(posted.creditor_entry_id or "", "bob")
    assert credit.tags == body.tags
    assert credit.category_id == body.category_id
    assert list(pay.bench.entry(posted.debtor_entry_id or "").tags) == []


@pytest.mark.parametrize("actions", [p for n in (1, 2, 3) for p in permutations((RESERVE, POST, VOID), n)], ids=str)
def test_every_order_ends_in_one_way_however_often_it_is_repeated(
    pay: Payments, actions: tuple[TransferAction, ...]
) -> None:
    #                       what stands then        what each is answered
    expected: dict[tuple[TransferAction, ...], tuple[str, list[tuple[TransferResult, str | None]]]] = {
        (RESERVE,): ("reserved", [(RESERVED, None)]),
        (POST,): ("nothing", [(REJECTED, "NARR")]),
        (VOID,): ("nothing", [(VOIDED, None)]),
        (RESERVE, POST): ("posted", [(RESERVED, None), (POSTED, None)]),
        (RESERVE, VOID): ("nothing", [(RESERVED, None), (VOIDED, None)]),
        (POST, RESERVE): ("nothing", [(REJECTED, "NARR"), (REJECTED, "NARR")]),
        (POST, VOID): ("nothing", [(REJECTED, "NARR"), (VOIDED, None)]),
        (VOID, RESERVE): ("nothing", [(VOIDED, None), (REJECTED, "CUST")]),
        (VOID, POST): ("nothing", [(VOIDED, None), (REJECTED, "CUST")]),
        (RESERVE, POST, VOID): ("posted", [(RESERVED, None), (POSTED, None), (POSTED, None)]),
        (RESERVE, VOID, POST): ("nothing", [(RESERVED, None), (VOIDED, None), (REJECTED, "CUST")]),
        (POST, RESERVE, VOID): ("nothing", [(REJECTED, "NARR"), (REJECTED, "NARR"), (VOIDED, None)]),
        (POST, VOID, RESERVE): ("nothing", [(REJECTED, "NARR"), (VOIDED, None), (REJECTED, "NARR")]),
        (VOID, RESERVE, POST): ("nothing", [(VOIDED, None), (REJECTED, "CUST"), (REJECTED, "CUST")]),
        (VOID, POST, RESERVE): ("nothing", [(VOIDED, None), (REJECTED, "CUST"), (REJECTED, "CUST")]),
    }
    money = {"reserved": (1_000, 300, 700, 0), "posted": (700, 0, 700, 300), "nothing": (1_000, 0, 1_000, 0)}
    stands, answers = expected[actions]
    first = pay.do(*actions)
    assert first == [(action, *answer) for action, answer in zip(actions, answers, strict=True)]
    assert pay.money() == money[stands]
    told = pay.outcomes()
    entries = len(pay.bench.published())
    for again in permutations(actions):
        assert sorted(pay.ask(*map(pay.instruction, again)), key=str) == sorted(told, key=str)
    assert pay.money() == money[stands]
    assert len(pay.bench.published()) == entries


@pytest.mark.parametrize(
    ("limit", "minor", "result", "reason"),
    [
        (0, 1_000, RESERVED, None),
        (0, 1_001, REJECTED, "AM04"),
        (500, 1_500, RESERVED, None),
        (None, 9_999, RESERVED, None),
    ],
)
def test_the_limit_holds_as_for_a_person(
    pay: Payments, limit: int | None, minor: int, result: TransferResult, reason: str | None
) -> None:
    body = ChangeAccount(overdraft_limit_minor=limit)
    pay.bench.do(lambda c: pay.bench.service.change_account(c, caller(), pay.ada, body, None))
    [answer] = pay.ask(pay.instruction(RESERVE, minor))
    assert (answer.result, answer.reason) == (result, reason)
    [second] = pay.ask(pay.instruction(RESERVE, 1_000, "t2"))
    assert second.result is (RESERVED if limit is None or reason is not None else REJECTED)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"user_id": "bob"}, "AC04"),
        ({"user_id": "nobody"}, "NARR"),
        ({"currency": Currency("CZK")}, "AM03"),
        ({"debtor": TransferParty(user_id="ada", account_id="nowhere")}, "AC04"),
        ({"debtor": TransferParty()}, "AC04"),
    ],
)
def test_what_cannot_be_reserved(pay: Payments, more: dict[str, Any], reason: str) -> None:
    [answer] = pay.ask(pay.instruction(RESERVE, **more))
    assert (answer.result, answer.reason) == (REJECTED, reason)
    assert pay.money() == (1_000, 0, 1_000, 0)
    assert pay.do(POST, VOID) == [(POST, REJECTED, reason), (VOID, VOIDED, None)]


def party(user_id: str | None, account_id: str | None) -> TransferParty:
    return TransferParty(user_id=user_id, account_id=account_id)


def test_what_cannot_be_posted_frees_the_hold(pay: Payments) -> None:
    czk = pay.bench.open("bob", currency="CZK")
    shared = pay.bench.open("ada")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"creditor": party("bob", "nowhere")}, "AC04"),
        ({"creditor": party("bob", pay.ada)}, "AC04"),
        ({"creditor": party("ada", pay.ada)}, "AC03"),
        ({"creditor": party("cleo", pay.bob)}, "AC04"),
        ({"creditor": party(None, None)}, "BE06"),
        ({"creditor": party("bob", None)}, "BE06"),
        ({"creditor": party("nobody", pay.bob)}, "NARR"),
        ({"creditor": party("bob", czk)}, "AM03"),
        ({"amount_minor": 299}, "AM09"),
    ]
    for number, (more, reason) in enumerate(cases):
        name = f"t{number}"
        told = pay.instruction(RESERVE, transfer_id=name), pay.instruction(POST, transfer_id=name, **more)
        reserved, posted = pay.ask(*told)
        assert (reserved.result, posted.result, posted.reason) == (RESERVED, REJECTED, reason), more
        assert pay.money() == (1_000, 0, 1_000, 0)
    own = party("ada", shared)
    told = pay.instruction(RESERVE, transfer_id="own"), pay.instruction(POST, transfer_id="own", creditor=own)
    assert [answer.result for answer in pay.ask(*told)] == [RESERVED, POSTED]
    assert pay.bench.balance(shared).booked_minor == 300


def test_a_closed_account_takes_nothing(pay: Payments) -> None:
    pay.do(RESERVE)
    pay.bench.do(lambda c: pay.bench.service.close_account(c, caller("bob"), pay.bob, None))
    assert pay.do(POST) == [(POST, REJECTED, "AC04")]
    assert pay.money() == (1_000, 0, 1_000, 0)


def test_an_account_with_money_on_hold_is_not_closed(pay: Payments) -> None:
    pay.ask(pay.instruction(RESERVE, 1_000))
    with pytest.raises(Problem, match="balance is 1000"):
        pay.bench.do(lambda c: pay.bench.service.close_account(c, caller(), pay.ada, None))


def test_a_hold_that_nobody_ends_ends_by_itself(pay: Payments) -> None:
    pay.do(RESERVE)
    pay.bench.clock.now_ms += 8 * 86_400_000 - 1
    assert pay.bench.service.expire() == 0
    pay.bench.clock.now_ms += 1
    assert pay.bench.service.expire() == 1
    assert pay.money() == (1_000, 0, 1_000, 0)
    assert pay.do(POST, VOID) == [(POST, REJECTED, "TM01"), (VOID, VOIDED, None)]


def test_nobody_else_ends_or_reverses_a_transfers_entries(pay: Payments) -> None:
    pay.do(RESERVE)
    [hold] = [event for event in pay.bench.published() if event.status.value == "PDNG"]
    for end in (pay.bench.void, pay.bench.book):
        with pytest.raises(Problem) as refused:
            end(hold.entry_id)
        assert refused.value.slug == "entry-of-transfer"
    [posted] = pay.ask(pay.instruction(POST))
    for entry_id, user in ((posted.debtor_entry_id, "ada"), (posted.creditor_entry_id, "bob")):
        with pytest.raises(Problem) as refused:
            pay.bench.reverse(entry_id or "", user, force=True)
        assert refused.value.slug == "entry-of-transfer"
    assert pay.bench.edit(posted.debtor_entry_id or "", notes="my own").notes == "my own"


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_who_is_erased_neither_pays_nor_is_paid(pay: Payments, who: str) -> None:
    pay.do(RESERVE)
    pay.bench.forget(who)
    assert pay.do(POST, VOID) == [(POST, REJECTED, "AC04"), (VOID, VOIDED, None)]
    if who == "bob":
        assert pay.bench.balance(pay.ada).available_minor == 1_000
    [late] = pay.ask(pay.instruction(RESERVE, transfer_id="late"))
    assert (late.result, late.reason) == ((REJECTED, "AC04") if who == "ada" else (RESERVED, None))


def test_a_text_that_cannot_be_opened_is_left_out(pay: Payments) -> None:
    debtor = TransferParty(user_id="ada", account_id=pay.ada, other_name=seal(key_of("eve"), "eve", "Bob"))
    told = pay.instruction(RESERVE, debtor=debtor), pay.instruction(POST, debtor=debtor)
    *_, posted = pay.ask(*told)
    assert pay.bench.entry(posted.debtor_entry_id or "").counterparty is None
