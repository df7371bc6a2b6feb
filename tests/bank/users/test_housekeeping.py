"""What the service does by itself."""

import threading
from pathlib import Path

from sqlalchemy import func, select
from tests.bank.users.support import ADA, BOB, World, refusal

from streambank.bank.events import USER_KEY
from streambank.bank.users.context import Client
from streambank.bank.users.events import NOBODIES
from streambank.bank.users.housekeeping import HISTORY_MS, NEVER_VERIFIED_MS
from streambank.bank.users.models import METADATA
from streambank.bank.users.service import UsersService
from streambank.bank.users.signing import LEAD_MS, OVERLAP_MS, ROTATION_MS
from streambank.bank.users.tokens import DAY_MS, GRANT_MS, HOUR_MS
from streambank.service.database import Database


def test_a_new_installation_can_sign_and_its_key_is_published(world: World) -> None:
    [kid] = world.published_keys()
    key = world.published_keys()[kid]
    assert key is not None
    assert key.jwk == world.service.keys.public_key(kid)
    assert world.service.keys.public_key("other") is None


def test_keys_rotate_and_no_token_is_refused_meanwhile(world: World) -> None:
    world.new_user()
    [first] = world.published_keys()
    world.pass_ms(ROTATION_MS - LEAD_MS)
    assert len(world.published_keys()) == 2
    token = world.log_in()[0].access_token
    assert world.verifier.verify(token)
    world.pass_ms(LEAD_MS)
    later = world.log_in()[0].access_token
    assert world.published_keys()[first] is not None
    assert world.verifier.verify(later)
    world.pass_ms(OVERLAP_MS)
    published = world.published_keys()
    assert published.pop(first) is None
    [second] = published.values()
    assert second is not None
    assert world.service.keys.public_key(first) is None
    assert world.service.keys.public_key(second.kid) == second.jwk


def test_the_key_set_has_the_public_halves_only(world: World) -> None:
    world.pass_ms(ROTATION_MS)
    world.service.step()
    answer = world.do(world.service.keys.public_keys)
    body = answer.body.model_dump()  # type: ignore[union-attr]
    assert [set(key) for key in body["keys"]] == [{"kty", "crv", "x", "kid", "use", "alg"}] * 2
    assert answer.headers["Cache-Control"] == "public, max-age=900"


def test_what_has_ended_is_deleted(world: World) -> None:
    world.new_user()
    world.log_in()
    world.log_in_program()
    world.ask_for_reset()
    refusal(lambda: world.proven(ADA, "wrong password"))
    world.pass_ms(max(HISTORY_MS, GRANT_MS))
    world.service.step()
    world.service.step()
    left = world.do(
        lambda c: {t.name: c.scalar(select(func.count()).select_from(t)) or 0 for t in METADATA.sorted_tables}
    )
    assert {name for name, count in left.items() if count} == {"person", "signing_key"}


def test_who_never_verifies_is_forgotten(world: World) -> None:
    world.new_user(ADA)
    bob = world.new_user(BOB, verified=False)
    world.pass_ms(NEVER_VERIFIED_MS - 1)
    world.service.step()
    assert world.person(BOB) == bob
    world.pass_ms(1)
    world.service.step()
    keys = world.latest(USER_KEY)
    assert keys.pop(bob.user_id) is None
    assert [user_id for user_id in keys if user_id not in NOBODIES] == [world.person(ADA).user_id]


def test_every_partition_of_the_keys_gets_something_each_day(world: World) -> None:
    def filled() -> list[tuple[int, str]]:
        return [(record.partition, (record.key or b"").decode()) for record in world.records(USER_KEY)]

    partitions = list(range(USER_KEY.config.partitions))
    world.pass_ms(HOUR_MS - 1)
    assert filled() == []
    world.pass_ms(1)
    assert filled() == list(zip(partitions, NOBODIES, strict=True))
    world.pass_ms(DAY_MS - 1)
    assert len(filled()) == len(partitions)
    world.pass_ms(1)
    assert [partition for partition, _ in filled()] == sorted(partitions * 2)
    assert {user_id for _, user_id in filled()} == set(NOBODIES)


def test_who_was_erased_is_not_in_the_files(sqlite_database: Database, tmp_path: Path) -> None:
    world = World(sqlite_database)
    ada = world.new_user(name="Augusta")
    world.log_in(client=Client("192.0.2.77", "Rare Browser"))

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.glob("users.db*")))

    personal = [ADA, "Augusta", "192.0.2.77", "Rare Browser", ada.password_hash]
    assert all(text.encode() in files() for text in personal)
    assert ada.personal_key in files()
    proven = world.proven()
    world.do(lambda c: world.service.privacy.erase(c, proven, None))
    world.service.step()
    assert [text for text in personal if text.encode() in files()] == []
    assert ada.personal_key not in files()
    world.close()


def test_another_process_makes_no_second_first_key(world: World) -> None:
    other = UsersService(world.log, world.database, clock=world.clock, random_bytes=world.random_bytes)
    other.close()
    assert len(world.published_keys()) == 1


def test_the_service_runs_until_it_is_stopped(world: World) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=world.service.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
