"""One media process of an attempt while it runs: watched, suspended, stopped, measured."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from ffrtmp.domain.locations import is_local
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.retry import FailureClass
from workers.box.view import EVERYTHING, View
from workers.errors import AttemptFailed, AttemptStopped, UnsupportedSpec
from workers.ffmpeg import progress as ffmpeg_progress
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.failures import Failure, classify
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.probe import ProbeFailed, probe
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.started import ProcessIdentity
from workers.ffmpeg.target import Target
from workers.ledger import Held, Progress
from workers.limits.attempt import UNLIMITED, Enforced
from workers.limits.watch import watching
from workers.reading import Reading
from workers.tracing import span

T = TypeVar("T")
STOP_GRACE_SECONDS = 0.2
PROBE_BASE_SECONDS = 30.0
ENCODING = "encoding"

OnStart = Callable[[ProcessIdentity], None]
"""Hears which process works, before its end is waited for."""


class FailureOf(Protocol):
    """What the end of a process means, as ``failures.classify``."""

    def __call__(self, *, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
        """The failure of one run."""
        ...


@dataclass(slots=True, kw_only=True)
class Encode:
    """What is known of one encode so far: read by the report, however it ends.

    ``argv`` is that of the process that runs, or ran last.
    """

    log: BoundedLog
    argv: tuple[str, ...] = ()
    exit_code: int | None = None
    seconds: float = 0.0
    frames: int | None = None
    speed: float | None = None
    said: ffmpeg_progress.Progress | None = None
    """The last that ffmpeg said of itself."""

    def restart(self) -> None:
        """Count from nothing: what was encoded is not good enough and made anew."""
        self.seconds, self.frames, self.speed, self.said = 0.0, None, None, None

    @property
    def fps(self) -> float | None:
        """Frames encoded per second of the whole run, without the time it was suspended."""
        return self.frames / self.seconds if self.frames and self.seconds else None


class Running:
    """The processes of one attempt, one after the other, in its own thread.

    ``scratch`` is a folder for what they write beside the output, which nobody keeps.
    ``limits`` hold all of them, and ``view`` is what they see.
    """

    def __init__(
        self,
        held: Held,
        encode: Encode,
        on_start: OnStart,
        source: Reading,
        *,
        scratch: Path,
        limits: Enforced = UNLIMITED,
        view: View = EVERYTHING,
    ) -> None:
        self.view = view
        self.held = held
        self.scratch = scratch
        self.limits = limits
        self.source = source
        self.encode = encode
        self._on_start = on_start

    def beside(self) -> "Running":
        """For a process that looks at what was encoded: its log and counts are its own."""
        return self._with(Encode(log=BoundedLog()))

    def once_more(self) -> "Running":
        """For one of several processes that do the same: only its log is the encode's as well."""
        return self._with(Encode(log=BoundedLog(also=self.encode.log)))

    def _with(self, own: Encode) -> "Running":
        return Running(
            self.held,
            own,
            self._on_start,
            self.source,
            scratch=self.scratch,
            limits=self.limits,
            view=self.view,
        )

    def run(
        self,
        process: FfmpegProcess,
        expected_seconds: float | None,
        *,
        phase: str = ENCODING,
        fraction: float = 0.0,
        before_seconds: float = 0.0,
        before_dropped: int = 0,
        can_suspend: bool = True,
    ) -> ProcessEnd:
        """Run it to its end, whatever that is; AttemptStopped where it was not to start,
        AttemptFailed where a limit of the attempt ended it.

        ``expected_seconds`` is how much media comes out, None where nobody knows; ``fraction``
        of the whole is done before it, and ``before_seconds`` of that media came out
        before, with ``before_dropped`` frames left out.
        """
        held, encode = self.held, self.encode
        check_not_stopped(held)

        def on_progress(so_far: ffmpeg_progress.Progress) -> None:
            paused = held.suspension.has_been_on
            said = own_rates(so_far, clock() - started) if paused else so_far
            encode.frames, encode.speed, encode.said = said.frame, said.speed, said
            now = encoding_progress(
                said,
                expected_seconds,
                least=held.progress.fraction,
                before_seconds=before_seconds,
                before_dropped=before_dropped,
                phase=phase,
            )
            held.progress = replace(now, ends_by=ends_by)

        clock = held.suspension.clock
        started = clock()
        limit = process.timeout_seconds
        ends_by = None if limit is None else started + limit
        held.progress = Progress(phase=phase, mark=phase, ends_by=ends_by, fraction=fraction)
        process.confine(self.limits.confinement, self.view)

        def stop() -> None:
            process.stop(STOP_GRACE_SECONDS)

        held.on_stop(stop)
        try:
            with span("ffmpeg"):
                identity = process.start()
                if identity is None:
                    raise AttemptStopped(held.stop_reason)
                self._on_start(identity)
                if can_suspend:
                    held.suspension.attach(process)
                with watching(lambda: self.limits.is_passed(identity.pid), stop):
                    end = process.run(on_progress, encode.log)
        finally:
            held.on_stop(None)
            held.suspension.detach()
            process.close()
            encode.seconds += clock() - started
        self._require_limits(end)
        return end

    def _require_limits(self, end: ProcessEnd) -> None:
        if end.timed_out or self.held.stop_reason is not None:
            return
        failure = self.limits.breach(end, self.encode.log.text())
        if failure is not None:
            self.encode.exit_code = end.exit_code
            raise failure

    def probed(
        self,
        location: str,
        phase: str,
        *,
        seconds: float = PROBE_BASE_SECONDS,
        fraction: float = 0.0,
        count_frames: bool = False,
        is_own_playlist: bool = False,
    ) -> MediaFacts:
        """A probe that ends with the attempt; ProbeFailed, AttemptStopped."""
        held = self.held
        held.progress = Progress(
            phase=phase,
            mark=phase,
            fraction=fraction,
            ends_by=held.suspension.clock() + seconds,
            is_silent=True,
        )
        try:
            return probe(
                location,
                timeout_seconds=seconds,
                count_frames=count_frames,
                is_own_playlist=is_own_playlist,
                environment=self.source.environment,
                confinement=self.limits.confinement,
                view=self.view,
                on_start=held.on_stop,
            )
        except ProbeFailed:
            check_not_stopped(held)
            if self.limits.is_out_of_memory:
                raise self.limits.needed_too_much() from None
            raise
        finally:
            held.on_stop(None)

    def source_facts(self) -> MediaFacts | None:
        """What the source is, None for the test source; AttemptFailed where it is unusable."""
        if self.source.location is None:
            return None
        try:
            return self.probed(self.source.location, "probing")
        except ProbeFailed as error:
            raise AttemptFailed(error.failure_class, self._said_of_source(error)) from error

    def _said_of_source(self, error: ProbeFailed) -> str:
        user = self.view.user
        is_closed = error.failure_class is FailureClass.INPUT_REFUSED and is_local(
            self.source.location
        )
        if not is_closed or user is None:
            return error.message
        return (
            f"{error.message}: media are read as the user {user.name} on this node; let it read"
            " the file, or give its agent another media_user"
        )

    def require_success(
        self,
        end: ProcessEnd,
        target: Target,
        *,
        timeout_seconds: float | None,
        failure_of: FailureOf = classify,
    ) -> None:
        """AttemptFailed where the process did not end well."""
        encode = self.encode
        encode.exit_code = end.exit_code
        if end.timed_out:
            raise AttemptFailed(
                FailureClass.LIMIT_EXCEEDED,
                f"the encode took longer than the {timeout_seconds:g} s it may",
                exit_code=end.exit_code,
            )
        if end.exit_code != 0 or end.signal is not None:
            said = encode.log.text()
            failure = failure_of(exit_code=end.exit_code, signal=end.signal, stderr=said)
            why = failure.failure_class
            if why is FailureClass.UNSUPPORTED and target.hardware is not Hardware.CPU:
                # Encoders of GPUs have other options and limits: the CPU's may do it.
                why = FailureClass.INCAPABLE
            message = self.view.names.outside(failure.message)
            raise AttemptFailed(why, message, exit_code=end.exit_code)


