"""One stream: published at its own speed until its end, on a leash, taken up where it breaks."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ffrtmp.domain.locations import is_live, is_local
from ffrtmp.domain.media import Engine
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import ClaimAnswer
from workers.backoff import jittered_delays
from workers.clock import boot_seconds
from workers.encoder import is_refused, target_of
from workers.errors import AttemptFailed
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.leash import EXIT_EXPIRED
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.target import Target
from workers.gstreamer.found import Gstreamer
from workers.hardware.devices import Targets
from workers.ledger import Held, Progress
from workers.live_source import live_facts
from workers.publishers import FfmpegPublisher, GstreamerPublisher, Publisher, Turn
from workers.reading import trusted
from workers.reconnecting import DEFAULT_RECONNECT_SECONDS, Course, Run
from workers.running import Running, check_not_stopped, supported

LEASE_WAIT_SECONDS: Final = 10.0
LEASE_POLL_SECONDS: Final = 0.05
LEASE_LOST: Final = "no heartbeat was answered in time, so this node ended its stream"
BACKOFF_BASE_SECONDS: Final = 1.0
BACKOFF_CAP_SECONDS: Final = 10.0
"""Well below the limit of standstill in the live queue."""
RECONNECTING: Final = "reconnecting"


@dataclass(slots=True, kw_only=True)
class Stream:
    """One stream on its way: what it is, and how far it has come."""

    spec: JobSpec
    target: Target
    publisher: Publisher
    threads: int
    running: Running
    began_at: float
    plan: Plan | None = None
    """None until its source has been seen."""
    course: Course = field(default_factory=Course)

    @property
    def is_live(self) -> bool:
        """True for a source that has no beginning to go back to."""
        return is_live(self.spec.input)

    @property
    def expected_seconds(self) -> float | None:
        """How long it is going to be in all, None where nobody knows."""
        if self.plan is None:
            return None
        return self.plan.limit_seconds if self.spec.is_looped else self.plan.expected_seconds

    @property
    def is_over(self) -> bool:
        """True where nothing of it is left."""
        return self.course.left_of(self.expected_seconds) == 0

    @property
    def position_seconds(self) -> float:
        """Where in its source it goes on; a live one, and a test source, have no such place.

        A remote one of unknown length may be live as well: what was sent of it is not there any
        more.
        """
        source = None if self.plan is None else self.plan.source
        if source is None or self.is_live:
            return 0.0
        length = source.duration_seconds
        if length is None and not is_local(self.spec.input or ""):
            return 0.0
        sent = self.course.sent_seconds
        return sent % length if self.spec.is_looped and length else sent

    def rest(self, plan: Plan) -> Plan:
        """The plan of what is left."""
        return replace(plan, limit_seconds=self.course.left_of(plan.limit_seconds))

    def leaves_gpu(self, failure: AttemptFailed) -> bool:
        """True, once, where the GPU's decoder refuses the source: the CPU's takes its place."""
        if self.plan is None or not is_refused(failure, self.plan, self.target):
            return False
        self.target = self.target.without_decoding()
        return True

    def timeout_seconds(self) -> float | None:
        """What is left of the time-out, None where there is none."""
        limit = self.spec.limits.timeout_seconds
        return None if limit is None else max(0.0, limit - (self.clock() - self.began_at))

    def clock(self) -> float:
        """The attempt's own."""
        return self.running.held.suspension.clock()


