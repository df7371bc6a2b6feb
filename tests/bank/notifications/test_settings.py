from typing import Any

import pytest

from streambank.bank.notifications.settings import NotificationsSettings, SettingsError


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sender": "nobody"}, "sender"),
        ({"port": 0}, "port"),
        ({"port": 70_000}, "port"),
        ({"tls": "ssl"}, "tls"),
        ({"user": "me"}, "user and password"),
        ({"password": "x"}, "user and password"),
        ({"host": "mail.example.org", "user": "me", "password": "x"}, "in the clear"),
        ({"settings_url": "javascript:alert(1)"}, "settings_url"),
        ({"settings_url": "https://x.org/\r\nBcc: y"}, "settings_url"),
        ({"public_url": "bank.example"}, "public_url"),
        ({"public_url": "javascript:alert(1)"}, "public_url"),
        ({"public_url": "https://x.org/#a"}, "public_url"),
        ({"public_url": "https://x.org/?a=b"}, "public_url"),
        ({"public_url": "https://x.org/\r\nBcc: y"}, "public_url"),
        ({"unsubscribe_url": "http://x.org/u"}, "unsubscribe_url"),
        ({"unsubscribe_url": "https://x.org/u?list=1"}, "unsubscribe_url"),
        ({"link_key": b"short"}, "link_key"),
        ({"emails_per_hour_max": 0}, "emails_per_hour_max"),
        ({"reply_timeout_s": 0}, "time-outs"),
    ],
)
def test_a_setting_that_cannot_work_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        NotificationsSettings(**{"sender": "a@x.org", **changes})


def test_secrets_are_not_shown() -> None:
    settings = NotificationsSettings(
        sender="a@x.org",
        user="me",
        password="hush-hush",
        unsubscribe_url="https://x.org/u",
        link_key=b"secret-secret-secret",
    )
    assert "hush" not in repr(settings)
    assert "secret" not in repr(settings)
