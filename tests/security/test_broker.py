"""Whoever can write to the broker: what they send is counted, and nothing else comes of it."""

import json
import resource
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from ffrtmp.broker.app import publisher_app
from ffrtmp.broker.embedded import kept_url
from ffrtmp.broker.messages import COUNTS_TASK, HINT_TASK, RECONCILE_TASK
from ffrtmp.domain.job import JobStatus
from tests.integration.agents import job_with
from tests.security.forged import JOB, forged, message
from tests.security.target import Target
from tests.waiting import wait_until

GROWTH_BYTES = 150 << 20
HINT = {"v": 1, "job_id": JOB, "rank": 0}
FLOOD = 2_000


class Farm:
    """The attacked node and its master, and a way into their broker."""

    def __init__(self, target: Target) -> None:
        self.master, self.agent = target.master, target.agent
        url = kept_url(self.master.settings.data_dir)
        assert url is not None
        self.url = url
        self.broker = Redis.from_url(url)

    def child(self) -> psutil.Process:
        return wait_until(self.agent.celery_child, what="a Celery child")

    def control(self) -> psutil.Process:
        """The control worker, which is the part of the master that waits at its queue."""
        names = [name for name in self.looking().control.ping(timeout=10, limit=2) for name in name]
        number = next(name for name in names if name.startswith("control-"))
        return psutil.Process(int(number.partition("@")[0].removeprefix("control-")))

    def dropped(self) -> float:
        return self.agent.metric("ffrtmp_worker_hints_total", outcome="dropped")

    def refused(self) -> dict[str, float]:
        """What control refused, by reason."""
        text = httpx.get(f"http://127.0.0.1:{self.master.settings.metrics_port}/metrics").text
        name = "ffrtmp_master_messages_refused_total"
        return {
            sample.labels["reason"]: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name
        }

    def looking(self) -> Celery:
        """Somebody who sends remote commands to every worker."""
        app = publisher_app(self.url, timeout_seconds=5)
        app.conf.broker_transport = None
        return app

    def runs_a_job(self) -> None:
        job = self.master.client.submit(
            {"scenario": "test-360p", "parameters": {"duration": 0.2, "preset": "ultrafast"}}
        )
        assert job_with(self.master, job, JobStatus.COMPLETED).attempt == 1


@pytest.fixture
def farm(target: Target) -> Iterator[Farm]:
    found = Farm(target)
    wait_until(lambda: found.agent.metric("ffrtmp_worker_takes_hints") == 1)
    yield found
    found.broker.close()


def test_forged_hints_run_nothing_and_the_child_that_took_them_lives(
    farm: Farm, tmp_path: Path
) -> None:
    child, before = farm.child(), farm.dropped()
    mark = tmp_path / "mark"
    attacks = dict(forged(HINT_TASK, HINT, mark=str(mark)))
    weight = child.memory_info().rss

    farm.broker.lpush("live", *attacks.values())

    wait_until(lambda: farm.dropped() >= before + len(attacks), what="each to be counted")
    assert farm.dropped() == before + len(attacks)
    farm.runs_a_job()
    assert farm.child() == child
    assert child.memory_info().rss < weight + GROWTH_BYTES
    assert not mark.exists()
    assert not farm.broker.exists("loot")


def test_forged_calls_for_passes_run_nothing_and_the_control_worker_lives(
    farm: Farm, tmp_path: Path
) -> None:
    control, before = farm.control(), sum(farm.refused().values())
    mark = tmp_path / "mark"
    attacks = dict(forged(RECONCILE_TASK, {}, mark=str(mark)))
    attacks["hint"] = json.dumps(message(HINT_TASK, HINT)).encode()
    weight = control.memory_info().rss

    farm.broker.lpush("control", *attacks.values())

    wait_until(lambda: sum(farm.refused().values()) >= before + len(attacks))
    assert farm.control() == control
    assert control.memory_info().rss < weight + GROWTH_BYTES
    assert not mark.exists()
    assert not farm.broker.exists("loot")
    farm.runs_a_job()