class Streamer:
    """Publishes streams; the rest as ``Encoder``.

    One that breaks off is taken up again within its attempt, until it could not be published for
    ``reconnect_seconds``.
    """

    def __init__(
        self,
        *,
        ffmpeg: Path,
        threads: int,
        targets: Targets,
        gstreamer: Gstreamer | None = None,
        reconnect_seconds: float = DEFAULT_RECONNECT_SECONDS,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads
        self._by_ffmpeg = FfmpegPublisher(ffmpeg=ffmpeg)
        self._by_gstreamer = None if gstreamer is None else GstreamerPublisher(gstreamer=gstreamer)
        self._targets = targets
        self._reconnect_seconds = reconnect_seconds

    def stream(self, claim: ClaimAnswer, running: Running) -> dict[str, Any]:
        """Publish the source, or a test source, to its end; the facts that the result shows.

        AttemptFailed, AttemptStopped. It ends in time for the next publisher where the lease
        cannot be renewed, and is never suspended.
        """
        stream = Stream(
            spec=claim.spec,
            target=target_of(self._targets, claim),
            publisher=self._publisher(claim.spec),
            threads=running.limits.threads(self._threads),
            running=running,
            began_at=running.held.suspension.clock(),
        )
        self._publish_all(stream)
        return stream.course.facts()

    def _publisher(self, spec: JobSpec) -> Publisher:
        """ffmpeg's, unless the job asks for the other: which is never replaced."""
        if spec.engine is not Engine.GSTREAMER:
            return self._by_ffmpeg
        if self._by_gstreamer is None:
            raise AttemptFailed(FailureClass.INCAPABLE, "this node has no GStreamer that works")
        return self._by_gstreamer

    def _publish_all(self, stream: Stream) -> None:
        """AttemptFailed where it does not go on any more."""
        delays = _delays()
        while True:
            before = stream.course
            try:
                self._publish(stream)
                return
            except AttemptFailed as failure:
                if stream.is_over and failure.failure_class is FailureClass.CONNECTION:
                    return
                if stream.leaves_gpu(failure):
                    continue
                if stream.course is before:
                    nothing = Run(ended_at=stream.clock(), seconds=0.0)
                    stream.course = before.after(nothing)
                if stream.course.failing_since != before.failing_since:
                    delays = _delays()
                delay = next(delays)
                if not self._may_go_on(stream, failure, delay):
                    raise
                _wait(stream, failure, delay)

    def _may_go_on(self, stream: Stream, failure: AttemptFailed, delay: float) -> bool:
        return stream.course.may_go_on(
            failure.failure_class,
            at=stream.clock() + delay,
            is_seen_live=stream.is_live and stream.plan is not None,
            patience_seconds=self._reconnect_seconds,
        )

    def _publish(self, stream: Stream) -> None:
        """One process; AttemptFailed where it ends before the stream does."""
        running, held = stream.running, stream.running.held
        stream.plan = plan = stream.plan or self._plan(stream)
        running.encode.argv = _argv(stream, plan)
        await_lease(held)
        process = FfmpegProcess(
            running.encode.argv,
            timeout_seconds=stream.timeout_seconds(),
            leash_until=held.lease_until,
            environment={
                **trusted(),
                **running.source.environment,
                **stream.publisher.environment,
            },
            tools=stream.publisher.tools,
        )
        once = running.once_more()
        held.on_renewal(process.extend)
        try:
            end = once.run(
                process,
                stream.expected_seconds,
                fraction=held.progress.fraction,
                before_seconds=stream.course.sent_seconds,
                before_dropped=stream.course.dropped_frames,
                can_suspend=False,
            )
        finally:
            held.on_renewal(None)
            _count(stream, once)
        check_not_stopped(held)
        if end.exit_code == EXIT_EXPIRED:
            raise AttemptFailed(FailureClass.NODE_LOST, LEASE_LOST)
        limit = stream.spec.limits.timeout_seconds
        once.require_success(
            end, stream.target, timeout_seconds=limit, failure_of=stream.publisher.failure
        )
        said = stream.publisher.failure(exit_code=0, signal=None, stderr=once.encode.log.text())
        if said.failure_class is FailureClass.CONNECTION:
            raise AttemptFailed(said.failure_class, said.message, exit_code=0)

    def _plan(self, stream: Stream) -> Plan:
        """AttemptFailed where the source cannot be seen, or made into this."""
        running = stream.running
        if stream.is_live:
            source: MediaFacts | None = live_facts(running, ffmpeg=self._ffmpeg)
        else:
            source = running.source_facts()
        return supported(lambda: plan_of(stream.spec, source))


def _argv(stream: Stream, plan: Plan) -> tuple[str, ...]:
    source = stream.running.source
    turn = Turn(
        plan=stream.rest(plan),
        source=source.location,
        address=source.address(),
        rtmp_url=stream.spec.rtmp_url or "",
        is_looped=stream.spec.is_looped,
        from_seconds=stream.position_seconds,
        target=stream.target,
        threads=stream.threads,
    )
    return supported(lambda: stream.publisher.argv(turn))


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


def _delays() -> Iterator[float]:
    return jittered_delays(base_seconds=BACKOFF_BASE_SECONDS, cap_seconds=BACKOFF_CAP_SECONDS)


def _count(stream: Stream, once: Running) -> None:
    """Add what one process did to the stream and to what is reported of the attempt."""
    said, whole = once.encode.said, stream.running.encode
    run = Run(ended_at=stream.clock(), seconds=once.encode.seconds)
    if said is not None:
        run = replace(
            run,
            sent_seconds=said.out_time_seconds or 0.0,
            sent_bytes=said.total_bytes or 0,
            frames=said.frame or 0,
            dropped_frames=said.dropped_frames or 0,
        )
    stream.course = stream.course.after(run)
    whole.seconds, whole.frames = stream.course.published_seconds, stream.course.frames
    whole.speed = once.encode.speed


def _wait(stream: Stream, failure: AttemptFailed, seconds: float) -> None:
    """Stand by before the next process; AttemptStopped, or AttemptFailed where time is over."""
    held, limit = stream.running.held, stream.spec.limits.timeout_seconds
    left = stream.timeout_seconds()
    if left is not None and left <= seconds:
        raise AttemptFailed(
            FailureClass.LIMIT_EXCEEDED,
            f"the {limit:g} s asked for are over, and the stream is broken off: {failure.message}",
        )
    stream.running.encode.log.append(
        f"[ffrtmp] {failure.message}; the stream goes on in {seconds:.1f} s\n"
    )
    held.progress = Progress(
        phase=RECONNECTING,
        mark=f"{RECONNECTING} {stream.clock()}",
        ends_by=stream.clock() + seconds,
        is_silent=True,
        fraction=held.progress.fraction,
        dropped_frames=stream.course.dropped_frames,
    )
    stopped = threading.Event()
    held.on_stop(stopped.set)
    stopped.wait(seconds)
    held.on_stop(None)
    check_not_stopped(held)
