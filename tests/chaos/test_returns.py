"""Agents and hosts that are back before the farm gives them up, and what becomes of them."""

import contextlib
import time

import psutil
import pytest

from ffrtmp.client import MasterRefused
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.conftest import StartHost
from tests.chaos.farm import ChaosFarm
from tests.chaos.host import Gate, is_accepted, names, output_of
from tests.chaos.lines import COMMIT
from tests.waiting import wait_until
from workers.spool import Phase

FARM_SETTINGS = {"node_timeout": 60.0}
"""One that gives nobody up before the end of a test."""
CUT_SECONDS = 2.0


def refusal_of_removal(farm: ChaosFarm, node: str) -> tuple[int, str]:
    """Status and code of the answer."""
    with pytest.raises(MasterRefused) as refused:
        farm.client.remove_node(node)
    return refused.value.status, refused.value.code


def its_second_attempt(farm: ChaosFarm, job: JobAnswer) -> JobAnswer | None:
    """The job, once its second attempt runs."""
    found = farm.client.job(job.id)
    return found if (found.status, found.attempt) == (JobStatus.RUNNING, 2) else None


def test_host_cut_off_for_less_than_the_node_timeout_delivers_what_it_finished_meanwhile(
    farm: ChaosFarm, start_host: StartHost, gate: Gate
) -> None:
    host = start_host("away", ffmpeg=gate.ffmpeg)
    job = farm.submit()
    wait_until(host.agent.ffmpegs)

    host.cut_off()
    gate.open()
    wait_until(lambda: host.spooled(Phase.ENCODED))
    time.sleep(CUT_SECONDS)
    host.come_back()

    done = farm.wait_for(job, JobStatus.COMPLETED)
    (only,) = farm.client.attempts(job.id).attempts
    assert (only.outcome, done.retry_count) == (Outcome.COMPLETED, 0)
    assert is_accepted(output_of(done), done)


@pytest.mark.parametrize("is_master_away", [False, True], ids=["alone", "while no master runs"])
def test_agent_killed_and_restarted_delivers_what_it_finished_and_frees_what_it_ran(
    farm: ChaosFarm, start_host: StartHost, gate: Gate, is_master_away: bool
) -> None:
    host = start_host(f"phoenix {is_master_away}", slots=2, ffmpeg=gate.ffmpeg)
    node = farm.client.node(host.name)
    host.to_api.hold_requests(to=COMMIT)
    finished, running = farm.submit(output="finished.mp4"), farm.submit(output="running.mp4")
    (left,) = wait_until(lambda: list(host.output.glob(".running.*.part")))
    gate.open("finished")
    wait_until(lambda: host.spooled(Phase.ENCODED))
    family = host.agent.descendants()

    with farm.without_master() if is_master_away else contextlib.nullcontext():
        host.agent.kill()
        _, alive = psutil.wait_procs(family, timeout=5)
        host.to_api.lose_held()
        host.to_api.heal()
        host.restart()
        wait_until(lambda: not left.exists(), what="the leftover to be removed")
    host.agent.ready()

    assert alive == []
    again = wait_until(lambda: its_second_attempt(farm, running), seconds=10)
    assert again.retry_count == 1
    delivered = farm.wait_for(finished, JobStatus.COMPLETED)
    assert (delivered.attempt, delivered.retry_count) == (1, 0)
    assert is_accepted(output_of(delivered), delivered)
    gate.open()
    assert farm.wait_for(running, JobStatus.COMPLETED).attempt == 2
    assert farm.client.node(host.name).id == node.id
    assert names(host.output) == ["finished.mp4", "running.mp4"]


def test_busy_node_is_removed_only_when_drained_and_may_come_back_as_new(
    farm: ChaosFarm, start_host: StartHost, gate: Gate
) -> None:
    host = start_host("leaving", ffmpeg=gate.ffmpeg)
    running = farm.submit()
    wait_until(host.agent.ffmpegs)

    when_busy = refusal_of_removal(farm, "leaving")
    farm.client.drain("leaving")
    waiting = farm.submit()
    when_draining = refusal_of_removal(farm, "leaving")
    gate.open()
    drained = farm.wait_for(running, JobStatus.COMPLETED)
    host.agent.end()
    farm.client.remove_node("leaving")
    is_known = "leaving" in [node.name for node in farm.client.nodes().nodes]
    left = farm.client.job(waiting.id)
    host.restart()

    assert when_busy == when_draining == (409, "node_busy")
    assert drained.attempt == 1
    assert not is_known
    assert (left.status, left.attempt) == (JobStatus.PENDING, 0)
    done = farm.wait_for(waiting, JobStatus.COMPLETED)
    assert (done.node_name, done.attempt) == ("leaving", 1)


def test_node_that_registers_again_with_more_slots_fills_them(
    farm: ChaosFarm, start_host: StartHost, gate: Gate
) -> None:
    host = start_host("grown", ffmpeg=gate.ffmpeg)
    before = farm.client.node("grown")
    jobs = [farm.submit() for _ in range(3)]
    wait_until(host.agent.ffmpegs)

    host.agent.end()
    host.restart(slots=3)

    wait_until(lambda: len(host.agent.ffmpegs()) == 3, what="three encodes at once")
    after = farm.client.node("grown")
    assert (before.slots, after.slots, after.id) == (1, 3, before.id)
    gate.open()
    for job in jobs:
        assert farm.wait_for(job, JobStatus.COMPLETED).retry_count == 0
