"""Named keys: what opens, until when, and who a credential speaks for, on both databases."""

import threading

import pytest

from ffrtmp.domain.access import ANYONE, BOOTSTRAP, Caller, Refusal, Role, hash_of
from ffrtmp.domain.errors import InvalidRequest, KeyNameTaken, NotFound, Unauthenticated
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.key import KeyState
from ffrtmp.domain.node import Node
from ffrtmp.services.keys import NewKey
from tests import builders
from tests.fakes import FakeWorld

ROOT = hash_of("root")
DAY_SECONDS = 86_400.0


def made(
    world: FakeWorld, name: str = "alice", role: Role = Role.SUBMIT, **more: float | None
) -> NewKey:
    expires_seconds = more.get("expires_seconds")
    return world.farm.keys.create(name, role, expires_seconds=expires_seconds, by="root")


def rotated(world: FakeWorld, *, overlap_seconds: float, **more: float) -> NewKey:
    return world.farm.keys.rotate(
        "alice",
        overlap_seconds=overlap_seconds,
        expires_seconds=more.get("expires_seconds"),
        by="root",
    )


def speaker(world: FakeWorld, credential: str | None) -> Caller | Node:
    return world.farm.access.identify(credential, bootstrap=ROOT)


def refusal(world: FakeWorld, credential: str | None) -> Refusal:
    with pytest.raises(Unauthenticated) as refused:
        speaker(world, credential)
    return refused.value.reason


def test_key_speaks_for_its_name_in_its_role(world: FakeWorld) -> None:
    key = made(world)

    assert speaker(world, key.text) == Caller(name="alice", role=Role.SUBMIT)
    assert speaker(world, "root") == BOOTSTRAP


def test_store_has_the_hash_and_the_prefix_and_not_the_key(world: FakeWorld) -> None:
    key = made(world)

    ((kept, state),) = world.farm.keys.list()
    assert (kept.hash, state) == (hash_of(key.text), KeyState.LIVE)
    assert key.text.startswith(f"ffr_{kept.prefix}_")
    assert key.text not in repr(kept)


def test_what_is_nearly_a_key_is_as_unknown_as_anything(world: FakeWorld) -> None:
    key = made(world)

    for near in (key.text[:-1], key.text + "x", key.text.upper(), f"ffr_{'0' * 8}_{'x' * 43}"):
        assert refusal(world, near) is Refusal.UNKNOWN
    assert refusal(world, hash_of(key.text)) is Refusal.UNKNOWN
    assert refusal(world, ROOT) is Refusal.UNKNOWN
    assert refusal(world, "-" * 64) is Refusal.UNKNOWN
    assert refusal(world, None) is Refusal.MISSING


def test_key_opens_nothing_from_its_expiry_on(world: FakeWorld) -> None:
    key = made(world, expires_seconds=60)
    world.clock.pass_seconds(59)
    speaker(world, key.text)
    world.clock.pass_seconds(1)

    assert refusal(world, key.text) is Refusal.EXPIRED


def test_rotated_key_opens_until_the_overlap_ends_and_the_new_one_goes_on(
    world: FakeWorld,
) -> None:
    old = made(world)
    new = rotated(world, overlap_seconds=60)

    assert speaker(world, old.text) == speaker(world, new.text)
    world.clock.pass_seconds(60)
    assert refusal(world, old.text) is Refusal.EXPIRED
    assert speaker(world, new.text) == Caller(name="alice", role=Role.SUBMIT)


def test_rotation_without_overlap_ends_all_older_keys_of_the_name_at_once(
    world: FakeWorld,
) -> None:
    first = made(world)
    second = rotated(world, overlap_seconds=DAY_SECONDS)
    third = rotated(world, overlap_seconds=0)

    assert refusal(world, first.text) is refusal(world, second.text) is Refusal.EXPIRED
    assert speaker(world, third.text)


def test_rotation_never_lengthens_a_key_and_keeps_its_lifetime(world: FakeWorld) -> None:
    old = made(world, expires_seconds=60)
    world.clock.pass_seconds(50)
    new = rotated(world, overlap_seconds=DAY_SECONDS)

    world.clock.pass_seconds(10)
    assert refusal(world, old.text) is Refusal.EXPIRED
    assert new.key.lifetime == old.key.lifetime
    assert rotated(world, overlap_seconds=0, expires_seconds=5).key.lifetime != old.key.lifetime


def test_revoked_key_opens_nothing_and_neither_does_one_it_replaced(world: FakeWorld) -> None:
    old = made(world)
    new = rotated(world, overlap_seconds=60)
    world.farm.keys.revoke("alice", by="root")

    assert refusal(world, old.text) is refusal(world, new.text) is Refusal.REVOKED
    with pytest.raises(NotFound):
        world.farm.keys.revoke("alice", by="root")
    with pytest.raises(NotFound):
        rotated(world, overlap_seconds=0)


def test_name_is_taken_until_its_key_is_revoked(world: FakeWorld) -> None:
    made(world)
    with pytest.raises(KeyNameTaken):
        made(world)
    world.farm.keys.revoke("alice", by="root")

    assert speaker(world, made(world).text)


@pytest.mark.parametrize("name", ["bootstrap", "anyone"])
def test_names_of_the_farm_itself_are_not_given_to_keys(world: FakeWorld, name: str) -> None:
    with pytest.raises(InvalidRequest):
        made(world, name)


def test_two_makers_of_one_name_at_once_make_one_key(world: FakeWorld) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            made(world)
            outcomes.append("made")
        except KeyNameTaken:
            outcomes.append("taken")

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made", "taken", "taken", "taken"]


def test_use_is_noted_once_a_minute(world: FakeWorld) -> None:
    key = made(world)
    moments = []
    for seconds in (0, 59, 1):
        world.clock.pass_seconds(seconds)
        speaker(world, key.text)
        moments.append(world.farm.keys.list()[0][0].last_used_at)

    assert moments[0] == moments[1] == builders.START
    assert moments[2] == world.clock.moment


def test_everything_done_with_keys_is_in_the_history_without_a_key(world: FakeWorld) -> None:
    key = made(world)
    new = rotated(world, overlap_seconds=0)
    world.farm.keys.revoke("alice", by="root")

    with world.farm.store.read() as tx:
        events = tx.events.after(0, limit=10)
    assert [event.kind for event in events] == [
        EventKind.KEY_CREATED,
        EventKind.KEY_ROTATED,
        EventKind.KEY_REVOKED,
    ]
    assert {event.data["by"] for event in events} == {"root"}
    said = repr(events)
    assert not any(text in said for text in (key.text, new.text, key.key.hash, new.key.hash))


def test_token_of_a_node_speaks_for_the_node(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration(token_hash=hash_of("token")))

    found = speaker(world, "token")
    assert isinstance(found, Node)
    assert found.id == "node-1"


def test_without_any_key_everybody_is_let_in_until_the_first_is_made(world: FakeWorld) -> None:
    def open_door(credential: str | None) -> Caller | Node:
        return world.farm.access.identify(credential, bootstrap=None)

    assert open_door(None) == open_door("whatever") == ANYONE
    key = made(world, role=Role.ADMIN)
    world.farm.keys.revoke("alice", by="root")
    for credential in (None, "whatever", key.text):
        with pytest.raises(Unauthenticated):
            open_door(credential)
