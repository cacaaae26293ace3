"""What people do to jobs and nodes in the simulated farm, in any state, and what they are told."""

import json
from collections.abc import Callable
from functools import partial

from ffrtmp.domain.errors import Conflict, FarmError, NodeHasWork, NotFound
from ffrtmp.domain.ranking import Priority, Queue
from tests.simulation.clients import Clients
from tests.simulation.network import Unreachable
from tests.simulation.node import SimNode
from tests.simulation.work import Work
from tests.simulation.world import Violation, World

MAY = {
    "cancel": {"pending", "running", "paused", "canceled"},
    "retry": {"pending", "failed", "canceled"},
    "reprioritize": {"pending"},
    "pause": {"running", "paused"},
    "resume": {"running", "paused"},
}
"""In which states a command is carried out, or had been before; in any other it is refused."""
OF_FILES_ONLY = ("pause", "resume")
VERBS = {
    "cancel": 4,
    "retry": 2,
    "reprioritize": 4,
    "pause": 8,
    "resume": 2,
    "drain": 3,
    "undrain": 2,
    "remove": 2,
    "pause_queue": 5,
}
CANCEL_RACES = 0.04
PAUSED_SECONDS = (5.0, 25.0, 90.0)
OPEN_AGAIN_SECONDS = 60.0


class Operators:
    """Some commands at random moments; every answer is compared with the row before it."""

    def __init__(self, world: World, clients: Clients, nodes: list[SimNode]) -> None:
        self._world = world
        self._clients = clients
        self._nodes = nodes
        for node in nodes:
            node.delivery.before_commit = self._race

    def plan(self, until: float) -> None:
        """Draw the commands."""
        rng = self._world.rng
        for verb in rng.choices(list(VERBS), weights=list(VERBS.values()), k=rng.randint(2, 9)):
            self._world.after(rng.uniform(2.0, until), partial(self._do, verb))

    def keep_open(self) -> None:
        """From now on nothing stays paused, and no node drained; what was set aside proves itself
        by a canary job."""
        ((paused,),) = self._world.store.sql("SELECT json(paused_queues) FROM farm")
        for name in json.loads(paused):
            # Only those: whoever resumes a queue rings for it, as a pass should.
            self._send(partial(self._resume_queue, Queue(name)))
        for (job_id,) in self._world.store.sql("SELECT id FROM jobs WHERE status = 'paused'"):
            self._command("resume", job_id)
        drained = (
            "SELECT id FROM nodes WHERE is_draining AND json_extract(set_aside, '$.node') IS NULL"
        )
        for (name,) in self._world.store.sql(drained):
            self._send(partial(self._undrain, name))
        self._world.after(OPEN_AGAIN_SECONDS, self.keep_open)

    def _do(self, verb: str) -> None:
        if verb == "pause_queue":
            self._pause_queue(self._world.rng.choice(list(Queue)))
        elif verb in MAY:
            self._to_a_job(verb)
        else:
            self._to_a_node(verb)

    def _to_a_job(self, verb: str) -> None:
        if not self._clients.known:
            return
        known = self._clients.known
        running = [one for one in known if self._status(one) == "running"]
        job_id = self._world.rng.choice(running if verb == "pause" and running else known)
        self._command(verb, job_id)
        if verb == "pause":
            seconds = self._world.jitter(self._world.rng.choice(PAUSED_SECONDS))
            self._world.after(seconds, partial(self._command, "resume", job_id))

    def _pause_queue(self, queue: Queue) -> None:
        queues = self._world.farm.queues

        def pause() -> None:
            queues.pause(queue, reason="an operator says so")

        self._send(pause)
        seconds = self._world.jitter(self._world.rng.choice(PAUSED_SECONDS))
        self._world.after(seconds, lambda: self._send(partial(self._resume_queue, queue)))

    def _resume_queue(self, queue: Queue) -> None:
        self._world.farm.queues.resume(queue)

    def _command(self, verb: str, job_id: str) -> None:
        rng, jobs = self._world.rng, self._world.farm.jobs
        act: Callable[[], object]
        if verb == "reprioritize":
            queue, priority = rng.choice([None, *Queue]), rng.choice([None, *Priority])
            act = partial(jobs.reprioritize, job_id, queue=queue, priority=priority)
        else:
            act = partial(getattr(jobs, verb), job_id)
        self._send(partial(self._judged, verb, job_id, act))

    def _judged(self, verb: str, job_id: str, act: Callable[[], object]) -> None:
        was = self._status(job_id)
        may = was in MAY[verb] and not (verb in OF_FILES_ONLY and self._is_stream(job_id))
        try:
            act()
        except Conflict:
            _require(not may, f"{verb} of a job that is {was} was refused")
            _require(self._status(job_id) == was, f"a refused {verb} changed {job_id}")
        else:
            _require(may, f"{verb} of a job that is {was} was answered")
            is_paused = self._status(job_id) == "paused"
            _require(verb != "pause" or is_paused, f"{job_id} was not paused")

    def _to_a_node(self, verb: str) -> None:
        name = self._world.rng.choice(self._nodes).name
        acts = {"drain": self._drain, "undrain": self._undrain, "remove": self._remove}
        self._send(partial(acts[verb], name))

    def _drain(self, name: str) -> None:
        self._world.farm.nodes.drain(name, reason="an operator says so")

    def _undrain(self, name: str) -> None:
        self._world.farm.nodes.undrain(name)

    def _remove(self, name: str) -> None:
        query = "SELECT count(*) FROM attempts WHERE node_id = ? AND state <> 'ended'"
        ((held,),) = self._world.store.sql(query, name)
        try:
            self._world.farm.nodes.remove(name)
        except NotFound:
            return
        except NodeHasWork:
            _require(held > 0, f"{name} holds nothing and was not removed")
        else:
            _require(held == 0, f"{name} was removed with {held} leases")

    def _race(self, work: Work) -> None:
        """A cancel that comes just before a commit."""
        if self._world.rng.random() < CANCEL_RACES:
            self._command("cancel", work.key[0])

    def _send(self, request: Callable[[], None]) -> None:
        try:
            self._world.network.call(request, can_reach=lambda: True)
        except (Unreachable, FarmError):
            return  # an operator looks again, or does not care

    def _status(self, job_id: str) -> str:
        ((status,),) = self._world.store.sql("SELECT status FROM jobs WHERE id = ?", job_id)
        return str(status)

    def _is_stream(self, job_id: str) -> bool:
        ((found,),) = self._world.store.sql("SELECT is_stream FROM jobs WHERE id = ?", job_id)
        return bool(found)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
