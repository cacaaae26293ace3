"""Setting aside a node or GPU that fails whatever it is given, and letting it prove itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ffrtmp.domain.attempt import Attempt
from ffrtmp.domain.breaker import WHOLE_NODE, SetAside, at_fault
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.node import Node
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

ATTEMPTS_CONSIDERED = 100
MAX_REASON_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is at fault, a device or WHOLE_NODE, how long it stays aside, and the failures that
    are its own."""

    what: str
    aside: SetAside
    failures: Sequence[Attempt]


class Breaker:
    """Judges a node after each failure that may be its own.

    What was set aside may run one job after a while, the canary: it lets it back, or makes it
    wait twice as long. A canary's failure is its job's own, as any other: forgiven again and
    again, a job that fails everywhere would never end.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def judge(self, job_id: str, number: int) -> bool:
        """Set the attempt's GPU or node aside if too much failed there; whether it now is.

        The jobs get the failures back: they were the node's. An undrain begins a new row.
        """
        if not self._context.policy.set_aside_after:
            return False
        with self._context.store.write() as tx:
            attempt = tx.attempts.get(job_id, number)
            node = tx.nodes.lock(attempt.node_id) if attempt is not None else None
            if attempt is None or node is None:
                return False
            verdict = self._verdict(tx, node, attempt)
            if verdict is None:
                return False
            if verdict.aside != node.set_aside.get(verdict.what):
                self._set_aside(tx, node, verdict)
        self._context.bell.nudge(node.id)
        for failed_id, count in Counter(one.job_id for one in verdict.failures).items():
            self._give_back(failed_id, count, node.id)
        return True

    def trust(self, job_id: str, number: int) -> bool:
        """A job was completed: what ran it, if it was set aside, is let back; whether it was."""
        with self._context.store.read() as tx:
            attempt = tx.attempts.get(job_id, number)
            node = tx.nodes.get(attempt.node_id) if attempt is not None else None
        if attempt is None or node is None or not _is_aside(node, attempt.device):
            return False
        with self._context.store.write() as tx:
            node = tx.nodes.lock(attempt.node_id)
            what = _is_aside(node, attempt.device) if node is not None else None
            if node is None or what is None or not _is_canary(node.set_aside[what], attempt):
                return False
            kept = {
                name: one
                for name, one in node.set_aside.items()
                if name not in (what, attempt.device) or not _is_canary(one, attempt)
            }
            tx.nodes.set_aside(node.id, kept)
            if what == WHOLE_NODE:
                tx.nodes.set_draining(node.id, is_draining=False, reason=None)
            kind = EventKind.NODE_UNDRAINED if what == WHOLE_NODE else EventKind.DEVICE_TRUSTED
            tx.events.append(self._event(kind, node, what, reason="its canary job was completed"))
        self._context.bell.nudge(node.id)
        return True

    def _verdict(self, tx: Transaction, node: Node, attempt: Attempt) -> Verdict | None:
        farm_seconds = self._context.farm_seconds(tx)
        what = _is_aside(node, attempt.device)
        if what is not None:
            aside = node.set_aside[what]
            if not _is_canary(aside, attempt):
                return Verdict(what=what, aside=aside, failures=[attempt])
            again = aside.failed_again(reason=_again(attempt), farm_seconds=farm_seconds)
            return Verdict(what=what, aside=again, failures=())
        if node.is_draining:
            return None
        ended = tx.attempts.ended_on(
            node.id, since_farm=node.trusted_farm, limit=ATTEMPTS_CONSIDERED
        )
        # What failed on a GPU that is out of work already was that GPU's, not its node's.
        at_work = [one for one in ended if one.device not in node.set_aside]
        needed = self._context.policy.set_aside_after
        what, failures = at_fault(at_work, attempt.device, needed=needed)
        if not failures:
            return None
        aside = SetAside(reason=_reason(failures), since_farm=farm_seconds)
        return Verdict(what=what, aside=aside, failures=failures)

    def _set_aside(self, tx: Transaction, node: Node, verdict: Verdict) -> None:
        reason = verdict.aside.reason
        tx.nodes.set_aside(node.id, {**node.set_aside, verdict.what: verdict.aside})
        is_node = verdict.what == WHOLE_NODE
        if is_node:
            tx.nodes.set_draining(node.id, is_draining=True, reason=reason)
        kind = EventKind.NODE_DRAINING if is_node else EventKind.DEVICE_SET_ASIDE
        tx.events.append(self._event(kind, node, verdict.what, reason=reason))

    def _give_back(self, job_id: str, count: int, node_id: str) -> None:
        """A transaction of its own for each job: two that lock many jobs could wait in a ring."""
        with self._context.store.write() as tx:
            job = tx.jobs.lock(job_id)
            if job is None or job.status.is_terminal or not job.failures:
                return
            left = max(0, job.failures - count)
            tx.jobs.move(job, job.status, failures=left)
            tx.events.append(
                Event(
                    kind=EventKind.JOB_FAILURES_FORGIVEN,
                    at=self._context.now(),
                    job_id=job_id,
                    node_id=node_id,
                    data={"failures": left},
                )
            )

    def _event(self, kind: EventKind, node: Node, what: str, *, reason: str) -> Event:
        data: Mapping[str, Any] = {"name": node.name, "reason": reason}
        if what != WHOLE_NODE:
            data = {**data, "device": what}
        return Event(kind=kind, at=self._context.now(), node_id=node.id, data=data)


def _is_aside(node: Node, device: str) -> str | None:
    """Under which name an attempt on a device runs in what is set aside, None where it does not."""
    if node.is_set_aside:
        return WHOLE_NODE
    return device if device in node.set_aside else None


def _is_canary(aside: SetAside, attempt: Attempt) -> bool:
    """True for an attempt that began after that, and not for one that ran on."""
    return attempt.claimed_farm > aside.since_farm


def _reason(failures: Sequence[Attempt]) -> str:
    last = failures[0]
    jobs = len({attempt.job_id for attempt in failures})
    said = f"set aside: {jobs} different jobs in a row failed here, {last.failure_class}"
    return f"{said}: {last.error}"[:MAX_REASON_LENGTH] if last.error else said


def _again(attempt: Attempt) -> str:
    said = f"set aside: its last canary job failed as well, {attempt.failure_class}"
    return f"{said}: {attempt.error}"[:MAX_REASON_LENGTH] if attempt.error else said
