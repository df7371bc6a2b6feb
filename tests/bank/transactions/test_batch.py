"""Lines of a batch: each for itself, each recorded once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bank.transactions.support import Bench, line

from streambank.bank.transactions.batch import BODY_BYTES_MAX, LINES_MAX, Recorded, decode_line, decode_lines
from streambank.bank.transactions.entries import NewEntry
from streambank.service.http.problems import Problem

GOOD = msgspec.json.encode(line("a", 5, "1"))

BROKEN = [
    # line, status, pointer
    (b"", 400, None),
    (b"{", 400, None),
    (b"[]", 422, ""),
    (b'"text"', 422, ""),
    (GOOD[:-1], 400, None),
    (b"\xff\xfe", 400, None),
    (b"[" * 100_000, 422, ""),
    (GOOD.replace(b'"1"', b'"' + b"[" * 50_000 + b'"'), 422, "/external_id"),
    (b'{"account_id":' + b"[" * 100_000, 422, "/account_id"),
    (b'{"x":' + b"[" * 100_000, 422, "/x"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":0'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":-5'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":9223372036854775808'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":1e400'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":1.234'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":"5"'), 422, "/amount/amount_minor"),
    (GOOD.replace(b'"amount_minor":5', b'"amount_minor":true'), 422, "/amount/amount_minor"),
    (GOOD.replace(b"EUR", b"ZZZ"), 422, "/amount/currency"),
    (GOOD.replace(b"EUR", b"eur"), 422, "/amount/currency"),
    (GOOD.replace(b"EUR", b"XAU"), 422, "/amount/currency"),
    (GOOD.replace(b"2026-11-24", b"0000-01-01"), 422, "/booking_date"),
    (GOOD.replace(b"2026-11-24", b"0001-01-01"), 422, "/booking_date"),
    (GOOD.replace(b"2026-11-24", b"2026-02-30"), 422, "/booking_date"),
    (GOOD.replace(b"2026-11-24", b"24.11.2026"), 422, "/booking_date"),
    (GOOD.replace(b"CRDT", b"credit"), 422, "/credit_debit"),
    (GOOD[:-1] + b',"more":1}', 422, "/more"),
    (GOOD[:-1] + b',"tags":["a","a"]}', 422, "/tags"),
    (GOOD[:-1] + b',"tags":["a"," b"]}', 422, "/tags/1"),
    (GOOD[:-1] + b',"tags":[1]}', 422, "/tags/0"),
    (GOOD[:-1] + b',"counterparty":"a\\u0000b"}', 422, "/counterparty"),
    (GOOD[:-1] + b',"counterparty":"\\ud800"}', 400, None),
    (GOOD[:-1] + b',"counterparty":"\xff"}', 400, None),
    (GOOD[:-1] + b',"remittance":"' + b"x" * 1_001 + b'"}', 422, "/remittance"),
    (GOOD[:-1] + b',"occurred_at":"2026-11-24T10:00:00"}', 422, "/occurred_at"),
    (GOOD[:-1] + b',"expires_at":"2026-11-24T10:00:00Z"}', 422, "/expires_at"),
]


@pytest.mark.parametrize(("broken", "status", "pointer"), BROKEN, ids=[str(n) for n in range(len(BROKEN))])
def test_what_is_wrong_with_a_line_is_named(broken: bytes, status: int, pointer: str | None) -> None:
    problem = decode_line(broken)
    assert isinstance(problem, Problem)
    assert (problem.status, [e.pointer for e in problem.errors]) == (status, [] if pointer is None else [pointer])


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_line_does_more_than_be_refused(garbage: bytes) -> None:
    assert isinstance(decode_line(garbage), Problem)


def test_too_much_and_nothing() -> None:
    too_large, too_many = b" " * (BODY_BYTES_MAX + 1), b"{}\n" * (LINES_MAX + 1)
    for body, status in ((b"", 422), (b"\n", 422), (too_large, 413), (too_many, 413)):
        with pytest.raises(Problem) as refused:
            decode_lines(body)
        assert refused.value.status == status
    assert len(decode_lines(GOOD + b"\n" + GOOD)) == len(decode_lines(GOOD + b"\r\n" + GOOD + b"\n")) == 2
    assert all(isinstance(decoded, NewEntry) for decoded in decode_lines(GOOD + b"\r\n" + GOOD))


def test_one_answer_a_line_in_their_order(bench: Bench) -> None:
    account, others, dollars = bench.open(), bench.open("bob"), bench.open(currency="USD")
    answers = bench.batch(
        line(account, 100, "1"),
        b"{broken",
        line(account, -30, "2", status="PDNG"),
        line(others, 5, "3"),
        line("nothing", 5, "4"),
        line(dollars, 5, "5"),
        line(account, 100, "1"),
        line(account, 101, "1"),
        line(account, -200, "6"),
        line(dollars, 5, "1", currency="USD"),
        line(account, 7, "7", category_id="none"),
        {**line(account, 7, "8"), "external_id": None},
        {**line(account, 7, "9"), "account_id": ""},
    )
    told = [a.result if isinstance(a, Recorded) else (a.status, a.slug) for a in answers]
    assert told == [
        "created",
        (400, "malformed-line"),
        "created",
        (404, "not-found"),
        (404, "not-found"),
        (422, "invalid-field"),
        "duplicate",
        (409, "external-id-taken"),
        "created",
        "created",
        (422, "unknown-category"),
        (422, "invalid-field"),
        (422, "invalid-field"),
    ]
    first, repeated = answers[0], answers[6]
    assert isinstance(first, Recorded)
    assert isinstance(repeated, Recorded)
    assert first.entry_id == repeated.entry_id
    assert bench.balance(account).booked_minor == -100
    assert bench.balance(account).pending_debits_minor == 30
    bench.settle()
    assert len(bench.published()) == 4
    assert bench.faults() == []


def test_sent_again_nothing_is_new(bench: Bench) -> None:
    account = bench.open()
    lines = [line(account, n, str(n), counterparty="Shop") for n in range(1, 20)]
    first = bench.batch(*lines)
    again = bench.batch(*lines)
    assert [a.result for a in again if isinstance(a, Recorded)] == ["duplicate"] * 19
    assert [a.entry_id for a in again if isinstance(a, Recorded)] == [
        a.entry_id for a in first if isinstance(a, Recorded)
    ]
    assert bench.balance(account).last_seq == 19


def test_a_single_entry_may_have_a_name_too(bench: Bench) -> None:
    account = bench.open()
    entry = bench.post(account, 5, external_id="x")
    assert bench.post(account, 5, external_id="x") == entry
    with pytest.raises(Problem) as refused:
        bench.post(account, 6, external_id="x")
    assert refused.value.slug == "external-id-taken"
    [answer] = bench.batch(line(account, 5, "x"))
    assert answer == Recorded("duplicate", entry.id)
    assert bench.balance(account).booked_minor == 5
