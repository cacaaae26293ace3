"""Hosts or their master are away for longer than the node timeout; some come back too late."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ffrtmp.client import MasterRefused
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.schemas import CommitRequest, JobAnswer
from tests.chaos.conftest import StartHost
from tests.chaos.farm import ChaosFarm
from tests.chaos.host import Gate, Host, is_accepted, names, output_of
from tests.chaos.lines import COMMIT, REPORT
from tests.integration.agents import AgentProcess
from tests.waiting import wait_until
from workers.spool import Journal, Phase

NODE_TIMEOUT = 3.0
FARM_SETTINGS = {"node_timeout": NODE_TIMEOUT}
"""One that finds silence out soon."""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A destination that every host reaches, in a folder of its own."""
    return tmp_path / "films" / "film.mp4"


def status_of(farm: ChaosFarm, host: Host) -> NodeStatus:
    return farm.client.node(host.name).status


def outcomes(farm: ChaosFarm, job: JobAnswer) -> list[tuple[str, Outcome | None]]:
    """Of every attempt: where it ran, how it ended."""
    return [(one.node_name, one.outcome) for one in farm.client.attempts(job.id).attempts]


def of_two(journals: list[Journal]) -> list[Journal]:
    """Both, once there are two."""
    return journals if len(journals) == 2 else []


def identity(path: Path | None) -> tuple[int, int]:
    """Differs where another file was put there, or the same one was written again."""
    assert path is not None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def wait_until_at_rest(farm: ChaosFarm, host: Host) -> None:
    """Return when the host is back and answers for nothing any more."""
    wait_until(lambda: not host.agent.journals(), what="an empty spool")
    wait_until(lambda: status_of(farm, host) is NodeStatus.AVAILABLE)
    assert not host.agent.ffmpegs()


def refusal_of_commit(host: Host, journal: Journal) -> tuple[int, str]:
    """Status and code of the answer to a commit under this lease."""
    said = CommitRequest(lease=journal.lease, size=journal.size, sha256=journal.sha256)
    with host.speaker() as client, pytest.raises(MasterRefused) as refused:
        client.commit(journal.job_id, journal.attempt, said)
    return refused.value.status, refused.value.code


def refusal_of_report(host: Host, journal: Journal) -> tuple[int, str]:
    """Status and code of the answer to this attempt's report."""
    assert journal.result is not None
    with host.speaker() as client, pytest.raises(MasterRefused) as refused:
        client.report(journal.result)
    return refused.value.status, refused.value.code


@contextlib.contextmanager
def asleep(agent: AgentProcess, *, with_children: bool = False) -> Iterator[None]:
    """Stopped as by SIGSTOP; its children go on unless they are to sleep as well."""
    sleepers = [psutil.Process(agent.popen.pid), *(agent.descendants() if with_children else ())]
    for process in sleepers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in sleepers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def went_offline(farm: ChaosFarm, host: Host) -> bool:
    """Whether it was ever declared so."""
    node_id = farm.client.node(host.name).id
    with farm.store() as store, store.read() as tx:
        events = tx.events.after(0, limit=1_000_000)
    return any(it.kind is EventKind.NODE_OFFLINE and it.node_id == node_id for it in events)


def test_job_of_a_host_that_is_lost_for_good_runs_elsewhere_for_one_retry(
    farm: ChaosFarm, start_host: StartHost, gate: Gate, film: Path
) -> None:
    lost = start_host("lost", ffmpeg=gate.ffmpeg)
    job = farm.submit(output=str(film))
    (left,) = wait_until(lambda: list(film.parent.glob(".*.part")))

    lost.be_lost()
    start_host("heir")

    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert outcomes(farm, job) == [("lost", Outcome.NODE_LOST), ("heir", Outcome.COMPLETED)]
    assert done.retry_count == 1
    assert is_accepted(film, done)
    assert not left.exists()
    wait_until(lambda: status_of(farm, lost) is NodeStatus.OFFLINE)


def test_host_back_with_finished_encodes_of_lost_attempts_publishes_none_of_them(
    farm: ChaosFarm, start_host: StartHost, gate: Gate, film: Path
) -> None:
    zombie = start_host("zombie", slots=2, ffmpeg=gate.ffmpeg)
    jobs = [farm.submit(output=str(film)), farm.submit()]
    wait_until(lambda: len(zombie.spooled(Phase.RUNNING)) == 2)

    zombie.cut_off()
    gate.open()
    late = wait_until(lambda: of_two(zombie.spooled(Phase.ENCODED)))
    winner = start_host("winner", slots=2)
    done = [farm.wait_for(job, JobStatus.COMPLETED) for job in jobs]
    refused = [refusal_of_commit(zombie, journal) for journal in late]
    zombie.come_back()

    wait_until_at_rest(farm, zombie)
    assert refused == [(409, "stale_lease")] * 2
    assert [farm.client.job(job.id) for job in jobs] == done
    for job in done:
        assert outcomes(farm, job) == [("zombie", Outcome.NODE_LOST), ("winner", Outcome.COMPLETED)]
        assert is_accepted(output_of(job), job)
    assert names(film.parent) == [film.name]
    assert names(zombie.output) == []
    assert names(winner.output) == [output_of(done[1]).name]


