"""Use cases of people: signing up, addresses and passwords, profile and preferences. None commits.

Nobody learns here who has an account: asked about a known address and about an unknown one, the answers are the same.
"""

from sqlalchemy import Connection

from streambank.bank.events import Digest, MailKind
from streambank.bank.events.personal import new_personal_key
from streambank.bank.users import repository
from streambank.bank.users.authentication import Authenticator, Proven
from streambank.bank.users.context import Client, Context, Purpose, SecurityKind
from streambank.bank.users.events import key_record, mail_record, profile_record
from streambank.bank.users.passwords import PasswordError, check_password
from streambank.bank.users.people import Person, add_person, change_person, person_by_email, person_by_id
from streambank.bank.users.schemas import (
    ByEmail,
    EmailChange,
    MailedToken,
    NewPassword,
    PasswordChange,
    Preferences,
    ProfileChange,
    SignUp,
)
from streambank.bank.users.tokens import RESET_MS, VERIFICATION_MS, Prefix, is_token, token_hash
from streambank.bank.users.views import preferences_view, profile_view
from streambank.service.http.answers import Answer, accepted, check_version, no_content, ok
from streambank.service.http.caller import Caller
from streambank.service.http.problems import Problem, unprocessable

_VERIFYING = (Purpose.VERIFY, Purpose.CHANGE)


