"""The farm's invariants that single events show, compared with what really happened."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffrtmp.domain.breaker import HOST_SIDE
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.retry import FailureClass
from tests.simulation.due import Row, slots_taken
from tests.simulation.ears import Ears
from tests.simulation.node import SimNode
from tests.simulation.work import PERMANENT, Fate, Key
from tests.simulation.world import RULES, Violation, World

ENDS = {"job.completed": "completed", "job.failed": "failed", "job.canceled": "canceled"}
SPENDING = ("failed", "node_lost")


@dataclass(frozen=True)
class Fact:
    """One row of the event table."""

    id: int
    kind: str
    job_id: str | None
    node_id: str | None
    attempt: int | None
    data: Mapping[str, Any]

    @property
    def key(self) -> Key:
        """Job and attempt number, where it is about an attempt."""
        return (self.job_id or "", self.attempt or 0)


class History:
    """Reads what is new after every step, while the world still is as it was then."""

    def __init__(
        self, world: World, nodes: Mapping[str, SimNode], fates: Mapping[str, Fate], ears: Ears
    ) -> None:
        self._world = world
        self._nodes = nodes
        self._fates = fates
        self._ears = ears
        self._last = 0
        self._ended: dict[str, str] = {}
        self._claimed_at: dict[Key, int] = {}
        self._trusted_at: dict[str, int] = defaultdict(int)
        self._failures: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        """Of each node, by device and job: the host-side failures since the last success."""
        self._suspended: set[Key] = set()
        self._committing: set[Key] = set()
        self.life_began: dict[str, int] = defaultdict(int)
        """The number of the last attempt before the newest explicit retry."""
        self.forgiven: set[str] = set()
        """Jobs that got failures back in this life."""

    def read(self) -> set[str]:
        """Check every new event; the jobs they are about."""
        query = (
            "SELECT id, kind, job_id, node_id, attempt, data FROM events WHERE id > ? ORDER BY id"
        )
        touched = set()
        self._forget_what_was_forgiven()
        for row in self._world.store.sql(query, self._last):
            event_id, kind, job_id, node_id, attempt, data = row
            fact = Fact(event_id, kind, job_id, node_id, attempt, json.loads(data))
            self._last = fact.id
            self._check(fact)
            if fact.job_id is not None:
                touched.add(fact.job_id)
        return touched

    def may_take_work(self, node_id: str, device: str) -> bool:
        """Whether the breaker had no reason yet to set this device, or its node, aside."""
        if node_id in self._ears.unjudged:
            return True
        found = self._failures[node_id]
        everywhere = {job_id for _, job_id in found}
        here = {job_id for where, job_id in found if where == device}
        worst = everywhere if device == CPU_DEVICE else max(here, everywhere, key=len)
        return len(worst) < RULES.set_aside_after

    def _check(self, fact: Fact) -> None:
        self._ends_once(fact)
        self._nobody_is_lost_who_was_heard(fact)
        self._only_what_stands_still_is_stalled(fact)
        self._failures_are_fated(fact)
        self._judge_the_node(fact)
        self._only_batch_makes_room(fact)
        self._slots_suffice(fact)
        self._note_suspension(fact)
        if fact.kind == "job.claimed":
            self._claimed_at[fact.key] = fact.id
        elif fact.kind == "job.failures_forgiven" and fact.job_id:
            self.forgiven.add(fact.job_id)
        elif fact.kind == "job.retried" and fact.job_id:
            self.forgiven.discard(fact.job_id)
            query = "SELECT count(*) FROM attempts WHERE job_id = ?"
            ((self.life_began[fact.job_id],),) = self._world.store.sql(query, fact.job_id)

    def _ends_once(self, fact: Fact) -> None:
        if fact.job_id is None:
            return
        ended = self._ended.get(fact.job_id)
        if fact.kind == "job.retried":
            _require(ended in ("failed", "canceled"), f"{fact} of a job that is {ended}")
            del self._ended[fact.job_id]
        elif fact.kind == "job.failures_forgiven":
            _require(ended is None, f"{fact} after {ended}")
        elif ended is not None:
            raise Violation(f"{fact} after it was {ended}")
        elif fact.kind in ENDS:
            self._ended[fact.job_id] = ENDS[fact.kind]

    def _nobody_is_lost_who_was_heard(self, fact: Fact) -> None:
        if fact.kind == "node.offline" and fact.node_id:
            _require(self._ears.may_be_silent(fact.node_id), f"{fact}, yet it was heard")
        if fact.data.get("outcome") not in ("node_lost", "released") or fact.node_id is None:
            return
        is_dropped = fact.key in self._nodes[fact.node_id].given_up
        _require(
            is_dropped or not self._is_known(fact) or self._ears.may_have_run_out(fact.key),
            f"{fact}, yet its node has it and was heard",
        )

    def _is_known(self, fact: Fact) -> bool:
        """Whether the node's process has this attempt, or waits for its claim's answer."""
        node = self._nodes[fact.node_id or ""]
        if node.process is None:
            return False
        query = "SELECT claim_id FROM attempts WHERE job_id = ? AND number = ?"
        ((claim_id,),) = self._world.store.sql(query, *fact.key)
        is_claimed = claim_id in node.process.in_flight
        return is_claimed or fact.key in node.process.running or fact.key in node.spool

    def _only_what_stands_still_is_stalled(self, fact: Fact) -> None:
        if fact.data.get("failure") != FailureClass.STALLED or fact.node_id is None:
            return
        node = self._nodes[fact.node_id]
        process = node.process
        work = process.running.get(fact.key) if process else None
        # Not the master's verdict, but its node's own: what it cannot kill it gives up.
        is_given_up = fact.key in node.given_up
        is_suspended = fact.key in self._suspended
        _require(is_given_up or not is_suspended, f"{fact} while it is suspended")
        # Let go on, it may not have heard of it yet.
        stands_still = work is not None and (work.stands_still or work.is_paused)
        _require(stands_still or is_given_up, f"{fact}, yet it moves")

    def _failures_are_fated(self, fact: Fact) -> None:
        reason = fact.data.get("failure")
        if reason is None or fact.job_id is None:
            return
        is_permanent = reason in (*PERMANENT, FailureClass.OUTPUT_EXISTS)
        is_broken = self._fates.get(fact.job_id) is Fate.BROKEN
        _require(is_broken or not is_permanent, f"{fact} of a sound job")
        _require(not (is_permanent and fact.kind == "job.retry_scheduled"), f"{fact} is permanent")

    def _forget_what_was_forgiven(self) -> None:
        """Let back into work: what had started before does not count."""
        ((last,),) = self._world.store.sql("SELECT coalesce(max(id), 0) FROM events")
        for name in self._ears.trusted:
            self._trusted_at[name] = last
            self._failures[name].clear()
        self._ears.trusted.clear()

    def _judge_the_node(self, fact: Fact) -> None:
        name = fact.node_id
        if name is None:
            return
        if fact.kind in ("node.draining", "node.removed", "job.completed"):
            self._failures[name].clear()
        elif fact.kind == "device.set_aside":
            kept = {key: 1 for key in self._failures[name] if key[0] != fact.data["device"]}
            self._failures[name] = kept
        is_its_own = fact.data.get("outcome") == "failed" and fact.data.get("failure") in HOST_SIDE
        if is_its_own and self._claimed_at[fact.key] > self._trusted_at[name]:
            device = self._row(fact, "device")
            self._failures[name][device, fact.job_id or ""] = 1

    def _only_batch_makes_room(self, fact: Fact) -> None:
        """Never for a farm that does not want it, never a stream, never one that commits."""
        if fact.kind != "job.preempted" and not _is_suspended_for_another(fact):
            return
        query = "SELECT queue, is_stream FROM jobs WHERE id = ?"
        (found,) = self._world.store.sql(query, fact.job_id)
        _require(found == ("batch", 0), f"{fact} of {found}")
        _require(self._world.rules.preempts_batch, f"{fact}, unasked")
        _require(fact.key not in self._committing, f"{fact} while it commits")

    def _slots_suffice(self, fact: Fact) -> None:
        """Whoever starts or goes on has a slot of its device."""
        if fact.kind not in ("job.claimed", "job.resumed") or fact.node_id is None:
            return
        device, row = self._row(fact, "device"), Row.all_of(self._world).get(fact.node_id)
        taken = slots_taken(self._world)
        slots = {one["id"]: one["slots"] for one in row.devices} if row else {}
        busy = sum(taken[fact.node_id, device, reserved] for reserved in (False, True))
        _require(busy <= slots.get(device, busy), f"{fact} is one of {busy} on {device}")

    def _note_suspension(self, fact: Fact) -> None:
        if fact.kind == "job.paused":
            self._suspended.add(fact.key)
        elif fact.attempt is not None:
            self._suspended.discard(fact.key)
        if fact.kind == "job.committing":
            self._committing.add(fact.key)

    def _row(self, fact: Fact, column: str) -> str:
        query = f"SELECT {column} FROM attempts WHERE job_id = ? AND number = ?"  # noqa: S608
        ((found,),) = self._world.store.sql(query, *fact.key)
        return str(found)


def _is_suspended_for_another(fact: Fact) -> bool:
    return fact.kind == "job.paused" and "because" in fact.data


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
