import msgspec
from tests.bank.topologies.samples import entry

from streambank.bank.events import ACCOUNT_BALANCE, BALANCE_CHANGED, USER_BALANCE, Currency, EntryStatus, Scope
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


def test_pending_entries_do_not_count() -> None:
    pending = msgspec.structs.replace(entry(2, -300), status=EntryStatus.PENDING)
    with TopologyTestDriver(balances.build()) as driver:
        for change in (entry(1, 1_000), pending, entry(3, -200)):
            driver.pipe(BALANCE_CHANGED, "account", change)
        for topic in (ACCOUNT_BALANCE, USER_BALANCE):
            assert [(b.after_minor, b.entry_count) for _, b, _ in driver.read(topic)] == [(1_000, 1), (800, 2)]


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
