"""Steps on a farm of real services: what is sent, what is known of it, and how it is judged."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from ffrtmp.domain.attempt import Order
from ffrtmp.domain.errors import FarmError
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.services.nodes import Beat
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.watch import FarmTime, Key, Watch, is_open, place
from tests.fakes import FakeWorld, emptied

RULES = FarmPolicy(
    node_timeout_seconds=60.0, max_retries=2, retention_seconds=500.0, preempts_batch=True
)
MOSTLY = 9

T = TypeVar("T")


@dataclass
class Agent:
    """What a node's process knows of itself."""

    epoch: int
    seq: int = 0
    claims: int = 0


class FarmSteps(RuleBasedStateMachine):
    """One farm, what was sent to it, and how each answer is judged; the rules are FarmMachine's."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.world = FakeWorld.over(emptied(store), RULES)
        self.farm = self.world.farm
        time = FarmTime(most=RULES.max_advance_seconds, last_pass=builders.START)
        self.watch = Watch(store, RULES, time)
        self.agents: dict[str, Agent] = {}
        self.grants: list[Grant] = []
        self.claims: list[Claim] = []
        self.beats: list[Beat] = []
        self.jobs: list[str] = []
        self.sent: list[tuple[Callable[[], object], bool]] = []

    def _grant(self, which: int) -> Grant:
        """Mostly one that still runs; what has ended is refused, and teaches little."""
        live = [one for one in self.grants if self._is_live(one)]
        return at(live if live and which < MOSTLY else self.grants, which)

    def _is_live(self, grant: Grant) -> bool:
        row = self.watch.rows.attempts.get(key_of(grant))
        return row is not None and row["state"] != "ended"

    def _waiting(self) -> bool:
        return any(row["status"] == "pending" for row in self.watch.rows.jobs.values())

    def _ended(self) -> Sequence[str]:
        rows = self.watch.rows.jobs
        return [job_id for job_id in self.jobs if job_id in rows and rows[job_id]["completed_at"]]

    def _claim(self, asked: Claim, *, twice: bool) -> None:
        """The best job, computed here, or nothing; and nothing new for an old question."""
        now, rows = self.world.clock(), self.watch.rows
        node = rows.nodes.get(asked.node_id)
        is_current = node is not None and node["epoch"] == asked.epoch
        earlier = [
            key
            for key, row in rows.attempts.items()
            if (row["node_id"], row["claim_id"]) == (asked.node_id, asked.claim_id)
        ]
        best: str | None = None
        goes_on: Key | None = None
        is_answered = node is not None and is_current and not earlier and is_open(node)
        if node is not None and is_answered and rows.has_room(node, asked.device):
            best = self.watch.best_for(node, asked.device, now)
            goes_on = rows.next_on(node["id"], asked.device)
        if goes_on is not None and best is not None:
            if place(rows.jobs[best]) < place(rows.jobs[goes_on[0]]):
                goes_on = None
            else:
                best = None
        # The slot it asked for is taken by then: a repeat asks for another one.
        twice = twice and goes_on is None
        grant = self._send(lambda: self.farm.attempts.claim(asked), twice=twice, may_repeat=False)
        if earlier:
            assert self.watch.rows == rows, "an old claim changed something"
            assert grant is None or [key_of(grant)] == earlier
            return
        assert (grant.job.id if grant else None) == best
        if goes_on is not None:
            assert self.watch.rows.attempts[goes_on]["pause"] is None, f"{goes_on} did not go on"
        if grant is not None:
            self.watch.renewed(key_of(grant), now)
            if grant.job.is_stream:
                self.watch.nobody_publishes(key_of(grant), now)
            self.grants.append(grant)

    def _beat(self, beat: Beat, *, twice: bool) -> None:
        now, node = self.world.clock(), self.watch.rows.nodes.get(beat.node_id)
        answer = self._send(lambda: self.farm.nodes.heartbeat(beat), twice=twice, may_repeat=False)
        if answer is None or node is None:
            return
        is_newest = beat.seq > node["heartbeat_seq"]
        if is_newest:
            self.watch.heard[beat.node_id] = self.watch.time.reading(now)
        for said, order in answer.orders:
            key = (said.job_id, said.number)
            row = self.watch.rows.attempts.get(key)
            is_suspended = row is not None and row["pause"] is not None
            assert (order is Order.PAUSE) == is_suspended, f"{key} is told to {order}"
            is_kept = order in (Order.GO_ON, Order.PAUSE)
            if is_kept and row is not None and row["state"] != "ended":
                self.watch.renewed(key, now, surely=is_newest)

    def _report(self, grant: Grant, said: object, twice: bool) -> None:
        self._send(lambda: self.farm.attempts.report(said), twice=twice)  # type: ignore[arg-type]
        if getattr(said, "lease", None) == grant.attempt.lease:
            self.watch.ended_here.add(key_of(grant))

    def _pass(self) -> None:
        before = self.watch.rows
        answers = self.farm.reconciler.run_once().broker_answers
        now = self.world.clock()
        self.watch.time.made_pass(now)
        self.watch.changed(confirms=False)
        self.watch.passed(before)
        if answers and self.world.bell.is_up:
            waiting = Counter(hint.queue_name for hint in self.world.bell.hints)
            self.watch.hints_suffice(waiting, now)

    def _send(
        self,
        call: Callable[[], T],
        *,
        twice: bool = False,
        is_idempotent: bool = True,
        may_repeat: bool = True,
        retried: str | None = None,
        confirms: bool = True,
    ) -> T | None:
        """None where it was refused. ``twice``: its answer got lost, and it is sent again."""
        answer = self._deliver(call, retried=retried, confirms=confirms)
        if twice and is_idempotent:
            self._deliver(call, again=True)
        if may_repeat and is_idempotent and retried is None:
            self.sent.append((call, confirms))
        return answer

    def _deliver(
        self,
        call: Callable[[], T],
        *,
        again: bool = False,
        retried: str | None = None,
        confirms: bool = True,
    ) -> T | None:
        try:
            answer = call()
        except FarmError:
            self.watch.unchanged()
            return None
        if again:
            self.watch.unchanged()
        else:
            self.watch.changed(retried=retried, confirms=confirms)
        return answer


def at(known: Sequence[T], which: int) -> T:
    """The newest for 0."""
    return known[-1 - which % len(known)]


def key_of(grant: Grant) -> Key:
    return (grant.job.id, grant.attempt.number)
