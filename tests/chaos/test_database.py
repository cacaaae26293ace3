"""The database is locked, cut off, restarted, read-only or full."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from ffrtmp.domain.job import JobStatus
from tests.chaos.conftest import MakeFarm
from tests.chaos.disk import SmallDisk, small_disk
from tests.chaos.farm import ChaosFarm
from tests.chaos.scarce import Scarce, scarce_databases
from tests.integration.agents import KEY
from tests.postgresql import PostgreSql
from tests.waiting import wait_until

LOCKED_SECONDS = 5.0
SHORT = {"scenario": "360p30-h264", "parameters": {"duration": 0.1}}


class Submitters:
    """Four threads that submit one job after the other, each under a key of its own."""

    def __init__(self, farm: ChaosFarm) -> None:
        self.answers: dict[str, httpx.Response] = {}
        self._farm = farm
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._runs = [self._pool.submit(self._run, name) for name in range(4)]

    def end(self) -> dict[str, httpx.Response]:
        self._stop.set()
        for run in self._runs:
            run.result()
        self._pool.shutdown()
        return self.answers

    @property
    def has_refusal(self) -> bool:
        return any(answer.status_code != 201 for answer in list(self.answers.values()))

    def _run(self, name: int) -> None:
        number = 0
        while not self._stop.wait(0.02):
            key = f"key-{name}-{number}"
            self.answers[key] = submit(self._farm, key)
            number += 1


def submit(farm: ChaosFarm, key: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Idempotency-Key": key} if key else {})
    return httpx.post(f"{farm.url}/jobs", json=SHORT, headers=headers, timeout=30)


def refusal(farm: ChaosFarm) -> httpx.Response | None:
    answer = submit(farm)
    return None if answer.status_code == 201 else answer


def is_accepted_or_may_come_again(answer: httpx.Response) -> bool:
    return answer.status_code == 201 or (
        answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    )


def lives(farm: ChaosFarm) -> bool:
    parts = (farm.api, farm.control, farm.beat)
    return all(part.process is not None and part.process.popen.poll() is None for part in parts)


@contextlib.contextmanager
def locked(farm: ChaosFarm) -> Iterator[None]:
    other = sqlite3.connect(farm.folder / "farm.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def submitted_while(farm: ChaosFarm, fault: Callable[[], Any]) -> dict[str, httpx.Response]:
    submitters = Submitters(farm)
    wait_until(lambda: len(submitters.answers) > 4, what="the first jobs")
    fault()
    before = len(submitters.answers)
    wait_until(lambda: len(submitters.answers) > before + 8, what="more answers")
    return submitters.end()


def test_requests_wait_or_may_come_again_while_the_database_is_locked(farm: ChaosFarm) -> None:
    agent = farm.start_agent("locked").ready()
    encode = farm.submit("720p30-h264", duration=20, preset="ultrafast")
    wait_until(agent.ffmpegs, what="an ffmpeg")

    with ThreadPoolExecutor(60) as pool:
        with locked(farm):
            until = time.monotonic() + LOCKED_SECONDS
            running = [pool.submit(submit, farm) for _ in range(60)]
            health = httpx.get(f"{farm.url}/health", timeout=LOCKED_SECONDS)
            seen = farm.client.job(encode.id)
            time.sleep(max(0.0, until - time.monotonic()))
        answers = [one.result() for one in running]
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    stored = {job.id for job in farm.client.jobs(limit=1000).jobs} - {encode.id}

    assert [a.text for a in answers if not is_accepted_or_may_come_again(a)] == []
    assert len(accepted) < 60
    assert stored == set(accepted)
    assert health.status_code == 200
    assert seen.status is JobStatus.RUNNING
    assert farm.wait_for(encode, JobStatus.COMPLETED, seconds=60).attempt == 1
    assert lives(farm)


def test_cut_sessions_and_a_restarted_server_lose_and_double_nothing(
    make_farm: MakeFarm, postgresql: PostgreSql
) -> None:
    farm = make_farm(db=postgresql.new_database("cut"))
    agent = farm.start_agent("cut").ready()
    encode = farm.submit("720p30-h264", duration=20, preset="ultrafast")
    wait_until(agent.ffmpegs, what="an ffmpeg")

    answers = submitted_while(farm, postgresql.disconnect_all)
    assert [a.text for a in answers.values() if not is_accepted_or_may_come_again(a)] == []
    submitters = Submitters(farm)
    postgresql.stop()
    wait_until(lambda: submitters.has_refusal, what="a refusal")
    postgresql.start()
    answers = submitters.end()
    again = {key: submit(farm, key) for key in answers}

    assert [a.text for a in answers.values() if not is_accepted_or_may_come_again(a)] == []
    assert {a.status_code for a in again.values()} == {201}
    for key, answer in answers.items():
        if answer.status_code == 201:
            assert answer.json()["id"] == again[key].json()["id"]
    assert len({answer.json()["id"] for answer in again.values()}) == len(answers)
    assert farm.wait_for(encode, JobStatus.COMPLETED, seconds=60).attempt == 1
    assert lives(farm)


def test_a_server_that_takes_no_writes_is_asked_again_over_new_connections(
    make_farm: MakeFarm, postgresql: PostgreSql
) -> None:
    """What a failover leaves: sessions of the old primary, which is a standby now."""
    farm = make_farm(db=postgresql.new_database("standby"))
    postgresql.execute("ALTER DATABASE standby SET default_transaction_read_only = on")
    postgresql.disconnect_all()
    refused = wait_until(lambda: refusal(farm), what="a refusal")
    postgresql.execute("ALTER DATABASE standby RESET default_transaction_read_only")

    assert is_accepted_or_may_come_again(refused)
    wait_until(lambda: submit(farm).status_code == 201, what="an accepted job")
    assert lives(farm)


def test_a_table_locked_by_a_stranger_holds_no_request_for_ever(
    make_farm: MakeFarm, postgresql: PostgreSql
) -> None:
    url = postgresql.new_database("locked")
    farm = make_farm(db=url)
    engine = sa.create_engine(url)
    with engine.begin() as stranger:
        stranger.execute(sa.text("LOCK TABLE jobs"))
        answer = submit(farm)
    engine.dispose()

    assert answer.status_code == 503
    assert "busy" in answer.json()["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert submit(farm).status_code == 201


def refusal_of_many(farm: ChaosFarm) -> httpx.Response | None:
    headers = {"Authorization": f"Bearer {KEY}"}
    many = {"jobs": [SHORT] * 100}
    answer = httpx.post(f"{farm.url}/jobs/batch", json=many, headers=headers, timeout=30)
    return None if answer.status_code == 201 else answer


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", size="8m") as made:
        yield made


def goes_on_after_a_full_disk(
    farm: ChaosFarm, fill: Callable[[], None], free: Callable[[], None]
) -> bool:
    """Whether submits are refused as they should be while there is no room, and all is well when
    there is some again, for an encode that ended meanwhile as well."""
    agent = farm.start_agent("full", queues=["live"]).ready()
    live = {"scenario": "360p30-h264", "queue": "live", "parameters": {"duration": 5}}
    encode = farm.client.submit(live)
    (ffmpeg,) = wait_until(agent.ffmpegs, what="an ffmpeg")
    ffmpeg.suspend()

    fill()
    # The log that SQLite writes into has some room of its own, which a few hundred jobs take.
    refused = wait_until(lambda: refusal_of_many(farm), what="a refusal")
    ffmpeg.resume()
    wait_until(lambda: not ffmpeg.is_running(), what="the encode to end")
    refused_again = wait_until(lambda: refusal_of_many(farm), what="another refusal")
    free()

    assert (refused.status_code, refused_again.status_code) == (507, 507)
    assert refused.json()["error"]["code"] == "storage_full"
    assert int(refused.headers["Retry-After"]) > 0
    assert farm.wait_for(encode, JobStatus.COMPLETED).attempt == 1
    assert submit(farm).status_code == 201
    return lives(farm)


def test_a_full_disk_refuses_submits_and_everything_goes_on_when_there_is_room(
    disk: SmallDisk, make_farm: MakeFarm
) -> None:
    farm = make_farm(db=str(disk.at / "farm.db"), prefix=disk.prefix)

    assert goes_on_after_a_full_disk(farm, disk.fill, disk.make_room)

    for part in (farm.beat, farm.control, farm.api):
        part.kill()
    disk.copy_out()


@pytest.fixture(params=scarce_databases())
def scarce(request: pytest.FixtureRequest, postgresql: PostgreSql) -> Iterator[Scarce]:
    with request.param(postgresql) as made:
        yield made


def test_a_full_server_refuses_submits_and_everything_goes_on_when_there_is_room(
    scarce: Scarce, make_farm: MakeFarm
) -> None:
    farm = make_farm(db=scarce.url)

    assert goes_on_after_a_full_disk(farm, scarce.fill, scarce.free)
