"""How a simulated node asks for work: a slot on a device first, then a claim for it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ffrtmp.domain.device import Device
from ffrtmp.domain.errors import Conflict, NotFound, StaleEpoch
from ffrtmp.domain.hint import Hint
from ffrtmp.services.attempts import Claim, Grant
from tests.simulation.host import POOLS, Pool
from tests.simulation.network import Unreachable
from tests.simulation.work import Process, Slot, Work
from tests.simulation.world import RULES

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

CONSUME_SECONDS, POLL_SECONDS, RETRY_SECONDS = 1.5, 10.0, 2.0
SURE_SECONDS = RULES.node_timeout_seconds - 15.0
"""How long after its request a lease surely runs, by the node's own clock."""


class Claims:
    """One node's: from hints, by itself while none can arrive, and for canary jobs."""

    def __init__(self, node: "SimNode") -> None:
        self._node = node
        self._world = node.world
        self._count = 0

    def begin(self, process: Process) -> None:
        """From now on it asks."""
        self._node.then(self._world.jitter(CONSUME_SECONDS), process, self._consume)
        self._node.then(POLL_SECONDS, process, self._poll)

    def ask_for_canaries(self, process: Process, devices: Sequence[str]) -> None:
        """One claim for each device that may prove itself, though it gets nothing else."""
        for name in devices:
            pool = next(one for one in POOLS if self._has(one, name))
            is_open = not (process.is_closing or self._node.is_full)
            if is_open and name in [one.id for one in self._with_room(process, pool)]:
                self._ask(process, (name, False))

    def now(self, process: Process) -> None:
        """Claim in this very instant if a slot is free: for mutants with a gap to fall into."""
        slot = self._free_slot(process, POOLS[0])
        if slot is not None:
            asked = self._next(process, slot)
            self._answered(process, asked, self._world.farm.attempts.claim(asked))

    def _consume(self, process: Process) -> None:
        for pool in POOLS:
            self._consume_for(pool, process)
        self._node.then(self._world.jitter(CONSUME_SECONDS), process, self._consume)

    def _consume_for(self, pool: Pool, process: Process) -> None:
        while not self._is_deaf:
            slot = self._free_slot(process, pool)
            if slot is None:
                return
            hint = self._world.broker.pop(self._node.host.hears(self._node.name, pool))
            if hint is None:
                return
            self._ask(process, slot, hint)

    def _poll(self, process: Process) -> None:
        if not self._world.broker.is_up or self._is_deaf:
            slots = (self._free_slot(process, pool) for pool in POOLS)
            for slot in [one for one in slots if one is not None]:
                self._ask(process, slot)
        self._node.then(POLL_SECONDS, process, self._poll)

    @property
    def _is_deaf(self) -> bool:
        return self._world.seconds < self._node.deaf_until

    def _has(self, pool: Pool, name: str) -> bool:
        return not pool.is_reserved and pool.is_gpu == (name != "cpu")

    def _free_slot(self, process: Process, pool: Pool) -> Slot | None:
        """One on the least busy device of a pool that is not set aside."""
        if process.is_closing or process.is_draining or self._node.is_full:
            return None
        free = [one for one in self._with_room(process, pool) if one.id not in process.aside]
        return (free[0].id, pool.is_reserved) if free else None

    def _with_room(self, process: Process, pool: Pool) -> Sequence[Device]:
        taken = _taken(process)
        host = self._node.host
        alike = host.alike(pool)
        if sum(taken[one.id, pool.is_reserved] for one in alike) >= host.slots(pool):
            return ()
        busy = {one.id: taken[one.id, False] + taken[one.id, True] for one in alike}
        free = [one for one in alike if busy[one.id] < one.slots]
        return sorted(free, key=lambda one: busy[one.id])

    def _next(self, process: Process, slot: Slot) -> Claim:
        self._count += 1
        device, is_reserved = slot
        return Claim(
            node_id=self._node.name,
            epoch=process.epoch,
            claim_id=f"{self._node.name}-{self._count:016d}",
            heartbeat_seq=process.seq,
            device=device,
            is_reserved=is_reserved,
        )

    def _ask(self, process: Process, slot: Slot, hint: Hint | None = None) -> None:
        claim = self._next(process, slot)
        process.in_flight[claim.claim_id] = slot
        self._world.hints[claim.claim_id] = hint
        asked_at = self._world.seconds
        self._node.then(self._world.jitter(0.05), process, lambda p: self._send(p, claim, asked_at))

    def _send(self, process: Process, claim: Claim, asked_at: float) -> None:
        asked = replace(claim, epoch=process.epoch)
        again = self._world.jitter(RETRY_SECONDS)
        try:
            grant = self._node.call(lambda: self._world.farm.attempts.claim(asked))
        except (StaleEpoch, NotFound):
            self._node.is_unknown(process, asked.epoch)
        except Unreachable:
            pass
        except Conflict:
            del process.in_flight[claim.claim_id]
            return
        else:
            # The answer travels too: a heartbeat built meanwhile does not list what it brings.
            seconds = self._world.jitter(0.3)
            self._node.then(seconds, process, lambda p: self._answered(p, claim, grant, asked_at))
            return
        if process.is_closing:
            del process.in_flight[claim.claim_id]
        else:
            self._node.then(again, process, lambda p: self._send(p, claim, asked_at))

    def _answered(
        self, process: Process, claim: Claim, grant: Grant | None, asked_at: float | None = None
    ) -> None:
        process.in_flight.pop(claim.claim_id, None)
        if grant is None:
            return
        since = self._world.seconds if asked_at is None else asked_at
        work = Work(grant, lease_until=since + SURE_SECONDS)
        if process.is_closing:
            self._node.given_up.add(work.key)
            self._node.delivery.release(process, work)
        else:
            self._node.runner.begin(process, work)


def _taken(process: Process) -> Counter[Slot]:
    """Slots in use; what is paused has given its own away, what was let go on takes one again
    even where none is left."""
    taken = Counter(process.in_flight.values())
    for work in process.running.values():
        if not work.is_paused:
            taken[work.device, work.grant.attempt.is_reserved] += 1
    for device, count in process.lost.items():
        taken[device, False] += count
    return taken
