"""What nodes do with attempts: claim, commit, report, release, log."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ffrtmp.domain.attempt import Attempt, AttemptState, Outcome, Report
from ffrtmp.domain.breaker import HOST_SIDE
from ffrtmp.domain.device import CPU_DEVICE, Device, hardware_for
from ffrtmp.domain.errors import (
    FarmError,
    Forbidden,
    HashConflict,
    InvalidRequest,
    NodeNotAccepting,
    NotCommitted,
    NotFound,
    StaleEpoch,
    StaleLease,
)
from ffrtmp.domain.event import Event, EventKind, of_attempt
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.ranking import Queue
from ffrtmp.services.breaker import Breaker
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.nodes import refuse_revoked
from ffrtmp.services.pauses import Pauses
from ffrtmp.services.room import canaries_due, gpus_with_room
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A node asks for work for a free slot of a device, reserved for the live queue or not.

    ``claim_id`` is the same on every repeat of one question.
    """

    node_id: str
    epoch: int
    claim_id: str
    heartbeat_seq: int
    device: str = CPU_DEVICE
    is_reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A job to run, the lease to run it under, and the hashes its earlier attempts committed."""

    job: Job
    attempt: Attempt
    committed_sha256: Sequence[str]


class AttemptService:
    """Every verb is idempotent: repeated with the same words it changes nothing more."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._breaker = Breaker(context)
        self._pauses = Pauses(context)

    def claim(self, asked: Claim) -> Grant | None:
        """The best-ranked job this slot can run, under a new lease; None if there is none.

        Where a suspended attempt of the device has the better place, it goes on instead. The same
        ``claim_id`` gets the same grant while it lives. StaleEpoch, NodeNotAccepting.
        """
        with self._context.store.write() as tx:
            node = _speaking(tx, asked.node_id, asked.epoch)
            earlier = tx.attempts.of_claim(node.id, asked.claim_id)
            if earlier is not None:
                return self._granted_before(tx, earlier)
            device = node.device(asked.device)
            if device is None:
                raise InvalidRequest(f"node {node.name} has no {asked.device}", field="device")
            farm_seconds = self._context.farm_seconds(tx)
            self._check_accepting(tx, node, device, farm_seconds)
            if not _has_room(tx, node, device, is_reserved=asked.is_reserved):
                return None
            return self._grant_or_resume(tx, node, device, asked, farm_seconds)

    def commit(
        self,
        job_id: str,
        number: int,
        *,
        node_id: str,
        lease: str,
        size: int | None,
        sha256: str | None,
    ) -> Job:
        """The fence before publishing: accept this attempt's file. StaleLease, HashConflict."""
        with self._context.store.write() as tx:
            job, attempt = _held(tx, job_id, number, node_id=node_id, lease=lease)
            if not job.is_stream and (sha256 is None or size is None):
                raise InvalidRequest("a file is committed with its size and hash", field="sha256")
            if not attempt.is_live:
                raise _stale(attempt)
            expires = self._context.farm_seconds(tx) + self._context.policy.node_timeout_seconds
            if attempt.state is AttemptState.COMMITTING:
                _same_hash(attempt, sha256)
                tx.attempts.renew(attempt, expires_farm=expires)
                return job
            tx.attempts.commit(attempt, size_bytes=size, sha256=sha256, expires_farm=expires)
            tx.jobs.move(job, JobStatus.COMMITTING)
            said = {"sha256": sha256, "size_bytes": size}
            tx.events.append(self._event(EventKind.JOB_COMMITTING, attempt, said))
            return _required(tx.jobs.lock(job_id))

    def report(self, said: Report) -> Job:
        """The end of an attempt in its node's words. StaleLease, NotCommitted, HashConflict."""
        job = self._report(said)
        if said.outcome is Outcome.COMPLETED:
            self._breaker.trust(said.job_id, said.number)
        elif said.failure_class in HOST_SIDE:
            self._breaker.judge(said.job_id, said.number)
        return job

    def _report(self, said: Report) -> Job:
        with self._context.store.write() as tx:
            job, attempt = _held(
                tx, said.job_id, said.number, node_id=said.node_id, lease=said.lease
            )
            if attempt.is_live:
                return self._reported_now(tx, job, attempt, said)
            if job.attempt == attempt.number:
                # It publishes no more. What a later attempt holds is not this node's to give up.
                tx.jobs.release_hold(job.id)
            if _reported_before(attempt, said):
                return job
        # Outside, so that the hold stays released.
        raise _stale(attempt)

    def release(self, job_id: str, number: int, *, node_id: str, lease: str, reason: str) -> None:
        """Given back unharmed: pending again, no retry spent. StaleLease if it is not live."""
        with self._context.store.write() as tx:
            job, attempt = _held(tx, job_id, number, node_id=node_id, lease=lease)
            if attempt.outcome is Outcome.RELEASED:
                return
            ending = Ending(outcome=Outcome.RELEASED, error=reason or None, confirmed=True)
            if not end_attempt(self._context, tx, job, attempt, ending):
                raise _stale(attempt)

    def append_log(
        self, job_id: str, number: int, *, node_id: str, lease: str, offset: int, text: str
    ) -> None:
        """Continue the log of a live attempt; text that does not continue it is ignored."""
        with self._context.store.write() as tx:
            attempt = _own(tx.attempts.lock(job_id, number), node_id=node_id, lease=lease)
            if not attempt.is_live:
                raise _stale(attempt)
            tx.attempts.append_log(job_id, number, offset=offset, text=text)

    def _granted_before(self, tx: Transaction, attempt: Attempt) -> Grant | None:
        job = tx.jobs.get(attempt.job_id)
        if job is None or not attempt.is_live:
            return None
        return Grant(
            job=job, attempt=attempt, committed_sha256=tx.attempts.committed_hashes(job.id)
        )

    def _check_accepting(
        self, tx: Transaction, node: Node, device: Device, farm_seconds: float
    ) -> None:
        """NodeNotAccepting, unless this may be the canary job of what was set aside."""
        if node.is_offline or (node.is_draining and not node.is_set_aside):
            state = "offline" if node.is_offline else "draining"
            raise NodeNotAccepting(f"node {node.name} is {state}")
        if node.is_set_aside or device.id in node.set_aside:
            held = tx.attempts.live_on(node.id)
            after = self._context.policy.canary_after_seconds
            due = canaries_due(node, held, farm_seconds=farm_seconds, after_seconds=after)
            if device.id not in due:
                raise NodeNotAccepting(f"{device.id} of node {node.name} is set aside")

    def _grant_or_resume(
        self, tx: Transaction, node: Node, device: Device, asked: Claim, farm_seconds: float
    ) -> Grant | None:
        waiting = self._pauses.next_on(tx, node, device, is_reserved=asked.is_reserved)
        offer = self._offer(tx, node, device, asked)
        if waiting is not None:
            offer = replace(offer, better_than=waiting.place)
        grant = self._grant(tx, offer, asked, farm_seconds)
        if grant is None and waiting is not None:
            self._pauses.let_go_on(tx, waiting.attempt)
        return grant

    def _offer(self, tx: Transaction, node: Node, device: Device, asked: Claim) -> Offer:
        served = [Queue.LIVE] if asked.is_reserved else list(Queue)
        paused = tx.clock.paused_queues()
        return Offer(
            node=node,
            device=device,
            queues=[one for one in served if one in node.queues and one not in paused],
            left_to_gpus=() if device.is_gpu else gpus_with_room(tx),
            gpu_patience_seconds=self._context.policy.gpu_patience_seconds,
        )

    def _grant(
        self, tx: Transaction, offer: Offer, asked: Claim, farm_seconds: float
    ) -> Grant | None:
        now, policy = self._context.now(), self._context.policy
        node, device = offer.node, offer.device
        job = tx.jobs.claim_best(offer, farm_seconds=farm_seconds, now=now)
        if job is None:
            return None
        attempt = Attempt(
            job_id=job.id,
            number=job.attempt,
            node_id=node.id,
            node_name=node.name,
            epoch=node.epoch,
            claim_id=asked.claim_id,
            lease=self._context.new_secret(),
            lease_expires_farm=farm_seconds + policy.node_timeout_seconds,
            claimed_after=asked.heartbeat_seq,
            omissions=0,
            state=AttemptState.RUNNING,
            started_at=now,
            moved_farm=farm_seconds,
            stall_after_seconds=policy.stall_after(job.queue),
            device=device.id,
            hardware=hardware_for(job.requires, device),
            is_reserved=asked.is_reserved,
            claimed_farm=farm_seconds,
        )
        committed = tx.attempts.committed_hashes(job.id) if job.attempt > 1 else ()
        tx.attempts.insert(attempt)
        where = {"device": attempt.device, "hardware": attempt.hardware}
        tx.events.append(self._event(EventKind.JOB_CLAIMED, attempt, {"rank": job.rank} | where))
        return Grant(job=job, attempt=attempt, committed_sha256=committed)

    def _complete(self, tx: Transaction, job: Job, attempt: Attempt, said: Report) -> None:
        if attempt.state is not AttemptState.COMMITTING:
            raise NotCommitted("commit the attempt before reporting it completed")
        _same_hash(attempt, said.sha256)
        _same_size(attempt, said.size_bytes)
        now = self._context.now()
        tx.attempts.end(
            attempt,
            Outcome.COMPLETED,
            now=now,
            farm_seconds=self._context.farm_seconds(tx),
            progress=1.0,
            **_facts(said),
        )
        result = dict(said.metrics or {}) | {
            "size_bytes": attempt.size_bytes,
            "sha256": attempt.sha256,
        }
        tx.jobs.move(
            job,
            JobStatus.COMPLETED,
            completed_at=now,
            result=result,
            error=None,
            failure_reason=None,
            retry_at=None,
        )
        facts = {"sha256": attempt.sha256, "size_bytes": attempt.size_bytes}
        tx.events.append(self._event(EventKind.JOB_COMPLETED, attempt, facts))

    def _fail(self, tx: Transaction, job: Job, attempt: Attempt, said: Report) -> None:
        ending = Ending(
            outcome=Outcome.FAILED,
            failure=said.failure_class,
            error=said.error,
            confirmed=True,
            facts=_facts(said),
        )
        end_attempt(self._context, tx, job, attempt, ending)

    def _reported_now(self, tx: Transaction, job: Job, attempt: Attempt, said: Report) -> Job:
        tx.attempts.put_log(job.id, attempt.number, said.logs)
        if said.outcome is Outcome.COMPLETED:
            self._complete(tx, job, attempt, said)
        else:
            self._fail(tx, job, attempt, said)
        return _required(tx.jobs.get(job.id))

    def _event(self, kind: EventKind, attempt: Attempt, data: Mapping[str, Any]) -> Event:
        return of_attempt(kind, attempt, at=self._context.now(), data=data)


