"""A randomized run: jobs and faults from one seed, then rest, then every invariant."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ffrtmp.client import ClientError, MasterRefused, MasterUnavailable, MasterUnreachable
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.faults import Faults
from tests.chaos.host import Host
from tests.chaos.plan import AGENTS, Plan, Request
from tests.invariants import file_violations, violations

SETTINGS: dict[str, Any] = {
    "stall_timeout": 6,
    "live_stall_timeout": 4,
    "retry_cap": 2,
    "max_retries": 20,
    "set_aside_after": 0,  # random kills would set every node aside in time
}
SLOTS = 2
STUCK_SECONDS = 60.0
ASK_AGAIN_SECONDS = 0.3


@dataclass
class Outcome:
    """What a run came to."""

    violations: list[str] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    rest_seconds: float = 0.0


def run(plan: Plan, folder: Path) -> Outcome:
    """Run a plan on a farm of its own under ``folder``."""
    farm = ChaosFarm(folder, **SETTINGS).start()
    hosts: dict[str, Host] = {}
    try:
        hosts |= {name: Host(farm, name, slots=SLOTS, drain_timeout=1) for name in AGENTS}
        faults = Faults(farm, hosts, plan.seed)
        jobs = _act(plan, farm, faults)
        outcome = Outcome(violations=faults.violations, faults=faults.done)
        outcome.rest_seconds = _rest(farm, outcome)
        _check(farm, jobs, outcome)
        return outcome
    finally:
        for host in hosts.values():
            host.close()
        farm.close()


def _act(plan: Plan, farm: ChaosFarm, faults: Faults) -> list[JobAnswer]:
    """Submit and strike, each at its time; every answer to a submit."""
    began = time.monotonic()
    owners = Owners(farm, plan.seed)
    acts: list[tuple[float, Callable[[], None]]] = [
        *((strike.at, _bind(faults.strike, strike)) for strike in plan.strikes),
        *(
            (request.at, _bind(owners.submit, number, request))
            for number, request in enumerate(plan.requests)
        ),
    ]
    with ThreadPoolExecutor(max_workers=64) as pool:
        running = []
        for at, act in sorted(acts, key=lambda one: one[0]):
            time.sleep(max(0.0, began + at - time.monotonic()))
            running.append(pool.submit(act))
        for one in running:
            one.result()
    return owners.jobs


def _bind(act: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: act(*arguments)


class Owners:
    """Who submits jobs, and changes their minds; each asks until the master has answered."""

    def __init__(self, farm: ChaosFarm, seed: int) -> None:
        self._farm, self._seed = farm, seed
        self._lock = threading.Lock()
        self.jobs: list[JobAnswer] = []

    def submit(self, number: int, request: Request) -> None:
        """Submit once, however often it takes, and do what the request says afterwards."""
        client, key = self._farm.client, f"{self._seed}-{number}"
        job = _answered(lambda: client.submit(request.body, idempotency_key=key))
        with self._lock:
            self.jobs.append(job)
        if request.change is None:
            return
        time.sleep(request.after)
        with contextlib.suppress(MasterRefused):  # it may have ended by then
            if request.change == "reprioritize":
                _answered(lambda: client.reprioritize(job.id, queue="live", priority="high"))
                return
            _answered(lambda: client.cancel(job.id))
            if request.change == "retry":
                _answered(lambda: client.retry(job.id))


def _answered(ask: Callable[[], JobAnswer]) -> JobAnswer:
    while True:
        with contextlib.suppress(MasterUnreachable, MasterUnavailable):
            return ask()
        time.sleep(ASK_AGAIN_SECONDS)


def _rest(farm: ChaosFarm, outcome: Outcome) -> float:
    """Wait until every job has ended and every file is delivered; seconds it took.

    However slow the machine: it gives up only when nothing has moved for STUCK_SECONDS.
    """
    began = moved_at = time.monotonic()
    last: object = None
    while (left := _left(farm)) != []:
        now = time.monotonic()
        if left is not None and left != last:
            last, moved_at = left, now
        if now - moved_at > STUCK_SECONDS:
            outcome.violations.append(f"nothing moved for {STUCK_SECONDS:.0f} s; left: {last}")
            break
        time.sleep(ASK_AGAIN_SECONDS)
    return time.monotonic() - began


def _left(farm: ChaosFarm) -> list[str] | None:
    """What is not at rest, and how far it is; None where the master does not answer."""
    try:
        unfinished = [
            f"{job.sequence_number} {job.status} {job.attempt} {job.progress}"
            for status in JobStatus
            if not status.is_terminal
            for job in farm.client.jobs(status=status, limit=1000).jobs
        ]
    except ClientError:
        return None
    files = [str(path) for path in _journals(farm)]
    return unfinished + files + [str(process.pid) for process in _ffmpegs(farm)]


def _check(farm: ChaosFarm, jobs: list[JobAnswer], outcome: Outcome) -> None:
    ids = {job.id for job in jobs}
    with farm.store() as store:
        outcome.violations += violations(store)
        outcome.violations += file_violations(store, *(farm.folder / name for name in AGENTS))
        with store.read() as tx:
            outcome.jobs.update(tx.jobs.count_by_status())
            for job_id in ids:
                outcome.attempts.update(str(a.outcome) for a in tx.attempts.of_job(job_id))
    total = sum(outcome.jobs.values())
    if not len(ids) == len(jobs) == total:
        outcome.violations.append(f"{len(jobs)} submits, {len(ids)} ids, {total} jobs")


def _journals(farm: ChaosFarm) -> list[Path]:
    return [path for name in AGENTS for path in (farm.folder / name).glob("attempts/*/*.json")]


def _ffmpegs(farm: ChaosFarm) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            files = process.open_files() if "ffmpeg" in process.name() else ()
            if any(Path(file.path).is_relative_to(farm.folder) for file in files):
                found.append(process)
    return found
