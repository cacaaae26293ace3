"""What people do to jobs and nodes in the simulated farm, in any state, and what they are told."""

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
    "cancel": {"pending", "running", "canceled"},
    "retry": {"pending", "failed", "canceled"},
    "reprioritize": {"pending"},
}
"""In which states a command is carried out, or had been before; in any other it is refused."""
VERBS = {"cancel": 4, "retry": 2, "reprioritize": 4, "drain": 3, "undrain": 2, "remove": 2}
CANCEL_RACES = 0.04
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
        for verb in rng.choices(list(VERBS), weights=list(VERBS.values()), k=rng.randint(2, 7)):
            act = partial(self._to_a_job if verb in MAY else self._to_a_node, verb)
            self._world.after(rng.uniform(2.0, until), act)

    def keep_open(self) -> None:
        """From now on no node stays drained, whoever set it aside."""
        for node in self._nodes:
            self._send(partial(self._undrain, node.name))
        self._world.after(OPEN_AGAIN_SECONDS, self.keep_open)

    def _to_a_job(self, verb: str) -> None:
        if self._clients.known:
            self._command(verb, self._world.rng.choice(self._clients.known))

    def _command(self, verb: str, job_id: str) -> None:
        rng, jobs = self._world.rng, self._world.farm.jobs
        act: Callable[[], object]
        if verb == "reprioritize":
            queue, priority = rng.choice([None, *Queue]), rng.choice([None, *Priority])
            act = partial(jobs.reprioritize, job_id, queue=queue, priority=priority)
        else:
            act = partial(jobs.cancel if verb == "cancel" else jobs.retry, job_id)
        self._send(partial(self._judged, verb, job_id, act))

    def _judged(self, verb: str, job_id: str, act: Callable[[], object]) -> None:
        was = self._status(job_id)
        try:
            act()
        except Conflict:
            _require(was not in MAY[verb], f"{verb} of a job that is {was} was refused")
            _require(self._status(job_id) == was, f"a refused {verb} changed {job_id}")
        else:
            _require(was in MAY[verb], f"{verb} of a job that is {was} was answered")

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


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
