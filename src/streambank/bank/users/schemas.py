"""What is asked of the users service and what it answers. Secrets never appear in a repr."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from streambank.bank.addresses import ADDRESS_BYTES_MAX
from streambank.bank.events import Digest
from streambank.bank.users.addresses import parse_address
from streambank.bank.users.passwords import PASSWORD_CHARS_MAX
from streambank.bank.users.profiles import LOCALE_PATTERN, NAME_CHARS_MAX, parse_locale, parse_name, parse_timezone
from streambank.errors import StreambankError
from streambank.service.http.moments import Moment

CLICKS_MAX = 100
"""Clicks in one request: what a page gathers in some seconds."""


def _checked(parse: Callable[[str], str]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            return parse(text)
        except StreambankError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(check)


def _described(chars_max: int, **schema: str) -> FieldInfo:
    # What is in the schema for clients is checked by the parser, whose words say more than a pattern's.
    return Field(max_length=chars_max, json_schema_extra={"minLength": 1, **schema})  # type: ignore[no-any-return]


Email: TypeAlias = Annotated[str, _described(ADDRESS_BYTES_MAX, format="email"), _checked(parse_address)]
Name: TypeAlias = Annotated[str, _described(NAME_CHARS_MAX), _checked(parse_name)]
LocaleName: TypeAlias = Annotated[str, _described(35, pattern=f"^{LOCALE_PATTERN}$"), _checked(parse_locale)]
TimezoneName: TypeAlias = Annotated[str, _described(64), _checked(parse_timezone)]
Secret: TypeAlias = Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_MAX, repr=False)]
"""A password or a token, of whatever quality: the service judges new passwords."""

Label: TypeAlias = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignUp(_Request):
    """Somebody new."""

    email: Email
    password: Secret
    name: Name
    locale: LocaleName = "en"
    timezone: TimezoneName = "UTC"


class MailedToken(_Request):
    """What was in a mail."""

    token: Secret


class ByEmail(_Request):
    """Whoever has that address, if anybody."""

    email: Email


class NewPassword(_Request):
    """A password in place of one that was forgotten."""

    token: Secret
    password: Secret


class ProfileChange(_Request):
    """What to change; what is left out stays."""

    name: Name | None = None
    locale: LocaleName | None = None
    timezone: TimezoneName | None = None


class PasswordChange(_Request):
    """The password of now, and the one to be."""

    password: Secret
    new_password: Secret


class EmailChange(_Request):
    """The address to be, once a mail to it was answered."""

    email: Email
    password: Secret


class Erasure(_Request):
    """The password once more, since what follows cannot be undone."""

    password: Secret


class QuietHoursView(_Request):
    """When not to disturb: minutes after midnight in the user's time zone; may pass midnight."""

    from_minute: Annotated[int, Field(ge=0, lt=1440)]
    to_minute: Annotated[int, Field(ge=0, lt=1440)]

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.from_minute == self.to_minute:
            raise ValueError("from_minute and to_minute are equal: leave quiet_hours out to have none")
        return self


class Preferences(_Request):
    """How somebody wants to be notified."""

    quiet_hours: QuietHoursView | None = None
    digest: Digest = Digest.NONE


class LogIn(_Request):
    """An address and a password; any address, so that a malformed one is refused as an unknown one is."""

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Secret


class NewApiKey(_Request):
    """A key for a program of one's own. ``scope`` as in OAuth: names with blanks between them."""

    name: Label
    scope: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[a-z:]+( [a-z:]+)*$")]
    expires_at: Moment


class ClickIn(_Request):
    """A click. ``occurred_at`` is when; now, if it is left out."""

    page: Label
    element: Label
    occurred_at: Moment | None = None


class Clicks(_Request):
    """Some clicks."""

    clicks: Annotated[list[ClickIn], Field(min_length=1, max_length=CLICKS_MAX)]


class Profile(BaseModel):
    """Who somebody is."""

    user_id: str
    email: str
    email_verified: bool
    name: str
    locale: str
    timezone: str
    created_at: datetime
    updated_at: datetime


class SessionView(BaseModel):
    """A page on which somebody is logged in."""

    session_id: str
    address: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class LoggedIn(BaseModel):
    """A session, and an access token to begin with."""

    session: SessionView
    access_token: Annotated[str, Field(repr=False)]
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int
    scope: str


class TokenAnswer(BaseModel):
    """What OAuth answers (RFC 6749 section 5.1)."""

    access_token: Annotated[str, Field(repr=False)]
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int
    scope: str
    refresh_token: Annotated[str | None, Field(repr=False, exclude_if=lambda token: token is None)] = None


class OAuthError(BaseModel):
    """What OAuth answers when it refuses (RFC 6749 section 5.2)."""

    error: str
    error_description: str


class ApiKeyView(BaseModel):
    """A key, without its secret."""

    key_id: str
    name: str
    scope: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class ApiKeyMade(ApiKeyView):
    """A new key. ``secret`` is shown this once; with ``key_id`` it gets access tokens at ``/v1/oauth/token``."""

    secret: Annotated[str, Field(repr=False)]


class SecurityEventView(BaseModel):
    """Something that happened to somebody's credentials."""

    event_id: str
    kind: str
    occurred_at: datetime
    address: str | None
    detail: str | None


class Export(BaseModel):
    """All that the users service knows of somebody. Each other service has an export of its own."""

    exported_at: datetime
    profile: Profile
    preferences: Preferences
    password_changed_at: datetime
    sessions: list[SessionView]
    programs: list["ProgramView"]
    api_keys: list[ApiKeyView]
    security_history: list[SecurityEventView]


class ProgramView(BaseModel):
    """A program that somebody logged in with."""

    client_id: str
    scope: str
    created_at: datetime
    expires_at: datetime


class PublicKeys(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]
