import pytest
from msgspec.structs import replace
from tests.bank.topologies.samples import end, entry, hold

from streambank.bank.events import (
    ACCOUNT_BALANCE,
    BALANCE_CHANGED,
    USER_BALANCE,
    Balance,
    BalanceChanged,
    Currency,
    EntryStatus,
    Scope,
)
from streambank.bank.events.money import INT64_MAX
from streambank.bank.topologies import balances
from streambank.log import decode_headers, encode_headers
from streambank.streams.testing import TopologyTestDriver


def test_accounts_and_totals_follow_every_entry() -> None:
    with TopologyTestDriver(balances.build()) as driver:
        driver.pipe(BALANCE_CHANGED, "giro", entry(1, 1_000, account_id="giro"))
        driver.crash()
        driver.pipe(BALANCE_CHANGED, "giro", entry(2, -300, account_id="giro"))
        driver.pipe(BALANCE_CHANGED, "savings", entry(1, 50, account_id="savings"))
        driver.pipe(BALANCE_CHANGED, "czk", entry(1, 7, account_id="czk", currency=Currency("CZK")))

        found = {(b.scope_id, b.before_minor, b.after_minor, b.entry_count) for _, b, _ in driver.read(ACCOUNT_BALANCE)}
        assert found == {("giro", 0, 1_000, 1), ("giro", 1_000, 700, 2), ("savings", 0, 50, 1), ("czk", 0, 7, 1)}
        totals = [balance for _, balance, _ in driver.read(USER_BALANCE)]
        assert {(b.scope_id, b.before_minor, b.after_minor) for b in totals} == {
            ("anna:EUR", 0, 1_000),
            ("anna:EUR", 1_000, 700),
            ("anna:EUR", 700, 750),
            ("anna:CZK", 0, 7),
        }
        assert {b.scope for b in totals} == {Scope.TOTAL}


HELD = hold(2, 300)
EXPECTED = hold(2, -300)
CASES: dict[str, tuple[list[BalanceChanged], list[tuple[int, int, int, int, int]]]] = {
    # Each balance: before, after, available before, available after, entries.
    "a pending debit holds": ([HELD, entry(3, -200)], [(1000, 1000, 1000, 700, 1), (1000, 800, 700, 500, 2)]),
    "its end frees": ([HELD, end(HELD, 3)], [(1000, 1000, 1000, 700, 1), (1000, 1000, 700, 1000, 1)]),
    "booked, it was held until then": (
        [HELD, end(HELD, 3), replace(entry(4, -250), held_minor=300)],
        [(1000, 1000, 1000, 700, 1), (1000, 1000, 700, 1000, 1), (1000, 750, 700, 750, 2)],
    ),
    "of two holds one is booked": (
        [HELD, hold(3, 100), end(HELD, 4), replace(entry(5, -300), held_minor=300)],
        [
            (1000, 1000, 1000, 700, 1),
            (1000, 1000, 700, 600, 1),
            (1000, 1000, 600, 900, 1),
            (1000, 700, 600, 600, 2),
        ],
    ),
    "a pending credit never counts": ([EXPECTED, entry(3, -200)], [(1000, 800, 1000, 800, 2)]),
    "nor does its end": ([EXPECTED, end(EXPECTED, 3), entry(4, 300)], [(1000, 1300, 1000, 1300, 2)]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_pending_entries_change(name: str) -> None:
    changes, expected = CASES[name]
    with TopologyTestDriver(balances.build()) as driver:
        for change in (entry(1, 1_000), *changes):
            driver.pipe(BALANCE_CHANGED, "account", change)
            driver.crash()
        for topic in (ACCOUNT_BALANCE, USER_BALANCE):
            assert [figures(b) for _, b, _ in driver.read(topic)] == [(0, 1000, 0, 1000, 1), *expected]


def figures(b: Balance) -> tuple[int, int, int, int, int]:
    before, after = b.available_before_minor, b.available_after_minor
    assert before != b.before_minor
    assert after != b.after_minor
    return (
        b.before_minor,
        b.after_minor,
        b.before_minor if before is None else before,
        b.after_minor if after is None else after,
        b.entry_count,
    )


def test_an_account_may_begin_with_a_hold() -> None:
    with TopologyTestDriver(balances.build()) as driver:
        driver.pipe(BALANCE_CHANGED, "account", hold(1, 40))
        ((_, balance, _),) = driver.read(ACCOUNT_BALANCE)
        assert figures(balance) == (0, 0, 0, -40, 0)
        assert balance.entry.status is EntryStatus.PENDING


def test_a_balance_carries_cloudevents_headers_of_its_own() -> None:
    with TopologyTestDriver(balances.build()) as driver:
        driver.pipe(BALANCE_CHANGED, "giro", entry(1, 5, account_id="giro"), headers=(("ce_id", b"incoming"),))
        (record,) = driver.read_records(ACCOUNT_BALANCE.name)
        headers = dict(record.headers)
        assert (headers["ce_type"], headers["ce_id"]) == (b"bank.account.balance.v1", b"giro/1")
        assert decode_headers(encode_headers(record.headers)) == record.headers


def test_a_balance_beyond_64_bits_is_a_dead_letter_and_the_rest_goes_on() -> None:
    with TopologyTestDriver(balances.build(), on_error="dead-letter") as driver:
        driver.write(BALANCE_CHANGED, "giro", entry(1, INT64_MAX, account_id="giro"))
        driver.write(BALANCE_CHANGED, "giro", entry(2, 1, account_id="giro"))
        driver.write(BALANCE_CHANGED, "giro", entry(3, -1, account_id="giro"))
        driver.run()
        assert [b.after_minor for _, b, _ in driver.read(ACCOUNT_BALANCE)] == [INT64_MAX, INT64_MAX - 1]
        (dead,) = driver.dead_letters
        assert BALANCE_CHANGED.value.deserialize(dead.value or b"").entry_id == "giro/2"
        assert b"64 bits" in (dict(dead.headers)["__streams.errors.message"] or b"")