class Accounts:
    """What people do with their accounts."""

    def __init__(self, context: Context, authenticator: Authenticator) -> None:
        self._context = context
        self._authenticator = authenticator

    def hash_of_new(self, body: SignUp) -> str:
        """The hash of a new password; blocks as long as that takes. Raises Problem 422 where it is easily guessed."""
        _check_password(body.password, "/password", body.email, body.name)
        return self._context.passwords.hash(body.password)

    def sign_up(self, connection: Connection, body: SignUp, password_hash: str, client: Client) -> Answer:
        """202, and a mail: to a new address one that verifies it, to a known one that it has an account already."""
        now = self._context.clock()
        person = Person(
            user_id=self._context.new_id(),
            email=body.email,
            email_verified_at=None,
            name=body.name,
            locale=body.locale,
            timezone=body.timezone,
            password_hash=password_hash,
            password_changed_at=now,
            personal_key=new_personal_key(self._context.random_bytes),
            created_at=now,
            updated_at=now,
        )
        may_mail = self._context.may_mail(connection, body.email)
        known = person_by_email(connection, body.email)
        if known is None and not add_person(connection, person):
            known = person_by_email(connection, body.email)
        if known is not None:
            if may_mail:
                self._tell(connection, known, MailKind.ALREADY_REGISTERED)
            return accepted()
        first = [
            key_record(person, self._context.new_id(), now),
            profile_record(person, self._context.new_id(), now),
        ]
        self._context.publish(connection, first)
        self._context.record(connection, person.user_id, SecurityKind.SIGNED_UP, client.address)
        if may_mail:
            self._ask_to_verify(connection, person)
        return accepted()

    def mail_verification(self, connection: Connection, body: ByEmail) -> Answer:
        """202. Where an account waits for its address to be verified, the mail is sent again."""
        may_mail = self._context.may_mail(connection, body.email)
        person = person_by_email(connection, body.email)
        if may_mail and person is not None and not person.is_verified:
            self._ask_to_verify(connection, person)
        return accepted()

    def verify(self, connection: Connection, body: MailedToken, client: Client) -> Answer:
        """204: the address that the token was mailed to is the account's, and is verified.

        Raises:
            Problem: 422, the token was used, is too old, or was never any.
        """
        taken = repository.take_mail_token(connection, _mailed(body.token), _VERIFYING, self._context.clock())
        person = person_by_id(connection, taken.user_id) if taken is not None else None
        if taken is None or person is None:
            raise _bad_token()
        if taken.purpose == Purpose.CHANGE:
            self._move(connection, person, taken.email, client)
        elif taken.email == person.email:
            self._set_verified(connection, person, client)
        else:
            raise _bad_token()
        return no_content()

    def ask_for_reset(self, connection: Connection, body: ByEmail) -> Answer:
        """202. Where there is an account, a mail that lets its reader choose a new password."""
        may_mail = self._context.may_mail(connection, body.email)
        person = person_by_email(connection, body.email)
        if may_mail and person is not None:
            self._context.mail_token(connection, person, Purpose.RESET, MailKind.RESET_PASSWORD, person.email, RESET_MS)
        return accepted()

    def hash_for_reset(self, body: NewPassword) -> str:
        """The hash of the new password; blocks as long as that takes, and does not begin for a worthless token.

        Raises:
            Problem: 422, the token is not good or the password is easily guessed.
        """
        with self._context.database.read() as connection:
            good = repository.look_at_mail_token(
                connection, _mailed(body.token), (Purpose.RESET,), self._context.clock()
            )
            person = person_by_id(connection, good.user_id) if good is not None else None
        if person is None:
            raise _bad_token()
        _check_password(body.password, "/password", person.email, person.name)
        return self._context.passwords.hash(body.password)

    def reset(self, connection: Connection, body: NewPassword, password_hash: str, client: Client) -> Answer:
        """204: the password is the new one, and whoever was in is out: sessions, programs, API keys, mailed tokens.

        The mail was read, so the address is verified too.

        Raises:
            Problem: 422, the token was used, is too old, or was never any.
        """
        now = self._context.clock()
        taken = repository.take_mail_token(connection, _mailed(body.token), (Purpose.RESET,), now)
        person = person_by_id(connection, taken.user_id) if taken is not None else None
        if taken is None or person is None or taken.email != person.email:
            raise _bad_token()
        self._throw_out(connection, person)
        repository.delete_api_keys(connection, person.user_id)
        person = change_person(connection, person, now, password_hash=password_hash, password_changed_at=now)
        self._context.record(connection, person.user_id, SecurityKind.PASSWORD_RESET, client.address)
        if not person.is_verified:
            person = self._set_verified(connection, person, client)
        self._tell(connection, person, MailKind.PASSWORD_CHANGED)
        return no_content()

    def profile(self, connection: Connection, caller: Caller) -> Answer:
        """200: who the caller is."""
        person = self._context.person(connection, caller.user_id)
        return ok(profile_view(person), version=person.version)

    def change_profile(
        self, connection: Connection, caller: Caller, body: ProfileChange, expected_version: int | None
    ) -> Answer:
        """200: the profile as it is then."""
        person = self._context.person(connection, caller.user_id)
        check_version(person.version, expected_version)
        changes = {name: value for name, value in body.model_dump().items() if value is not None}
        if changes:
            person = self._change(connection, person, **changes)
        return ok(profile_view(person), version=person.version)

    def preferences(self, connection: Connection, caller: Caller) -> Answer:
        """200: how the caller wants to be notified."""
        person = self._context.person(connection, caller.user_id)
        return ok(preferences_view(person), version=person.version)

    def set_preferences(
        self, connection: Connection, caller: Caller, body: Preferences, expected_version: int | None
    ) -> Answer:
        """200: the preferences as they are then."""
        person = self._context.person(connection, caller.user_id)
        check_version(person.version, expected_version)
        quiet = body.quiet_hours
        person = self._change(
            connection,
            person,
            quiet_from_minute=quiet.from_minute if quiet is not None else None,
            quiet_to_minute=quiet.to_minute if quiet is not None else None,
            digest=Digest(body.digest).value,
        )
        return ok(preferences_view(person), version=person.version)

    def hash_for_change(self, caller: Caller, body: PasswordChange, client: Client) -> tuple[Proven, str]:
        """Check the old password and hash the new one; blocks as long as both take.

        Raises:
            Problem: 403, the old one is wrong; 422, the new one is easily guessed.
        """
        proven = self._authenticator.confirm(caller.user_id, body.password, client)
        _check_password(body.new_password, "/new_password", proven.person.email, proven.person.name)
        return proven, self._context.passwords.hash(body.new_password)

    def change_password(
        self,
        connection: Connection,
        caller: Caller,
        proven: Proven,
        password_hash: str,
        client: Client,
        expected_version: int | None,
    ) -> Answer:
        """204: all sessions but the caller's own end, and programs have to log in again; API keys stay."""
        now = self._context.clock()
        person = self._authenticator.still(connection, proven)
        check_version(person.version, expected_version)
        self._throw_out(connection, person, but=session_of(caller))
        person = change_person(connection, person, now, password_hash=password_hash, password_changed_at=now)
        self._context.record(connection, person.user_id, SecurityKind.PASSWORD_CHANGED, client.address)
        self._tell(connection, person, MailKind.PASSWORD_CHANGED)
        return no_content(version=person.version)

    def change_email(
        self, connection: Connection, proven: Proven, body: EmailChange, client: Client, expected_version: int | None
    ) -> Answer:
        """202: the address changes once the mail to the new one is answered. Where that is another's, they are told."""
        person = self._authenticator.still(connection, proven)
        check_version(person.version, expected_version)
        owner = person_by_email(connection, body.email)
        if self._context.may_mail(connection, body.email):
            if owner is None or owner.user_id == person.user_id:
                self._context.mail_token(
                    connection, person, Purpose.CHANGE, MailKind.VERIFY_EMAIL, body.email, VERIFICATION_MS
                )
            else:
                self._tell(connection, owner, MailKind.ALREADY_REGISTERED)
        self._context.record(connection, person.user_id, SecurityKind.EMAIL_CHANGE_ASKED, client.address, body.email)
        return accepted()

    def _ask_to_verify(self, connection: Connection, person: Person) -> None:
        self._context.mail_token(
            connection, person, Purpose.VERIFY, MailKind.VERIFY_EMAIL, person.email, VERIFICATION_MS
        )

    def _set_verified(self, connection: Connection, person: Person, client: Client) -> Person:
        person = self._change(connection, person, email_verified_at=self._context.clock())
        self._context.record(connection, person.user_id, SecurityKind.EMAIL_VERIFIED, client.address)
        return person

    def _move(self, connection: Connection, person: Person, email: str, client: Client) -> None:
        owner = person_by_email(connection, email)
        if owner is not None and owner.user_id != person.user_id:
            raise _bad_token()
        # What was mailed to the old address proves nothing any longer.
        repository.drop_mail_tokens(connection, person.user_id)
        moved = self._change(connection, person, email=email, email_verified_at=self._context.clock())
        self._context.record(connection, person.user_id, SecurityKind.EMAIL_CHANGED, client.address, person.email)
        if person.is_verified:
            self._tell(connection, moved, MailKind.EMAIL_CHANGED, email=person.email)

    def _change(self, connection: Connection, person: Person, **changes: object) -> Person:
        now = self._context.clock()
        changed = change_person(connection, person, now, **changes)
        self._context.publish(connection, [profile_record(changed, self._context.new_id(), now)])
        return changed

    def _throw_out(self, connection: Connection, person: Person, but: str | None = None) -> None:
        repository.end_all_sessions(connection, person.user_id, but=but)
        repository.drop_mail_tokens(connection, person.user_id)

    def _tell(self, connection: Connection, person: Person, kind: MailKind, email: str | None = None) -> None:
        mail = mail_record(person, kind, self._context.new_id(), self._context.clock(), email=email)
        self._context.publish(connection, [mail])


def session_of(caller: Caller) -> str | None:
    """The page session that an access token came from, if it did."""
    kind, _, session_id = caller.client_id.partition(":")
    return session_id if kind == "session" else None


def _check_password(password: str, pointer: str, email: str, name: str) -> None:
    try:
        check_password(password, email=email, name=name)
    except PasswordError as error:
        raise unprocessable(pointer, str(error), "weak-password") from None


def _mailed(token: str) -> bytes:
    if not is_token(token, Prefix.MAIL):
        raise _bad_token()
    return token_hash(token)


def _bad_token() -> Problem:
    return unprocessable("/token", "the link was used already, or is too old: ask for a new mail", "bad-token")
