"""How long an attempt has to wait."""

from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.users.throttle import (
    ACCOUNT_LOG_INS,
    ADDRESS_LOG_INS,
    MAILS,
    Attempts,
    ThrottlePolicy,
    counted,
    network,
    subject,
    wait_ms,
)

POLICY = ThrottlePolicy("test", free_attempts=3, first_wait_ms=1_000, most_wait_ms=8_000, forget_ms=60_000)


def test_the_wait_doubles_up_to_its_bound_and_is_forgotten() -> None:
    attempts, waits = None, []
    now = 0
    for _ in range(9):
        wait = wait_ms(POLICY, attempts, now)
        waits.append(wait)
        now += wait
        attempts = counted(POLICY, attempts, now)
    #        free attempts  then doubling              bound
    assert waits == [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
    assert wait_ms(POLICY, attempts, now + 5_000) == 3_000
    assert wait_ms(POLICY, attempts, now + 8_000) == 0
    assert counted(POLICY, attempts, now + 60_000) == Attempts(1, now + 60_000)


@given(
    policy=st.sampled_from([ACCOUNT_LOG_INS, ADDRESS_LOG_INS, MAILS]),
    gaps=st.lists(st.integers(0, 100_000_000), max_size=80),
    impatience=st.floats(0, 1),
)
def test_however_attempts_are_spread_no_wait_is_beyond_its_bound(
    policy: ThrottlePolicy, gaps: list[int], impatience: float
) -> None:
    attempts, now = None, 0
    for gap in gaps:
        now += gap
        wait = wait_ms(policy, attempts, now)
        assert 0 <= wait <= policy.most_wait_ms
        assert wait == 0 or wait_ms(policy, attempts, now + int(wait * impatience)) == wait - int(wait * impatience)
        if wait == 0:
            attempts = counted(policy, attempts, now)


def test_a_guesser_gets_about_a_hundred_attempts_a_day() -> None:
    attempts, now, made = None, 0, 0
    while now < 86_400_000:
        attempts, made = counted(ACCOUNT_LOG_INS, attempts, now), made + 1
        now += wait_ms(ACCOUNT_LOG_INS, attempts, now)
    assert 50 < made < 120


def test_a_mailbox_gets_some_thirty_mails_a_day_and_its_owner_waits_an_hour_at_most() -> None:
    attempts, now, made = None, 0, 0
    while now < 86_400_000:
        attempts, made = counted(MAILS, attempts, now), made + 1
        wait = wait_ms(MAILS, attempts, now)
        assert wait <= 3_600_000
        now += wait
    assert 25 < made < 40


def test_a_subject_tells_nothing_and_differs_between_policies() -> None:
    assert b"ada" not in subject(MAILS, "ada@example.org")
    assert subject(MAILS, "ada@example.org") != subject(ACCOUNT_LOG_INS, "ada@example.org")


def test_one_machine_has_a_whole_network_of_ipv6() -> None:
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") != network("2001:db8:1:3::1")
    assert network("::ffff:203.0.113.7") == network("203.0.113.7") == "203.0.113.7"
    assert network("unknown") == "unknown"
