"""The farm's invariants, read from events, rows and files, never from the code under test."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ffrtmp.services.attempts import Claim, Grant
from tests.simulation.ears import Ears
from tests.simulation.history import SPENDING, History
from tests.simulation.node import SimNode
from tests.simulation.work import Fate
from tests.simulation.world import RULES, Violation, World

TERMINAL = ("completed", "failed", "canceled")
LEASED = ("running", "committing")
TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


class Checker:
    """Watches one world; raises Violation at the first fact that must not be."""

    def __init__(self, world: World, nodes: Sequence[SimNode], fates: Mapping[str, Fate]) -> None:
        self._world = world
        self._nodes = {node.name: node for node in nodes}
        self._ears = Ears(world, self._on_claim)
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

    def _on_claim(self, asked: Claim) -> Callable[[Grant | None], None]:
        """What this claim must be answered, worked out before it is."""
        sql = self._world.store.sql
        query = "SELECT job_id, number FROM attempts WHERE node_id = ? AND claim_id = ?"
        earlier = sql(query, asked.node_id, asked.claim_id)
        nodes = sql(
            "SELECT epoch, json_extract(devices, '$[0].slots') - slots_lost, is_draining, "
            "is_offline, queues, json_extract(devices, '$[0].capabilities') "
            "FROM nodes WHERE id = ?",
            asked.node_id,
        )
        live = "SELECT count(*) FROM attempts WHERE node_id = ? AND state <> 'ended'"
        ((held,),) = sql(live, asked.node_id)
        may_take_work = self._history.may_take_work(asked.node_id)
        best = self._best_for(asked.node_id, nodes[0][4], nodes[0][5]) if nodes else None

        def judge(grant: Grant | None) -> None:
            key = (grant.job.id, grant.attempt.number) if grant else None
            if earlier:
                _require(key in (None, *earlier), f"{asked} got {key}, and {earlier} before")
                return
            epoch, slots, is_draining, is_offline, *_ = nodes[0]
            _require(epoch == asked.epoch, f"{asked} was answered at epoch {epoch}")
            _require(not (is_draining or is_offline), f"{asked} was answered, though not open")
            _require(grant is None or held < slots, f"{asked} got {key} beyond {slots} slots")
            _require(grant is None or may_take_work, f"{asked} got {key}, though it fails all")
            expected = best if held < slots else None
            got = grant.job.id if grant else None
            _require(got == expected, f"{asked} got {got}, {expected} was due")

        return judge

    def _best_for(self, node_id: str, queues: str, capabilities: str) -> str | None:
        """The best-ranked job that is due and that the node can run."""
        now = self._world.now().strftime(TIME_FORMAT)
        rows = self._world.store.sql(
            "SELECT id, queue, requires FROM jobs WHERE status = 'pending' "
            "AND (retry_at IS NULL OR retry_at <= ?) "
            "AND (hold_until_farm IS NULL OR hold_until_farm <= ?) "
            "AND (avoid_until IS NULL OR avoid NOT LIKE ? OR avoid_until <= ?) "
            "ORDER BY CASE queue WHEN 'live' THEN 0 WHEN 'default' THEN 1 ELSE 2 END, "
            "CASE priority WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, sequence_number",
            now,
            self._reading(),
            f"%|{node_id}|%",
            now,
        )
        heard, able = json.loads(queues), json.loads(capabilities)
        return next((row[0] for row in rows if row[1] in heard and row[2] in able), None)

    def _reading(self) -> float:
        query = "SELECT seconds, (julianday(?) - julianday(last_pass_at)) * 86400 FROM farm"
        ((seconds, gone),) = self._world.store.sql(query, self._world.now().strftime(TIME_FORMAT))
        return float(seconds + min(max(gone, 0.0), RULES.max_advance_seconds))

    # rows

    def _job_fits(self, job_id: str) -> None:
        sql = self._world.store.sql
        query = "SELECT status, attempt, failures, max_retries, node_id FROM jobs WHERE id = ?"
        ((status, attempt, failures, max_retries, node_id),) = sql(query, job_id)
        name = f"{job_id} ({status})"
        rows = sql(
            "SELECT number, state, outcome, node_id FROM attempts WHERE job_id = ? ORDER BY number",
            job_id,
        )
        numbers = [row[0] for row in rows]
        _require(numbers == list(range(1, attempt + 1)), f"{name} ran as {numbers} of {attempt}")
        live = {row[0]: (row[1], row[3]) for row in rows if row[1] != "ended"}
        held = {attempt: (status, node_id)} if status in LEASED else {}
        _require(live == held, f"{name} is held as {live}")
        accepted = [row[0] for row in rows if row[2] == "completed"]
        _require(len(accepted) == (status == "completed"), f"{name} accepted {accepted}")
        began = self._history.life_began[job_id]
        spent = sum(row[0] > began and row[2] in SPENDING for row in rows)
        least = 0 if job_id in self._history.forgiven else spent
        _require(least <= failures <= spent, f"{name} has {failures} failures of {spent}")
        _require(failures <= 1 + max_retries, f"{name} failed {failures} times")

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
