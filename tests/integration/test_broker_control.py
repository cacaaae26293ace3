"""The control worker: passes on a beat, and passes of its own while the broker is away."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.control import Panel

from ffrtmp import bootstrap
from ffrtmp.broker.app import control_app, node_app, publisher_app, restrict_remote_control
from ffrtmp.broker.embedded import prepare
from ffrtmp.config import MasterSettings, child_environment, python_module
from ffrtmp.control import Control
from ffrtmp.domain.errors import Unavailable
from ffrtmp.services.farm import Farm
from tests.integration.valkey import running
from tests.waiting import wait_until


class Reconciler:
    """Counts its passes, and fails when told to."""

    def __init__(self, *, age_seconds: float = 0.0, error: Exception | None = None) -> None:
        self.passes = 0
        self.age_seconds = age_seconds
        self.error = error

    def run_once(self) -> object:
        self.passes += 1
        if self.error:
            raise self.error
        return object()

    def seconds_since_last_pass(self) -> float:
        return self.age_seconds


def control_over(reconciler: Any, now: list[float]) -> Control:
    farm: Any = SimpleNamespace(reconciler=reconciler)
    return Control(farm, monotonic=lambda: now[0])


@pytest.mark.parametrize(
    ("age_seconds", "passes"), [(16.0, 1), (3.0, 0), (-7200.0, 1)], ids=["old", "fresh", "future"]
)
def test_a_pass_is_made_when_neither_this_process_nor_another_finished_one_lately(
    age_seconds: float, passes: int
) -> None:
    reconciler, now = Reconciler(age_seconds=age_seconds), [0.0]
    control = control_over(reconciler, now)
    now[0] = 15.0
    control.reconcile_if_overdue(after_seconds=15.0)

    assert reconciler.passes == passes


def test_a_pass_of_this_process_is_reason_enough_to_make_none() -> None:
    reconciler, now = Reconciler(age_seconds=100.0), [20.0]
    control = control_over(reconciler, now)
    control.reconcile()
    now[0] = 30.0
    control.reconcile_if_overdue(after_seconds=15.0)

    assert reconciler.passes == 1


@pytest.mark.parametrize("error", [Unavailable("the database is away"), ValueError("a bug")])
def test_a_pass_that_fails_is_logged_and_not_counted_as_finished(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    reconciler, now = Reconciler(age_seconds=100.0, error=error), [0.0]
    control = control_over(reconciler, now)
    now[0] = 20.0
    control.reconcile()
    control.reconcile_if_overdue(after_seconds=15.0)

    assert reconciler.passes == 2
    assert str(error) in caplog.text


@contextmanager
def part(only: str, settings: MasterSettings) -> Iterator[None]:
    with subprocess.Popen(
        python_module("ffrtmp.master"),
        env=child_environment(settings.model_copy(update={"only": only})),
    ) as process:
        try:
            yield
            process.terminate()
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()


def passes_on(farm: Farm) -> None:
    """A pass is finished after this call."""
    began = time.monotonic()
    wait_until(lambda: farm.reconciler.seconds_since_last_pass() < time.monotonic() - began - 0.05)


def test_passes_are_made_by_beat_and_go_on_while_the_broker_is_away(tmp_path: Path) -> None:
    broker = prepare(tmp_path)
    settings = MasterSettings(
        data_dir=tmp_path, broker=broker.url, scheduler_interval=0.3, metrics_port=None
    )
    farm = bootstrap.farm(settings)
    farm.migrate()
    with ExitStack() as stack:
        with running(broker):
            stack.enter_context(part("control", settings))
            stack.enter_context(part("beat", settings))
            # Only beat asks for a count; passes alone could be control's own.
            wait_until(lambda: bool(farm.counts.last()))
            passes_on(farm)
        passes_on(farm)
        with running(broker):
            passes_on(farm)
    farm.close()


def test_a_worker_cannot_be_changed_through_the_broker() -> None:
    restrict_remote_control()

    assert {"ping", "stats", "active", "active_queues", "conf", "registered"} <= set(Panel.data)
    for command in ("shutdown", "add_consumer", "cancel_consumer", "revoke", "terminate"):
        assert command not in Panel.data
    for command in ("pool_grow", "pool_restart", "rate_limit", "memdump", "objgraph"):
        assert command not in Panel.data


def test_every_setting_is_one_that_celery_and_kombu_know() -> None:
    from celery.app.defaults import SETTING_KEYS
    from kombu.transport.redis import Channel

    url = "redis://127.0.0.1:1/0"
    apps = [
        node_app(url, queue_names=["live"], concurrency=1),
        control_app(url, scheduler_interval_seconds=5),
        publisher_app(url),
    ]
    settings = set().union(*(app.conf.changes for app in apps))
    options = set().union(*(app.conf.broker_transport_options for app in apps))

    assert settings - {"deprecated_settings"} <= SETTING_KEYS
    assert options - {"max_retries"} <= set(Channel.from_transport_options)
