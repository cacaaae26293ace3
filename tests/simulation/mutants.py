"""Farms with one promise broken each: every one must turn the simulation red."""

from collections.abc import Mapping

from tests.simulation import mutants_claims as claims
from tests.simulation import mutants_nodes as nodes
from tests.simulation import mutants_passes as passes
from tests.simulation import mutants_turns as turns
from tests.simulation.mutant import Mutant

MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        claims.no_fence,
        claims.rename_before_commit,
        claims.job_bound_message,
        claims.select_then_update,
        claims.no_idempotency,
        claims.drain_ignored,
        claims.slots_ignored,
        claims.hold_ignored,
        claims.commit_of_the_dead,
        claims.report_without_commit,
        claims.cancel_of_the_committing,
        nodes.heartbeat_race,
        nodes.no_farm_time,
        nodes.no_epochs,
        nodes.late_claims_honoured,
        nodes.late_heartbeats_honoured,
        nodes.late_registrations_honoured,
        nodes.removed_while_busy,
        nodes.nobody_set_aside,
        passes.no_top_up,
        passes.rings_once,
        passes.no_stalls,
        passes.silence_is_a_stall,
        passes.release_spends_a_retry,
        passes.endless_retries,
        turns.resumed_without_room,
        turns.suspended_for_ever,
        turns.suspended_is_stalled,
        turns.preemption_spends_a_retry,
        turns.preempted_while_it_commits,
        turns.streams_preempted,
        turns.gpu_work_on_cpus,
        turns.canary_not_noticed,
        turns.set_aside_claims_at_will,
        turns.queue_pause_ignored,
        turns.reserve_ignored,
        turns.raised_at_once,
    )
}
