"""What running an attempt leads to on a simulated node: its job's fate, or the node's own."""

from typing import TYPE_CHECKING

from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.retry import FailureClass
from tests.simulation.work import (
    OF_THE_HOST,
    PASSING,
    PERMANENT,
    Fate,
    Phase,
    Process,
    Work,
)

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

ENCODE_SECONDS, SICK_SECONDS = 20.0, 2.0


class Runner:
    """One node's; what ends is handed to its delivery."""

    def __init__(self, node: "SimNode") -> None:
        self._node = node
        self._world = node.world

    def begin(self, process: Process, work: Work) -> None:
        """From now on it runs."""
        process.running[work.key] = work
        is_stuck = self._fate(work) is Fate.STUCK and work.grant.attempt.number == 1
        fails_soon = self._node.is_sick or work.device in self._node.bad_devices
        work.stands_still = is_stuck and not fails_soon
        work.seconds_left = self._world.jitter(SICK_SECONDS if fails_soon else ENCODE_SECONDS)
        self._goes(process, work)

    def suspend_or_go_on(self, process: Process, work: Work, *, is_wanted: bool) -> None:
        """SIGSTOP or SIGCONT, where it is not so already."""
        if is_wanted and work.is_paused:
            work.is_paused = False
            self._goes(process, work)
        elif not is_wanted and not work.is_paused:
            work.is_paused = True
            work.seconds_left -= self._world.seconds - work.goes_since
            work.stretches += 1

    def loses_a_slot(self, seconds: float) -> None:
        """What runs there cannot be killed: it is given up, and its slot written off for now."""
        process = self._node.process
        goes = [work for work in process.running.values() if not work.is_paused] if process else []
        if process is None or not goes:
            return
        work = goes[0]
        process.lost[work.device] = 1
        self._node.given_up.add(work.key)
        self._fails(process, work, FailureClass.STALLED)
        self._node.then(seconds, process, lambda p: p.lost.clear())

    def end_overdue_streams(self, process: Process) -> None:
        """Whose lease may have run out: killed by its leash, and reported so."""
        for work in list(process.running.values()):
            if work.is_stream and self._world.seconds >= work.lease_until:
                self._node.given_up.add(work.key)
                self._fails(process, work, FailureClass.NODE_LOST)

    def _goes(self, process: Process, work: Work) -> None:
        work.goes_since, work.stretches = self._world.seconds, work.stretches + 1
        stretch = work.stretches
        if not work.stands_still:
            seconds = max(0.1, work.seconds_left)
            self._node.then(seconds, process, lambda p: self._ends(p, work, stretch))

    def _ends(self, process: Process, work: Work, stretch: int) -> None:
        if work.key not in process.running or work.stretches != stretch:
            return
        rng, fate = self._world.rng, self._fate(work)
        is_on_gpu = work.device != CPU_DEVICE
        if self._node.is_sick:
            self._fails(process, work, rng.choice(OF_THE_HOST))
        elif work.device in self._node.bad_devices or (is_on_gpu and fate is Fate.NOT_FOR_GPUS):
            self._fails(process, work, FailureClass.HARDWARE)
        elif self._node.is_full:
            self._fails(process, work, FailureClass.NO_SPACE)
        elif fate is Fate.POISON:
            self._node.crash()
            self._world.after(self._world.jitter(3.0), self._node.restart)
        elif fate is Fate.BROKEN:
            self._fails(process, work, rng.choice(PERMANENT))
        elif fate is Fate.FLAKY and work.grant.attempt.number == 1:
            self._fails(process, work, rng.choice(PASSING))
        else:
            self._is_done(process, work)

    def _is_done(self, process: Process, work: Work) -> None:
        existing = self._world.disk.files.get(work.grant.job.id)
        adopted = existing if existing in work.grant.committed_sha256 else None
        work.sha256 = adopted or f"{self._world.rng.getrandbits(256):064x}"
        work.phase = Phase.ENCODED
        self._hand_over(process, work)

    def _fails(self, process: Process, work: Work, failure: FailureClass) -> None:
        work.phase, work.failure = Phase.FAILED, failure
        self._hand_over(process, work)

    def _hand_over(self, process: Process, work: Work) -> None:
        self._node.spool[work.key] = process.running.pop(work.key)
        self._node.delivery.deliver(process, work)

    def _fate(self, work: Work) -> Fate:
        return self._node.fates.get(work.grant.job.id, Fate.FINE)
