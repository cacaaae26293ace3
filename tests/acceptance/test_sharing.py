"""Many submitters and many nodes: every job once."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ffrtmp.client import Connection, MasterClient
from ffrtmp.schemas import AttemptAnswer, JobAnswer
from tests.acceptance.farm import RunningFarm
from tests.acceptance.terminals import Terminals

SUBMITTERS = 20
JOBS_EACH = 10
SHORT = {"scenario": "test-360p", "parameters": {"duration": "0.1s"}}


def test_two_agents_share_the_work(terminals: Terminals) -> None:
    terminals.master()
    terminals.agent("--slots", "1", address="east")
    terminals.agent("--slots", "1", address="west")
    jobs = [terminals.client.submit(SHORT) for _ in range(12)]
    ended = [terminals.wait_for(job.id) for job in jobs]

    assert {job.status for job in ended} == {"completed"}
    assert {job.node_name for job in ended} == {"east", "west"}


def test_twenty_submitters_at_once_get_two_hundred_jobs_each_completed_once(
    start_farm: Callable[..., RunningFarm],
) -> None:
    farm = start_farm("--workers", "2", "--slots", "2")
    submitted = _submit_from_threads(Connection(url=farm.api_url, key=farm.api_key))
    jobs = [job for one in submitted for job in one]
    for job in jobs:
        farm.wait_for(job.id, "completed", seconds=240)
    attempts = [_only_attempt(farm, job) for job in jobs]
    outputs = Counter(str((farm.client.job(job.id).result or {})["output"]) for job in jobs)

    numbers = [[job.sequence_number for job in one] for one in submitted]
    assert sorted(n for one in numbers for n in one) == list(range(1, 201))
    assert all(one == sorted(one) for one in numbers)
    assert {attempt.outcome for attempt in attempts} == {"completed"}
    assert len(outputs) == len(jobs)
    assert all(Path(output).stat().st_size for output in outputs)
    assert len({attempt.node_id for attempt in attempts}) == 2


def _submit_from_threads(to: Connection) -> Sequence[Sequence[JobAnswer]]:
    """What each submitter got, in the order it got it."""
    submitted: list[list[JobAnswer]] = [[] for _ in range(SUBMITTERS)]
    all_ready = threading.Barrier(SUBMITTERS)

    def submit(mine: list[JobAnswer]) -> None:
        with MasterClient(to) as master:
            all_ready.wait()
            mine += [master.submit(SHORT) for _ in range(JOBS_EACH)]

    threads = [threading.Thread(target=submit, args=(mine,)) for mine in submitted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return submitted


def _only_attempt(farm: RunningFarm, job: JobAnswer) -> AttemptAnswer:
    (attempt,) = farm.client.attempts(job.id).attempts
    return attempt
