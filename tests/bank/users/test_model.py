"""Random sessions, refreshes, resets and revocations against a model: what was used up or revoked never works again."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from tests.bank.users.support import HERE, World

from streambank.bank.users.models import DATABASE
from streambank.bank.users.oauth import OAuthRefusedError
from streambank.bank.users.schemas import NewPassword, OAuthError, PasswordChange, TokenAnswer
from streambank.bank.users.sessions import TOUCH_MS
from streambank.bank.users.tokens import GRANT_MS, SESSION_IDLE_MS, SESSION_MS
from streambank.service.database import Database
from streambank.service.http.problems import Problem

PASSWORDS = ("green apples on a hill", "seven boats went home", "a lamp in every window")
EMAILS = ("ada@example.org", "bob@example.org")


class Credentials(RuleBasedStateMachine):
    """Two people, their credentials, and a model of which of these are good."""

    sessions = Bundle("sessions")
    refresh_tokens = Bundle("refresh_tokens")
    resets = Bundle("resets")

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._database = Database.open(Path(self._folder.name) / "users.db", *DATABASE)
        self.world = World(self._database)
        self.password = dict.fromkeys(EMAILS, PASSWORDS[0])
        self.alive_sessions: dict[str, tuple[str, int, int]] = {}
        self.grants: dict[int, tuple[str, int]] = {}
        self.unused_tokens: dict[str, int] = {}
        self.grant_of: dict[str, int] = {}
        self.open_resets: dict[str, tuple[str, int]] = {}
        for email in EMAILS:
            self.world.new_user(email, password=PASSWORDS[0])

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()
            self._database.close()
            self._folder.cleanup()

    @rule(target=sessions, email=st.sampled_from(EMAILS))
    def log_in(self, email: str) -> str:
        cookie = self.world.log_in(email, self.password[email])[1]
        now = self.world.clock()
        self.alive_sessions[cookie] = (email, now + SESSION_MS, now)
        return cookie

    @rule(target=refresh_tokens, email=st.sampled_from(EMAILS))
    def log_in_program(self, email: str) -> str:
        token = self.world.log_in_program(email, self.password[email]).refresh_token
        assert token is not None
        grant = len(self.grant_of)
        self.grants[grant] = (email, self.world.clock() + GRANT_MS)
        self.unused_tokens[token] = self.grant_of[token] = grant
        return token

    @rule(email=st.sampled_from(EMAILS), password=st.sampled_from(PASSWORDS))
    def try_password(self, email: str, password: str) -> None:
        try:
            self.world.proven(email, password)
        except Problem as problem:
            if problem.status != 429 and password == self.password[email]:
                raise
            # Nobody in this test is a guesser: those who are have a test of their own.
            self.world.pass_ms(int(problem.headers.get("Retry-After", 0)) * 1000)
            self.world.proven(email, self.password[email])
        else:
            assert password == self.password[email]

    @rule(cookie=sessions)
    def use_session(self, cookie: str) -> None:
        good = self._is_session_good(cookie)
        assert self._works(lambda: self.world.do(lambda c: self.world.service.sessions.by_token(c, cookie))) == good
        if good:
            self._touch(cookie)

    @rule(cookie=sessions)
    def log_out(self, cookie: str) -> None:
        good = self._is_session_good(cookie)
        work = self.world.service.sessions.end_current
        assert self._works(lambda: self.world.do(lambda c: work(c, cookie, HERE, secure=False))) == good
        self.alive_sessions.pop(cookie, None)

    @rule(target=refresh_tokens, token=refresh_tokens)
    def refresh(self, token: str) -> object:
        grant = self.grant_of[token]
        alive = grant in self.grants and self.world.clock() < self.grants[grant][1]
        good = alive and token in self.unused_tokens
        try:
            body = self.world.refresh(token).body
        except OAuthRefusedError:
            body = None
        assert isinstance(body, TokenAnswer) == good
        if isinstance(body, TokenAnswer):
            del self.unused_tokens[token]
            new = body.refresh_token or ""
            assert new not in self.grant_of
            self.unused_tokens[new] = self.grant_of[new] = grant
            return new
        if alive:
            assert isinstance(body, OAuthError)
            self.grants.pop(grant)
        return multiple()

    @rule(token=refresh_tokens)
    def revoke(self, token: str) -> None:
        self.world.do(lambda c: self.world.service.oauth.revoke(c, token, HERE))
        self.grants.pop(self.grant_of[token], None)

    @rule(target=resets, email=st.sampled_from(EMAILS))
    def ask_for_reset(self, email: str) -> object:
        self.world.ask_for_reset(email)
        mails = self.world.mails()
        if not mails:
            return multiple()
        token = mails[-1].token or ""
        for other in [t for t, (of, _) in self.open_resets.items() if of == email]:
            del self.open_resets[other]
        self.open_resets[token] = (email, self.world.clock() + 3_600_000)
        return token

    @rule(token=resets, password=st.sampled_from(PASSWORDS))
    def reset(self, token: str, password: str) -> None:
        email, end = self.open_resets.get(token, ("", 0))
        body = NewPassword(token=token, password=password)
        accounts = self.world.service.accounts

        def work() -> None:
            password_hash = accounts.hash_for_reset(body)
            self.world.do(lambda c: accounts.reset(c, body, password_hash, HERE))

        assert self._works(work) == (self.world.clock() < end)
        if self.world.clock() < end:
            self.password[email] = password
            self._throw_out(email)
        self.world.mails()

    @rule(cookie=sessions, password=st.sampled_from(PASSWORDS))
    def change_password(self, cookie: str, password: str) -> None:
        if not self._is_session_good(cookie):
            return
        email = self.alive_sessions[cookie][0]
        token = self.world.token(lambda c: self.world.service.oauth.by_session(c, cookie, None)).access_token
        caller = self.world.verifier.verify(token)
        accounts = self.world.service.accounts
        body = PasswordChange(password=self.password[email], new_password=password)
        proven, password_hash = accounts.hash_for_change(caller, body, HERE)
        self.world.do(lambda c: accounts.change_password(c, caller, proven, password_hash, HERE, None))
        self.password[email] = password
        mine = self.alive_sessions[cookie]
        self._throw_out(email)
        self.alive_sessions[cookie] = mine
        self._touch(cookie)
        self.world.mails()

    @precondition(lambda self: hasattr(self, "world"))
    @rule(duration_ms=st.sampled_from([1, 60_000, 3_600_000, SESSION_IDLE_MS // 2, SESSION_IDLE_MS]))
    def pass_time(self, duration_ms: int) -> None:
        self.world.pass_ms(duration_ms)

    @rule()
    def keep_house(self) -> None:
        self.world.service.step()

    @invariant()
    def everyone_can_log_in_with_the_password_of_now(self) -> None:
        if hasattr(self, "world"):
            for email in EMAILS:
                assert self.world.service.passwords.matches(
                    self.world.person(email).password_hash, self.password[email]
                )

    def _throw_out(self, email: str) -> None:
        self.alive_sessions = {t: s for t, s in self.alive_sessions.items() if s[0] != email}
        self.grants = {grant: of for grant, of in self.grants.items() if of[0] != email}
        self.open_resets = {token: of for token, of in self.open_resets.items() if of[0] != email}

    def _touch(self, cookie: str) -> None:
        email, end, used = self.alive_sessions[cookie]
        now = self.world.clock()
        self.alive_sessions[cookie] = (email, end, now if now - used >= TOUCH_MS else used)

    def _is_session_good(self, cookie: str) -> bool:
        _, end, used = self.alive_sessions.get(cookie, ("", 0, 0))
        return self.world.clock() < min(end, used + SESSION_IDLE_MS)

    @staticmethod
    def _works(call: Callable[[], object]) -> bool:
        try:
            call()
        except Problem as problem:
            if problem.status not in (401, 422):
                raise
            return False
        return True


TestCredentials = Credentials.TestCase
TestCredentials.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
