"""Handing finished work to the master, or giving it back: commit, publish, report, release."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ffrtmp.domain.attempt import Outcome, Report
from ffrtmp.domain.errors import FarmError
from ffrtmp.domain.retry import FailureClass
from tests.simulation.database import Died
from tests.simulation.network import Unreachable
from tests.simulation.work import Phase, Process, Work
from tests.simulation.world import RULES

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

RETRY_SECONDS = 2.0
RELEASE_TRIES, RELEASE_PAUSE_SECONDS = 3, 1.0
SOON_SECONDS, SLOW_SECONDS = 0.1, 10.0
DESTINATION_IS_SLOW = 0.15
CRASH_BETWEEN_STEPS = 0.02
REPORT_OVERTAKES_COMMIT = 0.03


class Delivery:
    """One node's; every step is repeated until it is answered."""

    def __init__(self, node: "SimNode") -> None:
        self._node = node
        self._world = node.world
        self.before_commit: Callable[[Work], None] = lambda _work: None
        """What happens just before a commit: a cancel that races with it."""
        self.may_crash = True

    def deliver(self, process: Process, work: Work) -> None:
        """The next step of a finished attempt, now or when the master can be reached."""
        if self._node.spool.get(work.key) is not work:
            return
        if self.may_crash and self._world.rng.random() < CRASH_BETWEEN_STEPS:
            self._node.crash()
            self._world.after(self._world.jitter(3.0), self._node.restart)
            return
        try:
            self._step(process, work)
        except Unreachable:
            again = self._world.jitter(RETRY_SECONDS)
            self._node.then(again, process, lambda p: self.deliver(p, work))
        except FarmError:
            # Not this node's any more: only its own attempt-named files go.
            self.drop(work)

    def drop(self, work: Work) -> None:
        """Forget it, and remove what only it has written."""
        self._node.spool.pop(work.key, None)
        self._node.given_up.add(work.key)

    def release(self, process: Process, work: Work, tries: int = RELEASE_TRIES) -> None:
        """Give a running attempt back unharmed."""
        service, attempt = self._world.farm.attempts, work.grant.attempt
        request = partial(
            service.release,
            *work.key,
            node_id=self._node.name,
            lease=attempt.lease,
            reason="the agent is stopping",
        )
        try:
            self._node.call(request)
        except Unreachable:
            if tries > 1:
                again = RELEASE_PAUSE_SECONDS
                self._node.then(again, process, lambda p: self.release(p, work, tries - 1))
        except FarmError:
            return

    def publish_early(self, work: Work) -> None:
        """Nothing: publishing comes after the commit. A mutant does it here."""

    def _step(self, process: Process, work: Work) -> None:
        if work.phase is Phase.ENCODED:
            self.publish_early(work)
            self.before_commit(work)
            self._commit(work)
            is_slow = self._world.rng.random() < DESTINATION_IS_SLOW
            self._soon(process, work, SLOW_SECONDS if is_slow else SOON_SECONDS)
        elif work.phase is Phase.COMMITTED:
            self._publish(work)
            self._soon(process, work)
        else:
            self._node.call(partial(self._world.farm.attempts.report, self._report(work)))
            self._node.spool.pop(work.key, None)

    def _soon(self, process: Process, work: Work, seconds: float = SOON_SECONDS) -> None:
        self._node.then(self._world.jitter(seconds), process, lambda p: self.deliver(p, work))

    def _commit(self, work: Work) -> None:
        service, sent_at = self._world.farm.attempts, self._world.seconds
        if not work.has_asked and self._world.rng.random() < REPORT_OVERTAKES_COMMIT:
            self._report_too_early(work)
        work.has_asked = True
        self._node.call(
            partial(
                service.commit,
                *work.key,
                node_id=self._node.name,
                lease=work.grant.attempt.lease,
                size=1,
                sha256=None if work.is_stream else work.sha256,
            )
        )
        work.committed_at, work.phase = sent_at, Phase.COMMITTED

    def _report_too_early(self, work: Work) -> None:
        """On its own connection it overtook the commit: refused, nothing may follow from it."""
        if self._node.is_cut_off or not self._world.network.api_is_up:
            return
        try:
            self._world.farm.attempts.report(self._report(work, True))
        except (FarmError, Died):
            return

    def _publish(self, work: Work) -> None:
        if self._world.seconds - work.committed_at > RULES.node_timeout_seconds / 2:
            # It slept between the answer and now: ask again before touching the destination.
            work.phase = Phase.ENCODED
            return
        if not work.is_stream:
            self._link(work)
        work.phase = Phase.PUBLISHED if work.failure is None else Phase.FAILED

    def _link(self, work: Work) -> None:
        disk, name = self._world.disk, work.grant.job.id
        if not disk.link(name, work.sha256):
            own = {work.sha256, *work.grant.committed_sha256}
            if disk.files[name] in own:
                disk.files[name] = work.sha256
            else:
                work.failure = FailureClass.OUTPUT_EXISTS

    def _report(self, work: Work, is_done: bool | None = None) -> Report:
        is_done = work.phase is Phase.PUBLISHED if is_done is None else is_done
        is_file = not work.is_stream
        return Report(
            job_id=work.key[0],
            node_id=self._node.name,
            number=work.key[1],
            lease=work.grant.attempt.lease,
            outcome=Outcome.COMPLETED if is_done else Outcome.FAILED,
            failure_class=None if is_done else work.failure,
            error=None if is_done else "it broke",
            sha256=work.sha256 if is_done and is_file else None,
        )
