"""A live stream has one publisher, whatever happens to its host or its master."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import JobAnswer
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.proxy import Proxy
from tests.rtmp import RtmpServer
from tests.waiting import wait_until


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[RtmpServer]:
    server = RtmpServer(tmp_path)
    yield server
    server.close()


def stream(farm: ChaosFarm, rtmp: RtmpServer, duration: float | None = None) -> JobAnswer:
    body = {"output_mode": "rtmp", "rtmp_url": rtmp.url, "duration": duration}
    given = {name: value for name, value in body.items() if value is not None}
    return farm.client.submit({"scenario": "360p30", "queue": "live", "parameters": given})


def test_stream_is_published_to_its_end_and_its_result_counts(
    farm: ChaosFarm, rtmp: RtmpServer
) -> None:
    farm.start_agent("one")

    done = farm.wait_for(stream(farm, rtmp, duration=2), JobStatus.COMPLETED)

    assert done.attempt == 1
    assert done.result is not None
    assert done.result["rtmp_url"] == rtmp.url
    assert done.result["encode_seconds"] > 1.5  # native speed
    assert [one.has_media for one in rtmp.publications] == [True]


def test_canceled_stream_leaves_its_server_at_once(farm: ChaosFarm, rtmp: RtmpServer) -> None:
    farm.start_agent("one")
    job = stream(farm, rtmp)
    wait_until(lambda: rtmp.publishing)

    farm.client.cancel(job.id)

    wait_until(lambda: not rtmp.publishing, seconds=2)


def test_host_cut_off_stops_publishing_before_another_starts(
    farm: ChaosFarm, rtmp: RtmpServer
) -> None:
    network = Proxy(farm.settings.port)
    first = farm.start_agent("one", to_api=network).ready()
    job = stream(farm, rtmp)
    wait_until(lambda: rtmp.publishing)
    farm.start_agent("two").ready()

    network.freeze()

    wait_until(lambda: len(rtmp.publications) == 2 and rtmp.publishing)
    assert rtmp.overlaps() == []
    network.heal()
    wait_until(lambda: farm.client.node("one").status == "available")
    assert not first.ffmpegs()
    lost = farm.client.attempts(job.id).attempts[0]
    assert lost.outcome in (Outcome.NODE_LOST, Outcome.FAILED)
    assert farm.client.job(job.id).status is JobStatus.RUNNING
    network.close()


def test_frozen_agent_publishes_no_longer_than_its_lease(farm: ChaosFarm, rtmp: RtmpServer) -> None:
    first = farm.start_agent("one").ready()
    job = stream(farm, rtmp)
    wait_until(lambda: rtmp.publishing)
    farm.start_agent("two").ready()

    first.popen.send_signal(signal.SIGSTOP)

    wait_until(lambda: len(rtmp.publications) == 2 and rtmp.publishing)
    assert rtmp.overlaps() == []
    first.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: farm.client.node("one").status == "available")
    assert farm.client.job(job.id).node_name == "two"
    assert farm.client.job(job.id).status is JobStatus.RUNNING


def test_stream_that_cannot_renew_its_lease_says_so_and_is_published_again(
    farm: ChaosFarm, rtmp: RtmpServer
) -> None:
    farm.start_agent("one").ready()
    job = stream(farm, rtmp)
    wait_until(lambda: rtmp.publishing)

    farm.to_api.cut()
    wait_until(lambda: not rtmp.publishing)
    farm.to_api.heal()

    wait_until(lambda: len(rtmp.publications) == 2 and rtmp.publishing)
    ended = farm.client.attempts(job.id).attempts[0]
    assert (ended.outcome, ended.failure_class) == (Outcome.FAILED, FailureClass.NODE_LOST)
    assert "no heartbeat was answered in time" in (ended.error or "")


def test_stalled_stream_ends_before_it_is_published_again(
    make_farm: MakeFarm, rtmp: RtmpServer
) -> None:
    farm = make_farm(live_stall_timeout=2)
    agent = farm.start_agent("one").ready()
    job = stream(farm, rtmp)
    wait_until(lambda: rtmp.publishing)

    agent.ffmpegs()[0].suspend()

    wait_until(lambda: len(rtmp.publications) == 2 and rtmp.publishing)
    assert rtmp.overlaps() == []
    assert farm.client.attempts(job.id).attempts[0].failure_class is FailureClass.STALLED
