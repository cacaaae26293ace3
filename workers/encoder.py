"""One encode: probe the source, run ffmpeg, look at what came out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ffrtmp.domain.media import Hardware
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer, JobSpec
from workers.clock import boot_seconds
from workers.errors import AttemptFailed, AttemptStopped
from workers.ffmpeg import progress as ffmpeg_progress
from workers.ffmpeg.command import UnsupportedSpec, publish, transcode
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.failures import classify
from workers.ffmpeg.leash import EXIT_EXPIRED
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.probe import ProbeFailed, probe
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd, ProcessIdentity
from workers.ffmpeg.target import Target
from workers.ffmpeg.verify import differences
from workers.hardware.devices import Targets
from workers.ledger import Held, Progress
from workers.staging import Staged, check_source_unchanged
from workers.tracing import span

STOP_GRACE_SECONDS = 0.2
LEASE_WAIT_SECONDS = 10.0
LEASE_POLL_SECONDS = 0.05
LEASE_LOST = "no heartbeat was answered in time, so this node ended its stream"
PROBE_BASE_SECONDS = 30.0
ENCODING = "encoding"
PROBE_BYTES_PER_SECOND = 10_000_000


@dataclass(slots=True, kw_only=True)
class Encode:
    """What is known of one encode so far: read by the report, however it ends."""

    log: BoundedLog
    argv: tuple[str, ...] = ()
    exit_code: int | None = None
    seconds: float = 0.0
    frames: int | None = None
    speed: float | None = None

    @property
    def fps(self) -> float | None:
        """Frames encoded per second of the whole run, without the time it was suspended."""
        return self.frames / self.seconds if self.frames and self.seconds else None


class Encoder:
    """Runs ffmpeg with a share of the node's cores, on whichever device an attempt was given.

    ``targets``: by device id and encoder family, what works on this node.
    """

    def __init__(
        self,
        *,
        ffmpeg: Path,
        threads: int,
        targets: Targets,
    ) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads
        self._targets = targets

    def encode(
        self,
        claim: ClaimAnswer,
        staged: Staged,
        held: Held,
        encode: Encode,
        *,
        on_start: Callable[[ProcessIdentity], None],
    ) -> MediaFacts:
        """Write ``staged.temporary`` and return what it is; AttemptFailed, AttemptStopped.

        ``on_start`` hears which process encodes, before its end is waited for.
        """
        spec, target = claim.spec, self._target(claim)
        source = self._look(staged.source, held)
        how = self._how(staged.source, source, target)
        encode.argv = _supported(partial(transcode, spec, destination=staged.temporary, **how))
        process = FfmpegProcess(encode.argv, timeout_seconds=spec.timeout_seconds)

        def started(identity: ProcessIdentity) -> None:
            on_start(identity)
            held.suspension.attach(process)

        end = self._run(process, expected_seconds(spec, source), held, encode, started)
        check_not_stopped(held)
        if not end.timed_out:
            check_source_unchanged(staged)
        _raise_if_failed(spec, end, encode, target)
        return _verified(spec, source, staged.temporary, held, encode)

    def stream(
        self,
        claim: ClaimAnswer,
        location: str | None,
        held: Held,
        encode: Encode,
        *,
        on_start: Callable[[ProcessIdentity], None],
    ) -> None:
        """Publish ``location``, or a test source, to its end; AttemptFailed, AttemptStopped.

        It ends in time for the next publisher where the lease cannot be renewed, and is never
        suspended.
        """
        spec, target = claim.spec, self._target(claim)
        source = self._look(location, held)
        encode.argv = _supported(partial(publish, spec, **self._how(location, source, target)))
        await_lease(held)
        process = FfmpegProcess(
            encode.argv, timeout_seconds=spec.timeout_seconds, leash_until=held.lease_until
        )
        held.on_renewal(process.extend)
        try:
            end = self._run(process, expected_seconds(spec, source), held, encode, on_start)
        finally:
            held.on_renewal(None)
        check_not_stopped(held)
        if end.exit_code == EXIT_EXPIRED:
            raise AttemptFailed(FailureClass.NODE_LOST, LEASE_LOST)
        _raise_if_failed(spec, end, encode, target)

    def _target(self, claim: ClaimAnswer) -> Target:
        """How to speak to what the attempt was given; AttemptFailed where this node has no such."""
        try:
            return self._targets[claim.device][claim.hardware]
        except KeyError:
            raise AttemptFailed(
                FailureClass.HARDWARE,
                f"this node has no {claim.hardware} encoder on a device {claim.device}",
            ) from None

    def _how(
        self, location: str | None, source: MediaFacts | None, target: Target
    ) -> dict[str, Any]:
        return {
            "target": target,
            "ffmpeg": self._ffmpeg,
            "source": location,
            "has_audio": source is not None and bool(source.audio),
            "threads": self._threads,
        }

    def _look(self, location: str | None, held: Held) -> MediaFacts | None:
        if location is None:
            return None
        try:
            return _probed(location, held, "probing", seconds=PROBE_BASE_SECONDS)
        except ProbeFailed as error:
            raise AttemptFailed(error.failure_class, error.message) from error

    def _run(
        self,
        process: FfmpegProcess,
        expected: float | None,
        held: Held,
        encode: Encode,
        on_start: Callable[[ProcessIdentity], None],
    ) -> ProcessEnd:
        check_not_stopped(held)

        def on_progress(so_far: ffmpeg_progress.Progress) -> None:
            paused = held.suspension.has_been_on
            said = own_rates(so_far, clock() - started) if paused else so_far
            encode.frames, encode.speed = said.frame, said.speed
            now = encoding_progress(said, expected, least=held.progress.fraction)
            held.progress = replace(now, ends_by=ends_by)

        clock = held.suspension.clock
        started = clock()
        limit = process.timeout_seconds
        ends_by = None if limit is None else started + limit
        held.progress = Progress(phase=ENCODING, mark="encoding", ends_by=ends_by)
        held.on_stop(lambda: process.stop(STOP_GRACE_SECONDS))
        try:
            with span("ffmpeg"):
                identity = process.start()
                if identity is None:
                    raise AttemptStopped(held.stop_reason)
                on_start(identity)
                return process.run(on_progress, encode.log)
        finally:
            held.on_stop(None)
            held.suspension.end()
            encode.seconds = clock() - started


def _supported(command: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return command()
    except UnsupportedSpec as error:
        raise AttemptFailed(FailureClass.UNSUPPORTED, str(error)) from error


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


def check_not_stopped(held: Held) -> None:
    """AttemptStopped where the attempt has been ordered to end."""
    if held.stop_reason is not None:
        raise AttemptStopped(held.stop_reason)


def expected_seconds(spec: JobSpec, source: MediaFacts | None) -> float | None:
    """How long the output is going to be, None where nobody knows."""
    known = [
        seconds
        for seconds in (spec.duration_seconds, source.duration_seconds if source else None)
        if seconds
    ]
    return min(known, default=None)


def encoding_progress(
    said: ffmpeg_progress.Progress, expected: float | None, *, least: float
) -> Progress:
    """ffmpeg's own progress as the farm shows it: never below ``least``, since ffmpeg does not
    know its position while it moves an index to the front."""
    fraction = max(least, (said.out_time_seconds or 0.0) / expected if expected else 0.0)
    return Progress(
        phase=ENCODING,
        mark=f"encoding {said.frame} {said.out_time_seconds} {said.total_bytes}",
        fraction=min(1.0, fraction),
        fps=said.fps,
        speed=said.speed,
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


def facts_of(output: MediaFacts) -> dict[str, Any]:
    """The measured file as the job's result shows it."""
    video = output.video
    return {
        "duration_seconds": output.duration_seconds,
        "container": output.container,
        "video_codec": video.codec,
        "width": video.width,
        "height": video.height,
        "frame_rate": str(video.fps) if video.fps else None,
        "frames": video.frames,
        "audio_codecs": [track.codec for track in output.audio],
    }


