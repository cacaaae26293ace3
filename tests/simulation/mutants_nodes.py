"""Farms that break one promise about nodes each: who speaks, who is heard, who is trusted."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from ffrtmp.domain.farmclock import FarmClock
from ffrtmp.services import nodes as node_service
from ffrtmp.services.attempts import AttemptService, Claim, Grant
from ffrtmp.services.breaker import Breaker
from ffrtmp.services.nodes import Beat, BeatAnswer, NodeService
from ffrtmp.services.reconciler import Reconciler
from ffrtmp.store.engine import Transaction
from tests.simulation.mutant import Patch, nothing
from tests.simulation.node import SimNode
from tests.simulation.world import World


def heartbeat_race(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What one heartbeat does not list is lost, whenever it was built."""

    def note(self: Any, tx: Transaction, node: Any, beat: Beat) -> None:
        listed = {(said.job_id, said.number) for said in beat.attempts}
        for attempt in tx.attempts.live_on(node.id):
            if (attempt.job_id, attempt.number) not in listed:
                self._lose(tx, attempt, "not listed")

    patch(NodeService, "_note_omissions", note)


def no_farm_time(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Silence is measured by the wall clock."""

    def since(self: FarmClock, now: datetime, _most: float) -> float:
        return (now - self.last_pass_at).total_seconds()

    def advanced(self: FarmClock, now: datetime, *, max_advance_seconds: float) -> FarmClock:
        gained = (now - self.last_pass_at).total_seconds()
        return FarmClock(
            seconds=self.seconds + gained,
            last_pass_at=now,
            api_beats=self.api_beats,
            beats_seen=self.api_beats,
        )

    patch(FarmClock, "_since_last_pass", since)
    patch(FarmClock, "advanced", advanced)


def no_epochs(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A restarted agent keeps the leases it forgot; heartbeats never take them away."""
    patch(NodeService, "_lose_unnamed", nothing)
    patch(NodeService, "_note_omissions", nothing)
    patch(Reconciler, "_end_stalled", nothing)


def late_claims_honoured(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A claim that an earlier epoch sent is given a job."""
    claim = AttemptService.claim

    def always(self: AttemptService, asked: Claim) -> Grant | None:
        return claim(self, replace(asked, epoch=world.farm.nodes.get(asked.node_id).node.epoch))

    patch(AttemptService, "claim", always)


def late_heartbeats_honoured(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A heartbeat that an earlier epoch sent counts."""
    heartbeat = NodeService.heartbeat

    def always(self: NodeService, beat: Beat) -> BeatAnswer:
        return heartbeat(self, replace(beat, epoch=self.get(beat.node_id).node.epoch))

    patch(NodeService, "heartbeat", always)


def late_registrations_honoured(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A registration that comes after a newer one begins an epoch all the same."""
    patch(node_service, "_check_newest", nothing)


def removed_while_busy(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A node is removed with the leases it holds."""

    def remove(self: NodeService, reference: str) -> None:
        node_id = self.get(reference).node.id
        with world.farm.store.write() as tx:
            tx.nodes.delete(node_id)

    patch(NodeService, "remove", remove)


def nobody_set_aside(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A node that fails everything is given more."""
    patch(Breaker, "judge", nothing)
