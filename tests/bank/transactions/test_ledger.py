from tests.bank.transactions.support import Bench


def test_smoke(bench: Bench) -> None:
    a = bench.open()
    bench.post(a, 100, counterparty="X", remittance="hello")
    bench.settle()
    assert bench.balance(a).booked_minor == 100
    assert bench.faults() == []
    print(bench.published())
