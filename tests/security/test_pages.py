"""Names that others gave, on the pages of Flower."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from celery import Celery

from ffrtmp.config import MasterSettings, child_environment
from tests.integration.agents import Process, kill_tree
from tests.integration.valkey import valkey
from tests.waiting import free_port, wait_until

SCRIPT = "<script>alert(1)</script>"
NAMED = f"{SCRIPT}@<img src=x onerror=alert(2)>"
TASK = "0198c0de-0000-7000-8000-000000000001"
WORKER = f"/worker/{quote(NAMED, safe='')}"
DATA = ("/workers?json=1", "/api/tasks")
LOGIN = ("ffrtmp", "the password")


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Flower, told by the broker of a worker and a task whose names are an attacker's."""
    folder: Path = tmp_path_factory.mktemp("flower")
    with valkey(folder) as broker:
        settings = MasterSettings(
            broker=broker.url, flower_port=free_port(), flower_password=LOGIN[1]
        )
        served = Process(["-m", "ffrtmp.flower"], child_environment(settings), folder / "log")
        try:
            url = f"http://127.0.0.1:{settings.flower_port}"
            with httpx.Client(base_url=url, auth=LOGIN, timeout=30) as pages:
                wait_until(lambda: knows_both(pages, broker.url), what="Flower to know both")
                yield pages
        finally:
            kill_tree(served)


def knows_both(pages: httpx.Client, broker: str) -> bool:
    """Whether Flower knows worker and task by now; it is told of them once more."""
    with Celery(broker=broker) as app, app.events.default_dispatcher(hostname=NAMED) as said:
        said.send("worker-online", sw_ident=SCRIPT, sw_ver=SCRIPT, sw_sys=SCRIPT)
        said.send("worker-heartbeat", freq=2, active=0, processed=0)
        said.send("task-received", uuid=TASK, name=SCRIPT, args=SCRIPT, kwargs=SCRIPT)
        said.send("task-failed", uuid=TASK, exception=SCRIPT, traceback=SCRIPT)
    try:
        return all("alert(1)" in pages.get(path).text for path in (DATA[0], f"/task/{TASK}"))
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("path", ["/workers", "/tasks", f"/task/{TASK}", WORKER])
def test_pages_show_names_of_others_as_text(flower: httpx.Client, path: str) -> None:
    page = flower.get(path)

    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text


@pytest.mark.parametrize("path", DATA)
def test_data_of_pages_is_exact_and_no_page(flower: httpx.Client, path: str) -> None:
    answer = flower.get(path)

    assert answer.headers["Content-Type"].startswith("application/json")
    assert SCRIPT in json.dumps(answer.json())