def check_not_stopped(held: Held) -> None:
    """AttemptStopped where the attempt has been ordered to end."""
    if held.stop_reason is not None:
        raise AttemptStopped(held.stop_reason)


def encoding_progress(
    said: ffmpeg_progress.Progress,
    expected: float | None,
    *,
    least: float,
    before_seconds: float = 0.0,
    before_dropped: int = 0,
    phase: str = ENCODING,
) -> Progress:
    """ffmpeg's own progress as the farm shows it: never below ``least``, since ffmpeg does not
    know its position while it moves an index to the front."""
    done = (before_seconds + (said.out_time_seconds or 0.0)) / expected if expected else 0.0
    return Progress(
        phase=phase,
        mark=f"{phase} {said.frame} {said.out_time_seconds} {said.total_bytes}",
        fraction=min(1.0, max(least, done)),
        fps=said.fps,
        speed=said.speed,
        bits_per_second=said.bits_per_second,
        dropped_frames=before_dropped + (said.dropped_frames or 0),
    )


def own_rates(said: ffmpeg_progress.Progress, ran_seconds: float) -> ffmpeg_progress.Progress:
    """The same with rates over the time that it really ran: ffmpeg's own count its pauses too,
    except one before it began to count."""
    done = said.out_time_seconds
    return replace(
        said,
        fps=None if said.frame is None else said.frame / ran_seconds,
        speed=None if done is None else done / ran_seconds,
    )


def supported(decide: Callable[[], T]) -> T:
    """What it returns; AttemptFailed where it says that this cannot be made."""
    try:
        return decide()
    except UnsupportedSpec as error:
        raise AttemptFailed(FailureClass.UNSUPPORTED, str(error)) from error
