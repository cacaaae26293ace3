"""The farm's invariants, read from events, rows and files, never from the code under test."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ffrtmp.domain.attempt import Report
from ffrtmp.services.attempts import Claim, Grant
from tests.simulation.due import Row, base_rank, due_for, farm_reading
from tests.simulation.ears import Ears
from tests.simulation.history import SPENDING, History
from tests.simulation.node import SimNode
from tests.simulation.work import Fate
from tests.simulation.world import Violation, World

TERMINAL = ("completed", "failed", "canceled")
LEASED = {"running": "running", "paused": "running", "committing": "committing"}
"""Statuses of jobs that hold a lease, and the state that their attempt then has."""
ROUNDING = 1e-6


class Checker:
    """Watches one world; raises Violation at the first fact that must not be."""

    def __init__(self, world: World, nodes: Sequence[SimNode], fates: Mapping[str, Fate]) -> None:
        self._world = world
        self._nodes = {node.name: node for node in nodes}
        self._ears = Ears(world, self._on_claim, self._on_completed)
        world.look = self.turn
        self._history = History(world, self._nodes, fates, self._ears)

    def turn(self) -> None:
        """After every simulated event."""
        self._one_publisher()
        for job_id in sorted(self._history.read()):
            self._job_fits(job_id)

    def end(self, submissions: int) -> None:
        """When the world has come to rest."""
        jobs = self._world.store.sql("SELECT id, status FROM jobs")
        held = self._world.store.sql("SELECT job_id, number FROM attempts WHERE state <> 'ended'")
        _require(not held, f"{held} are held by nobody's job")
        _require(len(jobs) == submissions, f"{submissions} submits made {len(jobs)} jobs")
        for job_id, status in jobs:
            _require(status in TERMINAL, f"{job_id} is stuck: {status}")
            self._job_fits(job_id)
            self._file_is_right(job_id)

    def is_at_rest(self, submissions: int) -> bool:
        """Whether every job has ended."""
        query = "SELECT count(*) FROM jobs WHERE status IN ('completed', 'failed', 'canceled')"
        ((ended,),) = self._world.store.sql(query)
        return bool(ended == submissions)

    # streams

    def _one_publisher(self) -> None:
        publishing = Counter(
            work.key[0]
            for node in self._nodes.values()
            if node.process is not None
            for work in node.process.running.values()
            if node.is_publishing(work)
        )
        twice = [job_id for job_id, count in publishing.items() if count > 1]
        _require(not twice, f"two nodes publish {twice}")

    # claims

    def _on_claim(self, asked: Claim) -> Callable[[Grant | None, bool], None]:
        """What this claim must be answered, worked out before it is."""
        sql = self._world.store.sql
        query = "SELECT job_id, number FROM attempts WHERE node_id = ? AND claim_id = ?"
        earlier = sql(query, asked.node_id, asked.claim_id)
        rows = Row.all_of(self._world)
        row = rows.get(asked.node_id)
        is_current = row is not None and row.epoch == asked.epoch
        due = due_for(self._world, asked, row, rows.values()) if row and is_current else None
        may_take_work = self._history.may_take_work(asked.node_id, asked.device)

        def judge(grant: Grant | None, is_refused: bool) -> None:
            key = (grant.job.id, grant.attempt.number) if grant else None
            if earlier:
                _require(key in (None, *earlier), f"{asked} got {key}, and {earlier} before")
                return
            if due is None:
                raise Violation(f"{asked} was answered at another epoch")
            _require(is_refused != due.is_open, f"{asked} was refused: {is_refused}")
            if is_refused:
                return
            _require(grant is None or due.has_room, f"{asked} got {key} beyond its slots")
            is_trusted = may_take_work or due.is_canary
            _require(grant is None or is_trusted, f"{asked} got {key}, though it fails all")
            got = grant.job.id if grant else None
            _require(got == due.best, f"{asked} got {got}, {due.best} was due")
            if due.goes_on is not None:
                paused = "SELECT pause FROM attempts WHERE job_id = ? AND number = ?"
                _require(sql(paused, *due.goes_on) == [(None,)], f"{due.goes_on} did not go on")

        return judge

    def _on_completed(self, said: Report) -> None:
        """What proved itself with a job is set aside no more."""
        rows = self._world.store.sql(
            "SELECT claimed_farm, device, json(set_aside) FROM attempts "
            "JOIN nodes ON nodes.id = node_id WHERE job_id = ? AND number = ?",
            said.job_id,
            said.number,
        )
        for claimed_farm, device, aside in rows:
            for name, one in json.loads(aside).items():
                proved = name in ("node", device) and claimed_farm > one["since_farm"]
                _require(not proved, f"{name} of {said.node_id} proved itself and is set aside")

    # rows

    def _job_fits(self, job_id: str) -> None:
        sql = self._world.store.sql
        query = "SELECT status, attempt, failures, max_retries, node_id FROM jobs WHERE id = ?"
        ((status, attempt, failures, max_retries, node_id),) = sql(query, job_id)
        name = f"{job_id} ({status})"
        rows = sql(
            "SELECT number, state, outcome, node_id, pause FROM attempts "
            "WHERE job_id = ? ORDER BY number",
            job_id,
        )
        paused = [row[0] for row in rows if row[4] is not None]
        _require(paused == [attempt] * (status == "paused"), f"{name} is suspended as {paused}")
        numbers = [row[0] for row in rows]
        _require(numbers == list(range(1, attempt + 1)), f"{name} ran as {numbers} of {attempt}")
        live = {row[0]: (row[1], row[3]) for row in rows if row[1] != "ended"}
        held = {attempt: (LEASED[status], node_id)} if status in LEASED else {}
        _require(live == held, f"{name} is held as {live}")
        accepted = [row[0] for row in rows if row[2] == "completed"]
        _require(len(accepted) == (status == "completed"), f"{name} accepted {accepted}")
        began = self._history.life_began[job_id]
        spent = sum(row[0] > began and row[2] in SPENDING for row in rows)
        least = 0 if job_id in self._history.forgiven else spent
        _require(least <= failures <= spent, f"{name} has {failures} failures of {spent}")
        _require(failures <= 1 + max_retries, f"{name} failed {failures} times")
        if status == "pending":
            self._rank_fits(job_id)

    def _rank_fits(self, job_id: str) -> None:
        """Queue and priority say it, less what waiting may have earned."""
        query = "SELECT queue, priority, rank, base_rank, waiting_farm FROM jobs WHERE id = ?"
        ((queue, priority, rank, base, since),) = self._world.store.sql(query, job_id)
        strict, max_wait = base_rank(queue, priority), self._world.rules.max_wait_seconds
        # A reading falls back where the pass after it finds that no API was alive.
        waited = max(0.0, farm_reading(self._world) - since)
        earned = 0 if max_wait is None else int(waited / (max_wait / 8) + ROUNDING)
        fits = base == strict and max(0, strict - earned) <= rank <= strict
        _require(fits, f"{job_id} ({queue}/{priority}) has rank {rank} after {waited:.1f} s")

    def _file_is_right(self, job_id: str) -> None:
        query = "SELECT status, is_stream, failure_reason, result FROM jobs WHERE id = ?"
        ((status, is_stream, reason, result),) = self._world.store.sql(query, job_id)
        content = self._world.disk.files.get(job_id)
        _require(reason != "output_exists", f"{job_id} found a stranger's file")
        if is_stream:
            _require(content is None, f"{job_id} is a stream and left a file")
        elif status == "completed":
            accepted = json.loads(result)["sha256"]
            _require(content == accepted, f"{job_id} published {content}, accepted {accepted}")
        elif content is not None:
            committed = "SELECT sha256 FROM attempts WHERE job_id = ?"
            known = [row[0] for row in self._world.store.sql(committed, job_id)]
            _require(content in known, f"{job_id} is {status} and left a file")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