def _speaking(tx: Transaction, node_id: str, epoch: int) -> Node:
    node = tx.nodes.lock(node_id)
    if node is None:
        raise NotFound(f"there is no node {node_id}")
    refuse_revoked(node)
    if node.epoch != epoch:
        raise StaleEpoch(f"node {node.name} has registered again since epoch {epoch}")
    return node


def _has_room(tx: Transaction, node: Node, device: Device, *, is_reserved: bool) -> bool:
    occupancy = Occupancy.of(tx.attempts.taken([node.id]))
    if is_reserved:
        return occupancy.reserved_free(node, device) > 0
    return occupancy.free(node, device, is_live=False) > 0


def _held(
    tx: Transaction, job_id: str, number: int, *, node_id: str, lease: str
) -> tuple[Job, Attempt]:
    """The locked job and the attempt that this lease opened, live or not."""
    job = tx.jobs.lock(job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job, _own(tx.attempts.lock(job_id, number), node_id=node_id, lease=lease)


def _own(attempt: Attempt | None, *, node_id: str, lease: str) -> Attempt:
    if attempt is None:
        raise NotFound("there is no such attempt")
    if attempt.node_id != node_id:
        raise Forbidden("this attempt is another node's")
    if not hmac.compare_digest(attempt.lease, lease):
        raise StaleLease("this lease is not the attempt's")
    return attempt


def _reported_before(attempt: Attempt, said: Report) -> bool:
    if attempt.outcome is Outcome.COMPLETED and said.outcome is Outcome.COMPLETED:
        _same_hash(attempt, said.sha256)
        return True
    return attempt.outcome is Outcome.FAILED and said.outcome is Outcome.FAILED


def _same_hash(attempt: Attempt, sha256: str | None) -> None:
    if attempt.sha256 != sha256:
        raise HashConflict("the attempt committed a file with another sha256", field="sha256")


def _same_size(attempt: Attempt, size_bytes: int | None) -> None:
    if size_bytes is not None and attempt.size_bytes != size_bytes:
        raise HashConflict("the attempt committed a file of another size", field="size")


def _stale(attempt: Attempt) -> FarmError:
    return StaleLease(f"attempt {attempt.number} has ended: {attempt.outcome}")


def _facts(said: Report) -> dict[str, Any]:
    return {"exit_code": said.exit_code, "argv": list(said.argv)}


def _required(job: Job | None) -> Job:
    if job is None:
        raise NotFound("the job is gone")
    return job
