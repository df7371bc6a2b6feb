"""Signing up, addresses, passwords, profile and preferences: what is answered, mailed, stored and published."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.bank.users.support import (
    ADA,
    BOB,
    ELSEWHERE,
    HERE,
    NEW_PASSWORD,
    PASSWORD,
    START_MS,
    World,
    raw_log_text,
    refusal,
)

from streambank.bank.events import USER_KEY, Digest, MailKind, QuietHours
from streambank.bank.events.personal import unseal
from streambank.bank.users import repository
from streambank.bank.users.context import Purpose
from streambank.bank.users.oauth import OAuthRefusedError
from streambank.bank.users.people import add_person, change_person
from streambank.bank.users.schemas import (
    ByEmail,
    EmailChange,
    NewPassword,
    PasswordChange,
    Preferences,
    Profile,
    ProfileChange,
    QuietHoursView,
    SignUp,
)
from streambank.bank.users.tokens import RESET_MS, VERIFICATION_MS, Prefix, new_token, token_hash
from streambank.clock import to_datetime
from streambank.service.http.answers import Answer


def profile_of(answer: Answer) -> Profile:
    assert isinstance(answer.body, Profile)
    return answer.body


# Signing up.


def test_signing_up_publishes_a_key_and_a_sealed_profile_and_mails_a_token(world: World) -> None:
    assert world.sign_up(locale="de-AT", timezone="Europe/Vienna").status == 202
    [mail] = world.mails()
    assert (mail.kind, mail.email, mail.name) == (MailKind.VERIFY_EMAIL, ADA, "Ada Lovelace")
    ada = world.person()
    published = world.profile(ada.user_id)
    key = world.latest(USER_KEY)[ada.user_id]
    assert key is not None
    assert unseal(key.key, ada.user_id, published.email) == ADA
    assert unseal(key.key, ada.user_id, published.name) == "Ada Lovelace"
    assert (published.locale, published.timezone, published.email_verified) == ("de-AT", "Europe/Vienna", False)
    assert not ada.is_verified


def test_nothing_personal_leaves_unsealed(world: World) -> None:
    world.new_user()
    mail_token = "sbm_"
    text = raw_log_text(world)
    for personal in (ADA, "Lovelace", mail_token, world.person().password_hash):
        assert personal.encode() not in text


def test_the_token_of_the_mail_verifies_the_address_once(world: World) -> None:
    world.sign_up()
    token = world.mails()[0].token or ""
    assert world.verify(token).status == 204
    assert world.person().is_verified
    assert world.profile(world.person().user_id).email_verified
    assert refusal(lambda: world.verify(token)).slug == "bad-token"


@pytest.mark.parametrize("token", ["", "x", "sbm_" + "a" * 43, "sbs_" + "a" * 43])
def test_what_was_never_mailed_verifies_nothing(world: World, token: str) -> None:
    world.sign_up()
    assert refusal(lambda: world.verify(token) if token else world.verify("-")).status == 422


def test_a_token_runs_out(world: World) -> None:
    world.sign_up()
    token = world.mails()[0].token or ""
    world.pass_ms(VERIFICATION_MS)
    assert refusal(lambda: world.verify(token)).slug == "bad-token"
    assert not world.person().is_verified


def test_a_mail_that_is_sent_again_makes_the_first_worthless(world: World) -> None:
    world.sign_up()
    again = ByEmail(email=ADA)
    assert world.do(lambda c: world.service.accounts.mail_verification(c, again)).status == 202
    first, second = world.mails()
    assert refusal(lambda: world.verify(first.token or "")).slug == "bad-token"
    assert world.verify(second.token or "").status == 204
    world.do(lambda c: world.service.accounts.mail_verification(c, again))
    assert world.mails() == []


def test_signing_up_with_a_known_address_answers_alike_and_tells_its_owner(world: World) -> None:
    ada = world.new_user()
    first = world.sign_up(BOB)
    world.mails()
    second = world.sign_up("ADA@example.org", name="Eve", password="another fine password")
    assert first == second
    [mail] = world.mails()
    assert (mail.kind, mail.email, mail.name, mail.token) == (
        MailKind.ALREADY_REGISTERED,
        ADA,
        "Ada Lovelace",
        None,
    )
    assert world.person() == ada


def test_two_who_sign_up_with_one_address_at_once_make_one_account(world: World) -> None:
    ada = world.new_user()
    assert world.do(lambda c: add_person(c, ada)) is False
    assert world.person() == ada


def test_nobody_is_mailed_without_end(world: World) -> None:
    for _ in range(10):
        world.sign_up()
        world.ask_for_reset()
    assert len(world.mails()) == 3
    world.pass_ms(60_000)
    assert world.ask_for_reset().status == 202
    assert len(world.mails()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("name", "a\x00b"),
        ("name", ""),
        ("locale", "klingon"),
        ("timezone", "Mars/Olympus"),
        ("password", "x" * 257),
        ("admin", True),
    ],
)
def test_a_sign_up_that_cannot_be_is_refused_where_it_is_read(field: str, value: Any) -> None:
    whole = {"email": ADA, "password": PASSWORD, "name": "Ada", "locale": "en", "timezone": "UTC", field: value}
    with pytest.raises(ValidationError) as refused:
        SignUp(**whole)
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


def test_a_weak_password_is_refused_before_it_is_hashed(world: World) -> None:
    problem = refusal(lambda: world.sign_up(password="password1234"))
    assert (problem.status, problem.slug, problem.errors[0].pointer) == (422, "weak-password", "/password")


def test_requests_and_people_do_not_show_secrets(world: World) -> None:
    body = SignUp(email=ADA, password=PASSWORD, name="Ada")
    assert PASSWORD not in repr(body)
    world.sign_up()
    assert "password_hash" not in repr(world.person())
    assert "personal_key" not in repr(world.person())


# Forgotten passwords.


def test_a_reset_changes_the_password_and_throws_everybody_out(world: World) -> None:
    ada = world.new_user()
    _, cookie = world.log_in()
    program = world.log_in_program()
    assert world.ask_for_reset().status == 202
    mail = world.mails()[-1]
    assert mail.kind is MailKind.RESET_PASSWORD
    body = NewPassword(token=mail.token or "", password=NEW_PASSWORD)
    password_hash = world.service.accounts.hash_for_reset(body)
    assert world.do(lambda c: world.service.accounts.reset(c, body, password_hash, HERE)).status == 204
    assert refusal(lambda: world.proven(ADA, PASSWORD)).status == 401
    assert world.proven(ADA, NEW_PASSWORD).person.user_id == ada.user_id
    assert refusal(lambda: world.do(lambda c: world.service.sessions.by_token(c, cookie))).status == 401
    with pytest.raises(OAuthRefusedError, match="log in"):
        world.refresh(program.refresh_token)
    assert world.mails()[-1].kind is MailKind.PASSWORD_CHANGED
    assert world.history(ada.user_id)[-1] == "password-reset"
    assert refusal(lambda: world.service.accounts.hash_for_reset(body)).slug == "bad-token"
    assert refusal(lambda: world.do(lambda c: world.service.accounts.reset(c, body, password_hash, HERE))).status == 422


def test_a_reset_runs_out_after_an_hour(world: World) -> None:
    world.new_user()
    world.ask_for_reset()
    world.pass_ms(RESET_MS)
    assert refusal(world.reset_password).slug == "bad-token"


def test_a_reset_verifies_the_address_that_its_mail_went_to(world: World) -> None:
    world.new_user(verified=False)
    world.ask_for_reset()
    world.reset_password()
    assert world.person().is_verified
    assert world.profile(world.person().user_id).email_verified


def test_who_has_no_account_gets_no_mail_and_the_same_answer(world: World) -> None:
    world.new_user()
    assert world.ask_for_reset(BOB) == world.ask_for_reset(ADA)
    assert [mail.email for mail in world.mails()] == [ADA]


def test_a_weak_new_password_leaves_the_token_good(world: World) -> None:
    world.new_user()
    world.ask_for_reset()
    token = world.mails()[-1].token or ""
    weak = NewPassword(token=token, password="short")
    assert refusal(lambda: world.service.accounts.hash_for_reset(weak)).slug == "weak-password"
    good = NewPassword(token=token, password=NEW_PASSWORD)
    assert world.service.accounts.hash_for_reset(good).startswith("$argon2id$")


def test_a_token_for_one_thing_is_not_good_for_another(world: World) -> None:
    world.sign_up()
    to_verify = world.mails()[0].token or ""
    body = NewPassword(token=to_verify, password=NEW_PASSWORD)
    assert refusal(lambda: world.service.accounts.hash_for_reset(body)).slug == "bad-token"
    world.ask_for_reset()
    to_reset = world.mails()[0].token or ""
    assert refusal(lambda: world.verify(to_reset)).slug == "bad-token"


# Profile and preferences.


def test_a_profile_is_changed_and_published(world: World) -> None:
    ada = world.new_user()
    caller = world.caller()
    before = world.do(lambda c: world.service.accounts.profile(c, caller))
    assert (profile_of(before).name, before.version) == ("Ada Lovelace", ada.version)
    world.pass_ms(5_000)
    change = ProfileChange(name="Ada King", timezone="Europe/London")
    after = world.do(lambda c: world.service.accounts.change_profile(c, caller, change, ada.version))
    assert (profile_of(after).name, profile_of(after).locale, after.version) == ("Ada King", "en", ada.version + 1)
    assert profile_of(after).updated_at - profile_of(before).updated_at == timedelta(seconds=5)
    published = world.profile(ada.user_id)
    assert unseal(ada.personal_key, ada.user_id, published.name) == "Ada King"
    assert published.occurred_at == to_datetime(START_MS + 5_000)


def test_another_version_is_not_changed(world: World) -> None:
    ada = world.new_user()
    caller = world.caller()
    change = ProfileChange(name="Eve")
    stale = refusal(
        lambda: world.do(lambda c: world.service.accounts.change_profile(c, caller, change, ada.version - 1))
    )
    assert stale.status == 412
    assert world.person().name == "Ada Lovelace"


def test_a_change_that_another_process_was_faster_with_is_refused(world: World) -> None:
    ada = world.new_user()
    world.do(lambda c: change_person(c, ada, START_MS, name="Ada King"))
    assert refusal(lambda: world.do(lambda c: change_person(c, ada, START_MS, name="Eve"))).status == 409
    assert world.person().name == "Ada King"


def test_preferences_are_set_as_a_whole_and_published(world: World) -> None:
    ada = world.new_user()
    caller = world.caller()
    wanted = Preferences(quiet_hours=QuietHoursView(from_minute=1320, to_minute=420), digest=Digest.DAILY)
    answer = world.do(lambda c: world.service.accounts.set_preferences(c, caller, wanted, ada.version))
    assert (answer.body, answer.version) == (wanted, ada.version + 1)
    assert world.do(lambda c: world.service.accounts.preferences(c, caller)).body == wanted
    published = world.profile(ada.user_id)
    assert (published.quiet_hours, published.digest) == (QuietHours(from_minute=1320, to_minute=420), Digest.DAILY)
    world.do(lambda c: world.service.accounts.set_preferences(c, caller, Preferences(), ada.version + 1))
    assert (world.profile(ada.user_id).quiet_hours, world.profile(ada.user_id).digest) == (None, Digest.NONE)


def test_quiet_hours_of_no_length_are_refused() -> None:
    with pytest.raises(ValidationError, match="equal"):
        QuietHoursView(from_minute=60, to_minute=60)


# Passwords and addresses of who is logged in.


def change_password(world: World, caller: Any, old: str, new: str, version: int | None = None) -> Answer:
    body = PasswordChange(password=old, new_password=new)
    proven, password_hash = world.service.accounts.hash_for_change(caller, body, HERE)
    return world.do(lambda c: world.service.accounts.change_password(c, caller, proven, password_hash, HERE, version))


def test_a_changed_password_ends_all_sessions_but_ones_own(world: World) -> None:
    ada = world.new_user()
    mine, my_cookie = world.log_in()
    _, other_cookie = world.log_in(client=ELSEWHERE)
    program = world.log_in_program()
    caller = world.verifier.verify(mine.access_token)
    answer = change_password(world, caller, PASSWORD, NEW_PASSWORD, ada.version)
    assert (answer.status, answer.version) == (204, ada.version + 1)
    assert world.do(lambda c: world.service.sessions.by_token(c, my_cookie)).user_id == ada.user_id
    assert refusal(lambda: world.do(lambda c: world.service.sessions.by_token(c, other_cookie))).status == 401
    with pytest.raises(OAuthRefusedError):
        world.refresh(program.refresh_token)
    assert world.mails()[-1].kind is MailKind.PASSWORD_CHANGED
    assert world.proven(ADA, NEW_PASSWORD).person.user_id == ada.user_id


def test_a_password_is_not_changed_without_the_old_one_or_to_a_weak_one(world: World) -> None:
    ada = world.new_user()
    caller = world.caller()
    assert refusal(lambda: change_password(world, caller, "wrong password", NEW_PASSWORD)).status == 403
    weak = refusal(lambda: change_password(world, caller, PASSWORD, "ada@example.org"))
    assert (weak.status, weak.errors[0].pointer) == (422, "/new_password")
    assert refusal(lambda: change_password(world, caller, PASSWORD, NEW_PASSWORD, ada.version + 5)).status == 412
    assert world.person() == ada


def change_email(world: World, email: str, version: int | None = None) -> Answer:
    proven = world.proven()
    body = EmailChange(email=email, password=PASSWORD)
    return world.do(lambda c: world.service.accounts.change_email(c, proven, body, HERE, version))


def test_an_address_changes_when_the_mail_to_the_new_one_is_answered_and_the_old_one_is_told(world: World) -> None:
    ada = world.new_user()
    assert change_email(world, "countess@example.org", ada.version).status == 202
    assert world.person() == ada
    [mail] = world.mails()
    assert (mail.kind, mail.email) == (MailKind.VERIFY_EMAIL, "countess@example.org")
    world.ask_for_reset()
    reset = world.mails()[-1].token or ""
    assert world.verify(mail.token or "").status == 204
    moved = world.person("countess@example.org")
    assert (moved.user_id, moved.is_verified) == (ada.user_id, True)
    [told] = world.mails()
    assert (told.kind, told.email) == (MailKind.EMAIL_CHANGED, ADA)
    assert unseal(ada.personal_key, ada.user_id, world.profile(ada.user_id).email) == "countess@example.org"
    stale = NewPassword(token=reset, password=NEW_PASSWORD)
    assert refusal(lambda: world.service.accounts.hash_for_reset(stale)).slug == "bad-token"
    assert world.new_user(ADA).user_id != ada.user_id


def test_an_address_that_was_never_verified_is_not_told(world: World) -> None:
    world.new_user(verified=False)
    change_email(world, "countess@example.org")
    world.verify(world.mails()[-1].token or "")
    assert world.mails() == []


def test_anothers_address_cannot_be_taken_and_its_owner_is_told(world: World) -> None:
    world.new_user()
    bob = world.new_user(BOB, name="Bob")
    assert change_email(world, BOB) == change_email(world, "free@example.org")
    mails = {mail.email: mail for mail in world.mails()}
    assert (mails[BOB].kind, mails[BOB].name, mails[BOB].token) == (MailKind.ALREADY_REGISTERED, "Bob", None)
    assert world.person(BOB) == bob


def test_an_address_that_was_taken_meanwhile_is_not_taken_again(world: World) -> None:
    world.new_user()
    change_email(world, BOB)
    token = world.mails()[-1].token or ""
    bob = world.new_user(BOB)
    assert refusal(lambda: world.verify(token)).slug == "bad-token"
    assert world.person(BOB) == bob


def test_a_token_for_an_address_that_was_left_is_worth_nothing(world: World) -> None:
    world.new_user(verified=False)
    world.do(lambda c: world.service.accounts.mail_verification(c, ByEmail(email=ADA)))
    old = world.mails()[-1].token or ""
    change_email(world, "countess@example.org")
    world.verify(world.mails()[-1].token or "")
    assert refusal(lambda: world.verify(old)).slug == "bad-token"


@pytest.mark.parametrize("purpose", [Purpose.VERIFY, Purpose.RESET])
def test_a_token_that_was_mailed_to_another_address_is_worth_nothing_even_if_it_was_kept(
    world: World, purpose: Purpose
) -> None:
    ada = world.new_user(verified=False)
    token = new_token(Prefix.MAIL, world.random_bytes)
    kept = {"user_id": ada.user_id, "purpose": purpose, "email": BOB, "expires_at": START_MS + 1}
    world.do(lambda c: repository.add_mail_token(c, token_hash(token), **kept))  # type: ignore[arg-type]
    if purpose is Purpose.VERIFY:
        assert refusal(lambda: world.verify(token)).slug == "bad-token"
    else:
        body = NewPassword(token=token, password=NEW_PASSWORD)
        reset = world.service.accounts.reset
        assert refusal(lambda: world.do(lambda c: reset(c, body, "hash", HERE))).slug == "bad-token"
    assert world.person() == ada
