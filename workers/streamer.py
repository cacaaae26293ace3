"""One stream: published at its own speed until its end, on a leash."""

import time
from pathlib import Path

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from workers.clock import boot_seconds
from workers.encoder import target_of
from workers.errors import AttemptFailed
from workers.ffmpeg.leash import EXIT_EXPIRED
from workers.ffmpeg.plan import plan_of
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.streaming import publish
from workers.hardware.devices import Targets
from workers.ledger import Held
from workers.running import Running, check_not_stopped, supported

LEASE_WAIT_SECONDS = 10.0
LEASE_POLL_SECONDS = 0.05
LEASE_LOST = "no heartbeat was answered in time, so this node ended its stream"


class Streamer:
    """Publishes streams; the rest as ``Encoder``."""

    def __init__(self, *, ffmpeg: Path, threads: int, targets: Targets) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads
        self._targets = targets

    def stream(self, claim: ClaimAnswer, running: Running) -> None:
        """Publish the source, or a test source, to its end; AttemptFailed, AttemptStopped.

        It ends in time for the next publisher where the lease cannot be renewed, and is never
        suspended.
        """
        spec, target, held = claim.spec, target_of(self._targets, claim), running.held
        source = running.source_facts()
        plan = supported(lambda: plan_of(spec, source))
        running.encode.argv = supported(
            lambda: publish(
                plan,
                ffmpeg=self._ffmpeg,
                source=running.source.location,
                rtmp_url=spec.rtmp_url or "",
                threads=self._threads,
                target=target,
            )
        )
        await_lease(held)
        limit = spec.limits.timeout_seconds
        process = FfmpegProcess(
            running.encode.argv,
            timeout_seconds=limit,
            leash_until=held.lease_until,
            environment=running.source.environment,
        )
        held.on_renewal(process.extend)
        try:
            end = running.run(process, plan.expected_seconds, can_suspend=False)
        finally:
            held.on_renewal(None)
        check_not_stopped(held)
        if end.exit_code == EXIT_EXPIRED:
            raise AttemptFailed(FailureClass.NODE_LOST, LEASE_LOST)
        running.require_success(end, target, timeout_seconds=limit)


def await_lease(held: Held) -> None:
    """Return while the lease surely runs; a claim that was answered late waits for a heartbeat.

    AttemptFailed where none is answered in LEASE_WAIT_SECONDS.
    """
    until = time.monotonic() + LEASE_WAIT_SECONDS
    while boot_seconds() > held.lease_until:
        check_not_stopped(held)
        if time.monotonic() > until:
            raise AttemptFailed(FailureClass.NODE_LOST, LEASE_LOST)
        time.sleep(LEASE_POLL_SECONDS)
