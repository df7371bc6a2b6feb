"""Keys of access tokens: found once published, and no longer once taken back."""

from streambank.bank.access import FORGET_MS, LOOK_AGAIN_MS, LogKeys
from streambank.bank.events import AUTH_KEY, SigningKey
from streambank.clock import to_datetime
from streambank.log.embedded import EmbeddedLog


def publish(log: EmbeddedLog, kid: str, *, gone: bool = False) -> None:
    moment = to_datetime(0)
    key = SigningKey(event_id="e", kid=kid, jwk={"kid": kid}, occurred_at=moment, recorded_at=moment)
    with log.producer().transaction() as transaction:
        if gone:
            transaction.append(AUTH_KEY.name, None, timestamp=0, key=kid.encode())
        else:
            AUTH_KEY.write(transaction, kid, key, 0)


def test_a_key_is_found_once_it_is_published() -> None:
    now_ms = 0
    with EmbeddedLog.open(None) as log:
        keys = LogKeys(log, lambda: now_ms)
        assert keys.find("one") is None
        log.create_topics([AUTH_KEY.config])
        publish(log, "one")
        now_ms += LOOK_AGAIN_MS - 1
        assert keys.find("one") is None
        now_ms += 1
        assert keys.find("one") == {"kid": "one"}
        assert keys.find("two") is None


def test_a_key_that_was_taken_back_is_forgotten() -> None:
    now_ms = 0
    with EmbeddedLog.open(None) as log:
        log.create_topics([AUTH_KEY.config])
        publish(log, "one")
        keys = LogKeys(log, lambda: now_ms)
        assert keys.find("one") is not None
        publish(log, "one", gone=True)
        now_ms += FORGET_MS
        assert keys.find("one") is None