def _raise_if_failed(spec: JobSpec, end: ProcessEnd, encode: Encode, target: Target) -> None:
    encode.exit_code = end.exit_code
    if end.timed_out:
        raise AttemptFailed(
            FailureClass.LIMIT_EXCEEDED,
            f"the encode took longer than the {spec.timeout_seconds:g} s asked for",
            exit_code=end.exit_code,
        )
    if end.exit_code != 0 or end.signal is not None:
        failure = classify(exit_code=end.exit_code, signal=end.signal, stderr=encode.log.text())
        why = failure.failure_class
        if why is FailureClass.UNSUPPORTED and target.hardware is not Hardware.CPU:
            # Encoders of GPUs have other options and limits: the CPU's may do it.
            why = FailureClass.INCAPABLE
        raise AttemptFailed(why, failure.message, exit_code=end.exit_code)


def _verified(
    spec: JobSpec, source: MediaFacts | None, path: Path, held: Held, encode: Encode
) -> MediaFacts:
    seconds = PROBE_BASE_SECONDS + path.stat().st_size / PROBE_BYTES_PER_SECOND
    try:
        output = _probed(
            str(path), held, "verifying", seconds=seconds, fraction=1.0, count_frames=True
        )
    except ProbeFailed as error:
        raise _wrong(f"the output cannot be read: {error.message}", encode) from error
    check_not_stopped(held)
    wrong = differences(spec, source, output)
    if wrong:
        raise _wrong("; ".join(wrong), encode)
    return output


def _probed(
    location: str,
    held: Held,
    phase: str,
    *,
    seconds: float,
    fraction: float = 0.0,
    count_frames: bool = False,
) -> MediaFacts:
    """A probe that ends with the attempt; ProbeFailed, AttemptStopped."""
    held.progress = Progress(
        phase=phase,
        mark=phase,
        fraction=fraction,
        ends_by=held.suspension.clock() + seconds,
        is_silent=True,
    )
    try:
        return probe(
            location, timeout_seconds=seconds, count_frames=count_frames, on_start=held.on_stop
        )
    except ProbeFailed:
        check_not_stopped(held)
        raise
    finally:
        held.on_stop(None)


def _wrong(what: str, encode: Encode) -> AttemptFailed:
    """ffmpeg also ends with 0 after an input that broke off: then its log names the class."""
    failure = classify(exit_code=0, signal=None, stderr=encode.log.text())
    if failure.failure_class is FailureClass.OUTPUT_WRONG:
        return AttemptFailed(FailureClass.OUTPUT_WRONG, what, exit_code=0)
    return AttemptFailed(failure.failure_class, f"{failure.message}; {what}", exit_code=0)
