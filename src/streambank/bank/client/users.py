"""The users service: people, and what lets them in."""

from collections.abc import Iterator

import httpx

from streambank.bank.client.connection import Call
from streambank.bank.client.part import Part, pages, parse, path_of
from streambank.bank.client.versioned import Versioned
from streambank.bank.users.schemas import (
    ApiKeyMade,
    ApiKeyView,
    ByEmail,
    Clicks,
    EmailChange,
    Erasure,
    Export,
    MailedToken,
    NewApiKey,
    NewPassword,
    PasswordChange,
    Preferences,
    Profile,
    ProfileChange,
    PublicKeys,
    SessionView,
    SignUp,
)
from streambank.service.http.page import Page


class Users(Part):
    """People: sign-up, profile, credentials, sessions, API keys, export and erasure."""

    service = "users"

    def sign_up(self, body: SignUp) -> None:
        """Sign up; a mail follows, with the token for :meth:`verify`. The answer is the same for a known address."""
        self._send("POST", "/v1/users", body=body, logged_in=False)

    def verify(self, token: str) -> None:
        """Prove by the token in a mail that its address is yours."""
        self._send("POST", "/v1/users/verify", body=MailedToken(token=token), logged_in=False)

    def send_verification_mail(self, email: str) -> None:
        """Have the mail sent again by which an address is verified."""
        self._send("POST", "/v1/users/verification-mails", body=ByEmail(email=email), logged_in=False)

    def ask_for_password_reset(self, email: str) -> None:
        """Have a mail sent by which a forgotten password is replaced."""
        self._send("POST", "/v1/password-resets", body=ByEmail(email=email), logged_in=False)

    def reset_password(self, token: str, password: str) -> None:
        """Replace a forgotten password. All sessions, programs and API keys are out."""
        body = NewPassword(token=token, password=password)
        self._send("POST", "/v1/password-resets/confirm", body=body, logged_in=False)

    def profile(self) -> Versioned[Profile]:
        """Who you are."""
        return self._get_versioned(Profile, "/v1/users/me")

    def change_profile(self, profile: Versioned[Profile], body: ProfileChange) -> Versioned[Profile]:
        """Change name, locale or time zone."""
        return self._change(Profile, "PATCH", "/v1/users/me", profile, body)

    def preferences(self) -> Versioned[Preferences]:
        """How you want to be notified. Its version is that of the profile."""
        return self._get_versioned(Preferences, "/v1/users/me/preferences")

    def set_preferences(self, preferences: Versioned[Preferences], body: Preferences) -> Versioned[Preferences]:
        """Say how you want to be notified."""
        return self._change(Preferences, "PUT", "/v1/users/me/preferences", preferences, body)

    def change_password(self, profile: Versioned[Profile], body: PasswordChange) -> None:
        """Change the password. Sessions end, and programs have to log in again: this client's refresh token, too."""
        self._send("PUT", "/v1/users/me/password", body=body, version=profile.version)

    def change_email(self, profile: Versioned[Profile], body: EmailChange) -> None:
        """Change the address, once the mail to the new one is answered."""
        self._send("PUT", "/v1/users/me/email", body=body, version=profile.version)

    def erase(self, profile: Versioned[Profile], password: str) -> None:
        """Be forgotten. It cannot be undone."""
        self._send("DELETE", "/v1/users/me", body=Erasure(password=password), version=profile.version)

    def export(self) -> Export:
        """All that the users service knows of you."""
        return self._get(Export, "/v1/users/me/export")

    def report_clicks(self, body: Clicks) -> None:
        """Report what you did on a page."""
        self._send("POST", "/v1/clicks", body=body)

    def sessions(self, *, page_items: int | None = None) -> Iterator[SessionView]:
        """The pages on which you are logged in, newest first."""
        return pages(
            lambda cursor, limit: self._get(Page[SessionView], "/v1/sessions", {"cursor": cursor, "limit": limit}),
            page_items,
        )

    def end_session(self, session_id: str) -> None:
        """Log out elsewhere."""
        self._send("DELETE", path_of("sessions", session_id))

    def make_api_key(self, body: NewApiKey, *, key: str | None = None) -> ApiKeyMade:
        """Make a key for a program of yours. Its secret is in this answer only."""
        return self._post(ApiKeyMade, "/v1/api-keys", body, key)

    def api_keys(self, *, page_items: int | None = None) -> Iterator[ApiKeyView]:
        """Your API keys, newest first."""
        return pages(
            lambda cursor, limit: self._get(Page[ApiKeyView], "/v1/api-keys", {"cursor": cursor, "limit": limit}),
            page_items,
        )

    def revoke_api_key(self, key_id: str) -> None:
        """Revoke a key."""
        self._send("DELETE", path_of("api-keys", key_id))

    def revoke_token(self, token: str) -> None:
        """Take a refresh token, or an API key by its secret, back. That it is none is no error."""
        call = Call(
            service=self.service,
            method="POST",
            path="/v1/oauth/revoke",
            body=str(httpx.QueryParams({"token": token})).encode(),
            media_type="application/x-www-form-urlencoded",
            logged_in=False,
            harmless=True,
        )
        self._connection.send(call)

    def public_keys(self) -> PublicKeys:
        """The keys that access tokens are checked with."""
        return parse(PublicKeys, self._send("GET", "/.well-known/jwks.json", logged_in=False))
