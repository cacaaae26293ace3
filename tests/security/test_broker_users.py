"""What each user of the broker may not do, tried with its own password."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ffrtmp.broker import acl
from ffrtmp.broker.embedded import EmbeddedBroker
from tests.integration.valkey import client_of, valkey

DOCUMENT = Path(__file__).parents[2] / "docs" / "broker.md"
FOR_NOBODY: tuple[tuple[str, ...], ...] = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/tmp"),  # noqa: S108
    ("EVAL", "return 1", "0"),
    ("SCRIPT", "LOAD", "return 1"),
    ("FUNCTION", "LIST"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "default", "nopass"),
    ("MODULE", "LIST"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("SHUTDOWN",),
    ("REPLICAOF", "127.0.0.1", "1"),
    ("SAVE",),
    ("INFO",),
    ("GET", "other"),
    ("SET", "other", "x"),
    ("LRANGE", "live", "0", "-1"),
    ("DUMP", "live"),
    ("RESTORE", "live", "0", "x"),
    ("MIGRATE", "127.0.0.1", "1", "live", "0", "1"),
    ("DEL", "live"),
    ("RENAME", "live", "batch"),
    ("EXPIRE", "live", "1"),
    ("PEXPIRE", "live", "1"),
    ("SADD", "live", "x"),
    ("SUBSCRIBE", "other"),
    ("PSUBSCRIBE", "*"),
    ("PUBLISH", "other", "x"),
)
FOR_OTHERS: dict[str, tuple[tuple[str, ...], ...]] = {
    acl.NODE: (
        ("LPUSH", "live", "x"),
        ("RPUSH", "node.1", "x"),
        ("LPUSH", "control", "x"),
        ("BRPOP", "control", "1"),
        ("LLEN", "live"),
        ("PUBLISH", "ffrtmp.nudge.1", ""),
        ("PUBLISH", "/0.celery.pidbox", "x"),
        ("HSET", "unacked", "x", "y"),
    ),
    acl.FLOWER: (
        ("LPUSH", "live", "x"),
        ("BRPOP", "live", "1"),
        ("BRPOP", "control", "1"),
        ("PUBLISH", "ffrtmp.nudge.1", ""),
        ("SUBSCRIBE", "ffrtmp.nudge.1"),
    ),
    acl.MASTER: (("BRPOP", "live", "1"), ("HSET", "unacked", "x", "y")),
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with valkey(tmp_path_factory.mktemp("users")) as running:
        yield running


@pytest.mark.parametrize("user", acl.RULES)
def test_user_can_do_nothing_beyond_its_part(broker: EmbeddedBroker, user: str) -> None:
    url = {
        acl.MASTER: broker.master_url,
        acl.NODE: broker.node_url,
        acl.FLOWER: broker.flower_url,
    }[user]
    for command in (*FOR_NOBODY, *FOR_OTHERS[user]):
        refusal = f"{command[0]} was done"
        with redis.Redis.from_url(url) as client:
            try:
                client.execute_command(*command)
            except redis.exceptions.RedisError as error:
                refusal = f"{type(error).__name__}: {error}"
        assert "NoPermission" in refusal or "no permissions" in refusal, (user, command, refusal)


def test_nobody_comes_in_without_a_password(broker: EmbeddedBroker) -> None:
    for credentials in ("", ":@", ":wrong@", "node:@", "node:wrong@", "nobody:x@"):
        client = redis.Redis.from_url(f"redis://{credentials}127.0.0.1:{broker.port}/0")
        with pytest.raises(redis.exceptions.RedisError), client:
            client.ping()


def test_passwords_of_users_do_not_lead_to_each_other(broker: EmbeddedBroker) -> None:
    urls = (broker.url, broker.master_url, broker.node_url, broker.flower_url)
    passwords = {url.partition("@")[0].rpartition(":")[2] for url in urls}

    assert len(passwords) == len(urls)
    with client_of(broker) as client:
        assert not any(password in str(client.acl_list()) for password in passwords)


def test_documented_users_are_those_of_the_embedded_broker() -> None:
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for user, rules in acl.RULES.items():
        assert f"user {user} on >… resetkeys resetchannels -@all {rules}" in lines
