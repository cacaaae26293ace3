"""What really lies in valkey after a ring, a push and a nudge, and what happens without one."""

import base64
import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.broker.embedded import EmbeddedBroker, prepare
from ffrtmp.broker.messages import HINT_BODY_LIMIT_BYTES, nudge_channel
from ffrtmp.broker.nudges import INTERVAL_SECONDS
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.broker.waiting import WaitingHints
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.ranking import RANKS
from tests.integration.valkey import client_of, running, valkey

WINDOW = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with valkey(tmp_path_factory.mktemp("valkey")) as broker:
        yield broker


@pytest.fixture
def redis(server: EmbeddedBroker) -> Iterator[Any]:
    with client_of(server) as client:
        client.flushall()
        yield client


@pytest.fixture
def bell(server: EmbeddedBroker) -> Iterator[RedisBell]:
    bell = RedisBell(server.url, window=WINDOW)
    yield bell
    bell.close()


def hint(rank: int = 4, queue_name: str = "default") -> Hint:
    return Hint(job_id=str(uuid.uuid4()), rank=rank, queue_name=queue_name)


def test_a_rung_hint_lies_in_the_list_of_its_rank(bell: RedisBell, redis: Any) -> None:
    rung = bell.ring(hint(rank=7, queue_name="batch"))

    assert rung
    assert redis.keys() == [b"batch\x06\x167"]
    assert bell.waiting("batch") == 1


def test_the_best_rank_lies_in_the_list_named_as_its_queue(bell: RedisBell, redis: Any) -> None:
    bell.ring(hint(rank=0, queue_name="live"))

    assert redis.keys() == [b"live"]


def test_a_message_carries_a_small_body_with_nothing_but_the_hint(
    bell: RedisBell, redis: Any
) -> None:
    sent = hint()
    bell.ring(sent)
    message = json.loads(redis.lindex("default\x06\x164", 0))
    arguments, kwargs, _ = json.loads(base64.b64decode(message["body"]))

    assert len(message["body"]) < HINT_BODY_LIMIT_BYTES
    assert arguments == []
    assert kwargs == {"v": 1, "job_id": sent.job_id, "rank": 4}


def test_a_queue_at_its_window_takes_no_more_rings(bell: RedisBell, redis: Any) -> None:
    rung = [bell.ring(hint(rank=3 + n % 3)) for n in range(WINDOW + 2)]

    assert rung == [True] * WINDOW + [False] * 2
    assert bell.waiting("default") == WINDOW
    assert bell.ring(hint(rank=0, queue_name="live"))


def test_pushed_hints_keep_their_order_in_the_list(bell: RedisBell, redis: Any) -> None:
    hints = [hint() for _ in range(2500)]

    assert bell.push(hints) == 2500
    oldest_first = reversed(redis.lrange("default\x06\x164", 0, -1))
    bodies = [json.loads(base64.b64decode(json.loads(item)["body"])) for item in oldest_first]
    assert [kwargs["job_id"] for _, kwargs, _ in bodies] == [pushed.job_id for pushed in hints]


def test_rings_go_on_after_everything_in_the_broker_was_wiped(bell: RedisBell, redis: Any) -> None:
    bell.ring(hint())
    redis.flushall()

    assert bell.ring(hint())
    assert bell.waiting("default") == 1


@pytest.mark.parametrize("queue_name", ["live", "node.1"])
@pytest.mark.parametrize("rank", RANKS)
def test_a_hint_that_waits_is_seen_whatever_its_queue_and_rank(
    server: EmbeddedBroker, bell: RedisBell, redis: Any, queue_name: str, rank: int
) -> None:
    with closing(WaitingHints(server.url, ["live", "node.1"])) as waiting:
        assert not waiting.any()
        bell.ring(hint(rank=rank, queue_name=queue_name))

        assert waiting.any()


def test_a_broker_that_is_away_does_not_say_whether_hints_wait(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        WaitingHints(prepare(tmp_path).url, ["live"]).any()


def test_without_a_broker_a_ring_is_false_and_the_rest_says_unavailable(tmp_path: Path) -> None:
    bell = RedisBell(prepare(tmp_path).url, window=WINDOW)
    began = time.monotonic()

    assert not bell.ring(hint())
    assert time.monotonic() - began < 2
    with pytest.raises(Unavailable):
        bell.waiting("live")
    with pytest.raises(Unavailable):
        bell.push([hint()])
    bell.nudge("node-1")
    bell.close()


def test_a_broker_that_takes_connections_and_never_answers_delays_a_ring_under_two_seconds() -> (
    None
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bell = RedisBell(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", window=WINDOW)
        began = time.monotonic()
        assert not bell.ring(hint())
        first = time.monotonic() - began
        assert not any(bell.ring(hint()) for _ in range(100))
        bell.close()

    assert first < 2
    assert time.monotonic() - began < 2.5


def test_a_bell_rings_again_once_its_broker_is_back(tmp_path: Path) -> None:
    broker = prepare(tmp_path)
    bell = RedisBell(broker.url, window=WINDOW)
    with running(broker):
        assert bell.ring(hint())
    assert not bell.ring(hint())
    with running(broker):
        deadline = time.monotonic() + 5
        while not bell.ring(hint()):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        assert bell.waiting("default") == 1
    bell.close()


def test_a_nudge_arrives_and_the_burst_after_it_is_thinned_but_heard(
    bell: RedisBell, redis: Any
) -> None:
    with redis.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(nudge_channel("node-1"))
        assert heard.get_message(timeout=5) is None
        bell.nudge("node-1")
        first = heard.get_message(timeout=10)
        began = time.monotonic()
        for _ in range(50):
            bell.nudge("node-1")
        most = 2 + (time.monotonic() - began) / INTERVAL_SECONDS
        rest = list(iter(lambda: heard.get_message(timeout=1), None))

    assert first["data"] == b""
    assert 1 <= len(rest) < most


def test_the_embedded_broker_is_found_where_it_was_after_a_restart(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    second = prepare(tmp_path)

    assert second.url == first.url
    assert (tmp_path / "broker" / "valkey.conf").stat().st_mode & 0o077 == 0
    assert all("redis://" not in argument for argument in first.argv)