def test_flood_of_calls_for_passes_makes_no_more_passes_than_beat_would(farm: Farm) -> None:
    before = farm.refused()["flood"]
    calls = [json.dumps(message(task, {})) for task in (RECONCILE_TASK, COUNTS_TASK)]

    farm.broker.lpush("control", *(calls * (FLOOD // 2)))

    wait_until(lambda: not farm.broker.llen("control"), seconds=30)
    wait_until(lambda: farm.refused()["flood"] > before + FLOOD * 0.9, seconds=20)
    farm.runs_a_job()


def test_hints_that_share_a_tag_take_no_more_room_than_there_is(farm: Farm) -> None:
    unknown = [message(HINT_TASK, HINT | {"job_id": str(uuid.uuid4())}) for _ in range(20)]
    before = farm.agent.metric("ffrtmp_worker_hints_total", outcome="nothing")
    for one in unknown:
        one["properties"]["delivery_tag"] = "the same"

    farm.broker.lpush("live", *map(json.dumps, unknown))

    wait_until(
        lambda: farm.agent.metric("ffrtmp_worker_hints_total", outcome="nothing") >= before + 20
    )
    farm.runs_a_job()


COMMANDS: dict[str, dict[str, Any]] = {
    "shutdown": {},
    "pool_grow": {"n": 50},
    "pool_shrink": {"n": 50},
    "pool_restart": {"modules": ["os"], "reload": True},
    "autoscale": {"max": 1, "min": 0},
    "rate_limit": {"task_name": HINT_TASK, "rate_limit": "1/h"},
    "time_limit": {"task_name": HINT_TASK, "hard": 1, "soft": 1},
    "add_consumer": {"queue": "loot"},
    "cancel_consumer": {"queue": "live"},
    "revoke": {"task_id": JOB, "terminate": True, "signal": "SIGKILL"},
    "revoke_by_stamped_headers": {"headers": {"x": "y"}, "terminate": True},
    "terminate": {"task_id": JOB, "signal": "SIGKILL"},
    "enable_events": {},
    "disable_events": {},
    "heartbeat": {},
    "election": {"id": "x", "topic": "y", "action": {}},
    "hello": {"from_node": "me", "revoked": {JOB: 1}},
    "clock": {},
    "report": {},
    "query_task": {"ids": [JOB]},
    "memsample": {},
    "memdump": {},
    "objgraph": {"num": 10_000},
    "os.system": {"command": "true"},
}


def test_remote_commands_that_act_do_nothing_while_a_job_runs(farm: Farm) -> None:
    child, control = farm.child(), farm.control()
    before, app = farm.dropped(), farm.looking()
    job = farm.master.client.submit(
        {"scenario": "test-360p", "parameters": {"duration": 20, "preset": "ultrafast"}}
    )
    ffmpeg = wait_until(farm.agent.ffmpegs)[0]
    ffmpeg.suspend()

    for name, arguments in COMMANDS.items():
        app.control.broadcast(name, arguments=arguments)
        app.control.broadcast(name, arguments=arguments, pattern=".*", matcher="pcre")
    wait_until(lambda: farm.dropped() >= before + 2 * len(COMMANDS), what="each to be counted")
    wait_until(lambda: farm.refused()["command"] >= 2 * len(COMMANDS))

    ffmpeg.resume()
    assert job_with(farm.master, job, JobStatus.COMPLETED).attempt == 1
    assert (farm.child(), farm.control()) == (child, control)
    farm.runs_a_job()


def test_only_looking_is_answered_and_only_to_whoever_asked(farm: Farm) -> None:
    app = farm.looking()
    inspect = app.control.inspect(timeout=10, limit=2)
    for look in (inspect.stats, inspect.active_queues, inspect.registered, inspect.conf):
        answers = look()
        assert {name.partition("@")[0].partition("-")[0] for name in answers} == {
            "celery",
            "control",
        }
    said = json.dumps(inspect.conf())
    assert Redis.from_url(farm.url).connection_pool.connection_kwargs["password"] not in said

    asked = {"method": "ping", "arguments": {}, "ticket": str(uuid.uuid4())}
    for place in ({"exchange": "", "routing_key": "live"}, {"exchange": "x", "routing_key": "y"}):
        body = json.dumps(asked | {"reply_to": place}).encode()
        farm.broker.publish("/0.celery.pidbox", json.dumps(message("", {}, body=body)))
    farm.broker.publish("/0.celery.pidbox", b"[" * 100_000)
    farm.broker.publish("/0.celery.pidbox", b"x" * (1 << 20))

    assert len(app.control.ping(timeout=10, limit=2)) == 2
    assert not farm.broker.exists("live", "y")


def test_child_has_a_ceiling_of_memory(farm: Farm) -> None:
    soft, hard = farm.child().rlimit(psutil.RLIMIT_DATA)

    assert soft == hard != resource.RLIM_INFINITY
