"""One encode: probe the source, plan the output, run ffmpeg, look at what came out."""

from pathlib import Path
from typing import Any

from ffrtmp.domain.media import Verify
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import Limits
from ffrtmp.schemas import ClaimAnswer
from workers.errors import AttemptFailed
from workers.ffmpeg.command import transcode
from workers.ffmpeg.decoding import decode, undecoded
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.failures import classify
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.probe import ProbeFailed
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.target import CPU, Target
from workers.ffmpeg.verify import differences
from workers.hardware.devices import Targets
from workers.running import PROBE_BASE_SECONDS, Encode, Running, check_not_stopped, supported
from workers.staging import Staged, check_source_unchanged

PROBE_BYTES_PER_SECOND = 10_000_000
DECODING = "decoding"


class Encoder:
    """Runs ffmpeg with a share of the node's cores, on whichever device an attempt was given.

    ``targets``: by device id and encoder family, what works on this node.
    """

    def __init__(self, *, ffmpeg: Path, threads: int, targets: Targets) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads
        self._targets = targets

    def encode(self, claim: ClaimAnswer, staged: Staged, running: Running) -> dict[str, Any]:
        """Write ``staged.temporary`` and return the facts of it that the result shows.

        AttemptFailed, AttemptStopped.
        """
        spec, target = claim.spec, target_of(self._targets, claim)
        source = running.source_facts()
        plan = supported(lambda: plan_of(spec, source))
        running.encode.argv = supported(
            lambda: transcode(
                plan,
                ffmpeg=self._ffmpeg,
                source=running.source.location,
                destination=staged.temporary,
                threads=running.limits.threads(self._threads),
                target=target,
            )
        )
        self._run(spec.limits, staged, plan, target, running)
        output = self._verified(plan, staged.temporary, running)
        if spec.verify is Verify.DECODE:
            self._decode(staged.temporary, output, spec.limits, running)
        return facts_of(output) | _planned(plan)

    def _run(
        self, limits: Limits, staged: Staged, plan: Plan, target: Target, running: Running
    ) -> None:
        process = FfmpegProcess(
            running.encode.argv,
            timeout_seconds=limits.timeout_seconds,
            environment=running.source.environment,
        )
        end = running.run(process, plan.expected_seconds)
        check_not_stopped(running.held)
        if not end.timed_out:
            check_source_unchanged(staged)
        running.require_success(end, target, timeout_seconds=limits.timeout_seconds)

    def _verified(self, plan: Plan, path: Path, running: Running) -> MediaFacts:
        seconds = PROBE_BASE_SECONDS + path.stat().st_size / PROBE_BYTES_PER_SECOND
        try:
            output = running.probed(
                str(path), "verifying", seconds=seconds, fraction=1.0, count_frames=True
            )
        except ProbeFailed as error:
            what = f"the output cannot be read: {error.message}"
            raise _wrong(what, running.encode) from error
        check_not_stopped(running.held)
        wrong = differences(plan, plan.pictures[0], output)
        if wrong:
            raise _wrong("; ".join(wrong), running.encode)
        return output

    def _decode(self, path: Path, output: MediaFacts, limits: Limits, running: Running) -> None:
        """AttemptFailed where some of the file does not decode."""
        beside = running.beside()
        process = FfmpegProcess(
            decode(path, ffmpeg=self._ffmpeg, threads=self._threads),
            timeout_seconds=_left(limits, running),
        )
        end = beside.run(process, output.duration_seconds, phase=DECODING, fraction=1.0)
        check_not_stopped(running.held)
        if end.timed_out or end.signal is not None:
            beside.require_success(end, CPU, timeout_seconds=limits.timeout_seconds)
        said = beside.encode.log.text()
        running.encode.log.append(said)
        wrong = undecoded(
            end.exit_code, said, frames=beside.encode.frames, expected=output.video.frames
        )
        if wrong is not None:
            raise AttemptFailed(FailureClass.OUTPUT_WRONG, wrong, exit_code=end.exit_code)


def _left(limits: Limits, running: Running) -> float | None:
    """What remains of the time-out, None where there is none."""
    if limits.timeout_seconds is None:
        return None
    return max(0.0, limits.timeout_seconds - running.encode.seconds)


def target_of(targets: Targets, claim: ClaimAnswer) -> Target:
    """How to speak to what the attempt was given; AttemptFailed where this node has no such."""
    try:
        return targets[claim.device][claim.hardware]
    except KeyError:
        raise AttemptFailed(
            FailureClass.HARDWARE,
            f"this node has no {claim.hardware} encoder on a device {claim.device}",
        ) from None


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


def _planned(plan: Plan) -> dict[str, Any]:
    return {"left_out": list(plan.left_out)} if plan.left_out else {}


def _wrong(what: str, encode: Encode) -> AttemptFailed:
    """ffmpeg also ends with 0 after an input that broke off: then its log names the class."""
    failure = classify(exit_code=0, signal=None, stderr=encode.log.text())
    if failure.failure_class is FailureClass.OUTPUT_WRONG:
        return AttemptFailed(FailureClass.OUTPUT_WRONG, what, exit_code=0)
    return AttemptFailed(failure.failure_class, f"{failure.message}; {what}", exit_code=0)
