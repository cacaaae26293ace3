"""What the farm surely heard, and when: kept beside it, from the requests that it carried out."""

from collections.abc import Callable
from typing import Any

from ffrtmp.domain.attempt import Attempt, Order, Outcome, Report
from ffrtmp.domain.errors import NodeNotAccepting, Unavailable
from ffrtmp.domain.job import Job
from ffrtmp.domain.node import Registration
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.services.nodes import Beat, BeatAnswer, NodeView, Registered
from tests.simulation.database import Died
from tests.simulation.work import Key
from tests.simulation.world import RULES, World

EXTRA_SECONDS = 10.0
"""By which a step of the master's clock may make farm time run ahead."""

OnClaim = Callable[[Claim], Callable[[Grant | None, bool], None]]
"""What judges a claim's answer: a grant or None, or that the node or device takes no work."""
OnCompleted = Callable[[Report], None]


class Ears:
    """Wraps the services of one world; ``on_claim`` is called around each claim, and
    ``on_completed`` after each report of a success."""

    def __init__(self, world: World, on_claim: OnClaim, on_completed: OnCompleted) -> None:
        self._world = world
        self._on_claim = on_claim
        self._on_completed = on_completed
        self.trusted: set[str] = set()
        """Nodes that an operator let back into work since somebody last looked here."""
        self._heard: dict[str, float] = {}
        self._renewed: dict[Key, float] = {}
        self._seqs: dict[tuple[str, int], int] = {}
        self.unjudged: set[str] = set()
        """Nodes of which a report was stored, and then an error told."""
        attempts, of_nodes = world.farm.attempts, world.farm.nodes
        self._claim, self._commit, self._report = attempts.claim, attempts.commit, attempts.report
        self._heartbeat, self._register = of_nodes.heartbeat, of_nodes.register
        self._undrain = of_nodes.undrain
        vars(attempts).update(claim=self.claim, commit=self.commit, report=self.report)
        vars(of_nodes).update(
            heartbeat=self.heartbeat, register=self.register, undrain=self.undrain
        )

    def may_be_silent(self, node_id: str) -> bool:
        """Whether the node has not been heard for as long as makes it offline."""
        return self._is_over(self._heard.get(node_id, 0.0))

    def may_have_run_out(self, key: Key) -> bool:
        """Whether no request has renewed this lease for as long as it lasts."""
        return self._is_over(self._renewed.get(key, 0.0))

    def claim(self, asked: Claim) -> Grant | None:
        """AttemptService.claim."""
        judge = self._on_claim(asked)
        try:
            grant = self._claim(asked)
        except NodeNotAccepting:
            judge(None, True)
            raise
        judge(grant, False)
        if grant is not None:
            self._renewed.setdefault(_key(grant.attempt), self._world.seconds)
        return grant

    def commit(self, job_id: str, number: int, **said: Any) -> Job:
        """AttemptService.commit."""
        job = self._commit(job_id, number, **said)
        self._renewed[job_id, number] = self._world.seconds
        return job

    def report(self, said: Report) -> Job:
        """AttemptService.report."""
        try:
            job = self._report(said)
        except (Unavailable, Died):
            self.unjudged.add(said.node_id)
            raise
        self.unjudged.discard(said.node_id)
        if said.outcome is Outcome.COMPLETED:
            self._on_completed(said)
        return job

    def heartbeat(self, beat: Beat) -> BeatAnswer:
        """NodeService.heartbeat."""
        answer = self._heartbeat(beat)
        if beat.seq > self._seqs.get((beat.node_id, beat.epoch), 0):
            self._seqs[beat.node_id, beat.epoch] = beat.seq
            self._heard[beat.node_id] = self._world.seconds
            for said, order in answer.orders:
                if order in (Order.GO_ON, Order.PAUSE):
                    self._renewed[said.job_id, said.number] = self._world.seconds
        return answer

    def register(self, said: Registration) -> Registered:
        """NodeService.register."""
        registered = self._register(said)
        node = registered.view.node
        if (node.id, node.epoch) not in self._seqs:
            self._seqs[node.id, node.epoch] = 0
            self._heard[node.id] = self._world.seconds
        return registered

    def undrain(self, reference: str) -> NodeView:
        """NodeService.undrain."""
        view = self._undrain(reference)
        self.trusted.add(view.node.id)
        return view

    def _is_over(self, since: float) -> bool:
        jumps = sum(at >= since - RULES.max_advance_seconds for at in self._world.clock_jumps)
        least = RULES.node_timeout_seconds - EXTRA_SECONDS * jumps
        return self._world.seconds - since >= least - 0.001


def _key(attempt: Attempt) -> Key:
    return (attempt.job_id, attempt.number)
