"""The real Flower of a real master, asked by somebody without, and somebody with its login."""

import base64
import contextlib
from collections.abc import Iterator

import httpx
import psutil
import pytest
from redis import Redis

from ffrtmp.broker import acl
from ffrtmp.broker.embedded import kept_url
from ffrtmp.config import child_environment, python_module
from tests.integration.agents import Process, kill_tree
from tests.security.target import Target
from tests.waiting import free_port, wait_until

PASSWORD = "the-password-of-flower"
ROUTES = (
    *("/", "/workers", "/worker/celery@x", "/task/x", "/tasks", "/broker", "/tasks/datatable"),
    *("/api/workers", "/api/tasks", "/api/task/types", "/api/queues/length", "/api/task/info/x"),
    *("/api/task/result/x", "/metrics", "/healthcheck", "/login", "/logout", "/static/js/x"),
    *("/nothing", "//", "/../etc/passwd"),
)
ACTING = (
    *("/api/worker/shutdown/{worker}", "/api/worker/pool/restart/{worker}"),
    *("/api/worker/pool/grow/{worker}?n=3", "/api/worker/pool/shrink/{worker}?n=3"),
    *("/api/worker/pool/autoscale/{worker}?min=1&max=2", "/api/task/abort/x"),
    *("/api/worker/queue/add-consumer/{worker}?queue=loot", "/api/task/revoke/x?terminate=true"),
    *("/api/worker/queue/cancel-consumer/{worker}?queue=live", "/api/task/timeout/x?hard=1"),
    *("/api/task/apply/x", "/api/task/async-apply/x", "/api/task/send-task/ffrtmp.hint.v1"),
    *("/api/task/rate-limit/x?ratelimit=1", "/login", "/logout"),
)


class Flower(Process):
    """As the master starts it."""

    def __init__(self, target: Target) -> None:
        self.port = free_port()
        data_dir = target.master.settings.data_dir
        settings = target.master.settings.model_copy(
            update={
                "flower_port": self.port,
                "flower_password": PASSWORD,
                "broker": kept_url(data_dir, user=acl.MASTER),
                "flower_broker": kept_url(data_dir, user=acl.FLOWER),
            }
        )
        environment = child_environment(settings) | {"FLOWER_UNAUTHENTICATED_API": "true"}
        log = target.master.folder / "flower.log"
        super().__init__(python_module("ffrtmp.flower")[1:], environment, log)
        self.outside = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        self.inside = httpx.Client(
            base_url=self.outside.base_url, auth=("ffrtmp", PASSWORD), timeout=20
        )
        wait_until(self._is_up, seconds=60)

    def _is_up(self) -> bool:
        try:
            return self.outside.get("/").status_code == 401
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def flower(attacked_node: Target) -> Iterator[Flower]:
    running = Flower(attacked_node)
    try:
        yield running
    finally:
        running.outside.close()
        running.inside.close()
        kill_tree(running)


def test_nothing_is_said_without_the_login(flower: Flower) -> None:
    for route in ROUTES + ACTING:
        for method in ("GET", "POST", "OPTIONS", "PUT"):
            refused = flower.outside.request(method, route)

            assert refused.status_code == 401, (method, route)
            assert refused.content == b""


def test_wrong_logins_are_refused_whatever_they_are_made_of(flower: Flower) -> None:
    right = base64.b64encode(f"ffrtmp:{PASSWORD}".encode()).decode()
    accents = base64.b64encode("ffrtmp:é".encode()).decode()
    for shown in ("", "Basic", "Basic ?", f"Bearer {right}", f"Basic {accents}", "Basic /w=="):
        assert flower.outside.get("/", headers={"Authorization": shown}).status_code == 401
    for password in ("", PASSWORD[:-1], PASSWORD + "x"):
        assert flower.outside.get("/", auth=("ffrtmp", password)).status_code == 401


def test_login_reads_workers_and_queues_and_cannot_act(flower: Flower, target: Target) -> None:
    def known() -> list[str]:
        return list(flower.inside.get("/api/workers", params={"refresh": 1}).json())

    wait_until(lambda: len(known()) == 2, what="control and the node to answer")
    worker = next(name for name in known() if name.startswith("celery@"))
    for page in ("/", "/workers?json=1", "/tasks", "/broker", f"/worker/{worker}", "/metrics"):
        assert flower.inside.get(page).status_code == 200, page
    assert "live" in flower.inside.get("/broker").text
    child = wait_until(target.agent.celery_child)

    for route in ACTING:
        for method in ("GET", "POST"):
            refused = flower.inside.request(method, route.format(worker=worker))
            assert refused.status_code in (404, 405), (method, route)

    assert target.agent.celery_child() == child
    assert len(known()) == 2
    with Redis.from_url(str(kept_url(target.master.settings.data_dir))) as broker:
        assert broker.acl_log() == [], "somebody wants more than the users have"


def test_flowers_password_stands_in_no_argument_and_it_listens_on_loopback(
    flower: Flower,
) -> None:
    process = psutil.Process(flower.popen.pid)

    assert PASSWORD not in " ".join(process.cmdline())
    listening = [c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_body_that_is_too_long_is_not_kept(flower: Flower) -> None:
    status = 400
    with contextlib.suppress(httpx.TransportError):  # it may hang up before it has all
        status = flower.inside.post("/tasks/datatable", content=b"x" * (1 << 20)).status_code

    assert status == 400