def test_host_back_while_another_reruns_its_job_touches_nothing_of_it(
    farm: ChaosFarm, start_host: StartHost, gate: Gate, film: Path
) -> None:
    zombie = start_host("early", ffmpeg=gate.ffmpeg)
    job = farm.submit(output=str(film))
    (left,) = wait_until(lambda: list(film.parent.glob(".*.part")))

    zombie.cut_off()
    start_host("slow", ffmpeg=gate.ffmpeg)
    (growing,) = wait_until(lambda: set(film.parent.glob(".*.part")) - {left})
    zombie.come_back()

    wait_until_at_rest(farm, zombie)
    assert list(film.parent.iterdir()) == [growing]
    gate.open()
    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert outcomes(farm, job) == [("early", Outcome.NODE_LOST), ("slow", Outcome.COMPLETED)]
    assert is_accepted(film, done)
    assert names(film.parent) == [film.name]


def test_host_cut_off_between_rename_and_report_deletes_nothing_when_it_reports_too_late(
    farm: ChaosFarm, start_host: StartHost, film: Path
) -> None:
    first = start_host("renamed", slots=2)
    first.to_api.hold_requests(to=REPORT)
    jobs = [farm.submit(output=str(film)), farm.submit()]
    late = wait_until(lambda: of_two(first.spooled(Phase.PUBLISHED)))

    first.cut_off()
    published = [identity(journal.destination) for journal in late]
    start_host("reruns", slots=2)
    done = [farm.wait_for(job, JobStatus.COMPLETED) for job in jobs]
    refused = [refusal_of_report(first, journal) for journal in late]
    first.come_back()

    wait_until_at_rest(farm, first)
    assert refused == [(409, "stale_lease")] * 2
    assert [farm.client.job(job.id) for job in jobs] == done
    for job in done:
        assert outcomes(farm, job) == [
            ("renamed", Outcome.NODE_LOST),
            ("reruns", Outcome.COMPLETED),
        ]
        assert is_accepted(output_of(job), job)
    assert [identity(journal.destination) for journal in late] == published
    assert names(film.parent) == [film.name]
    assert len(names(first.output)) == 1


def test_host_asleep_when_its_commit_was_answered_publishes_nothing_on_waking(
    farm: ChaosFarm, start_host: StartHost
) -> None:
    sleeper = start_host("committed")
    sleeper.to_api.hold_answers(to=COMMIT)
    job = farm.submit()
    farm.wait_for(job, JobStatus.COMMITTING)
    wait_until(lambda: sleeper.to_api.is_holding)

    with asleep(sleeper.agent):
        sleeper.to_api.heal()
        start_host("rested")
        done = farm.wait_for(job, JobStatus.COMPLETED)

    wait_until_at_rest(farm, sleeper)
    assert outcomes(farm, job) == [("committed", Outcome.NODE_LOST), ("rested", Outcome.COMPLETED)]
    assert farm.client.job(job.id) == done
    assert names(sleeper.output) == []
    assert is_accepted(output_of(done), done)


def test_agents_frozen_for_thrice_the_node_timeout_report_and_publish_nothing_on_waking(
    farm: ChaosFarm, start_host: StartHost, gate: Gate
) -> None:
    alone, whole = (start_host(name, ffmpeg=gate.ffmpeg) for name in ("alone", "whole"))
    jobs = [farm.submit() for _ in range(2)]
    for host in (alone, whole):
        wait_until(host.agent.ffmpegs)

    began = time.monotonic()
    with asleep(alone.agent), asleep(whole.agent, with_children=True):
        gate.open()
        start_host("awake", slots=2)
        done = [farm.wait_for(job, JobStatus.COMPLETED) for job in jobs]
        wait_until(lambda: time.monotonic() > began + 3 * NODE_TIMEOUT)

    for host in (alone, whole):
        wait_until_at_rest(farm, host)
        assert names(host.output) == []
    assert [farm.client.job(job.id) for job in jobs] == done
    for job in done:
        assert [end for _, end in outcomes(farm, job)] == [Outcome.NODE_LOST, Outcome.COMPLETED]
        assert is_accepted(output_of(job), job)


def test_encodes_go_on_without_a_master_and_count_when_it_is_back(
    farm: ChaosFarm, start_host: StartHost, gate: Gate
) -> None:
    host = start_host("faithful", slots=2, ffmpeg=gate.ffmpeg)
    quick, slow = farm.submit(output="quick.mp4"), farm.submit(output="slow.mp4")
    wait_until(lambda: len(host.agent.parts()) == 2)

    with farm.without_master(seconds=2 * NODE_TIMEOUT):
        gate.open("quick")
        wait_until(lambda: host.spooled(Phase.ENCODED))

    first = farm.wait_for(quick, JobStatus.COMPLETED)
    assert farm.client.job(slow.id).status is JobStatus.RUNNING
    gate.open("slow")
    for done in (first, farm.wait_for(slow, JobStatus.COMPLETED)):
        assert outcomes(farm, done) == [("faithful", Outcome.COMPLETED)]
        assert is_accepted(output_of(done), done)
    assert not went_offline(farm, host)
