"""One encode: probe the source, plan the output, run ffmpeg, look at what came out."""

from functools import partial
from pathlib import Path
from typing import Any

from ffrtmp.domain.media import Verify
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import Limits
from ffrtmp.schemas import ClaimAnswer
from workers.errors import AttemptFailed
from workers.ffmpeg.command import transcode
from workers.ffmpeg.passes import FIRST, SECOND, Pass
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.target import Target
from workers.hardware.devices import Targets
from workers.inspection import Made, check_decodes, inspect
from workers.running import ENCODING, Running, check_not_stopped, supported
from workers.staging import Staged, check_source_unchanged

ANALYSING = "analysing"


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
        for done, turn in enumerate(_turns(plan, running)):
            running.encode.argv = supported(
                partial(
                    transcode,
                    plan,
                    ffmpeg=self._ffmpeg,
                    source=running.source.location,
                    destination=staged.temporary,
                    threads=running.limits.threads(self._threads),
                    target=target,
                    turn=turn,
                )
            )
            self._run(spec.limits, staged, plan, target, running, passes_done=done)
        outputs = inspect(plan, staged.temporary, running)
        if spec.verify is Verify.DECODE:
            self._check_decode(outputs, spec.limits, running)
        return facts_of(outputs) | _planned(plan)

    def _run(
        self,
        limits: Limits,
        staged: Staged,
        plan: Plan,
        target: Target,
        running: Running,
        *,
        passes_done: int,
    ) -> None:
        process = FfmpegProcess(
            running.encode.argv,
            timeout_seconds=_left(limits, running),
            working_directory=staged.temporary if plan.makes_folder else None,
            environment=running.source.environment,
        )
        one = plan.expected_seconds
        end = running.run(
            process,
            one and one * (2 if plan.is_two_pass else 1),
            phase=ANALYSING if plan.is_two_pass and not passes_done else ENCODING,
            before_seconds=(one or 0.0) * passes_done,
        )
        check_not_stopped(running.held)
        if not end.timed_out:
            check_source_unchanged(staged)
        running.require_success(end, target, timeout_seconds=limits.timeout_seconds)

    def _check_decode(self, outputs: tuple[Made, ...], limits: Limits, running: Running) -> None:
        for made in outputs:
            check_decodes(
                made,
                running,
                ffmpeg=self._ffmpeg,
                threads=running.limits.threads(self._threads),
                timeout_seconds=_left(limits, running),
                asked_seconds=limits.timeout_seconds,
            )


def _turns(plan: Plan, running: Running) -> tuple[Pass | None, ...]:
    if not plan.is_two_pass:
        return (None,)
    return tuple(Pass(number=number, folder=running.scratch) for number in (FIRST, SECOND))


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


def facts_of(outputs: tuple[Made, ...]) -> dict[str, Any]:
    """The largest picture as the job's result shows it, and of a folder each of them."""
    facts = _facts_of(outputs[0])
    if len(outputs) == 1:
        return facts
    return facts | {"renditions": [{"name": it.picture.name, **_facts_of(it)} for it in outputs]}


def _facts_of(made: Made) -> dict[str, Any]:
    output, video = made.facts, made.facts.video
    return {
        "duration_seconds": output.duration_seconds,
        "container": output.container,
        "video_codec": video.codec,
        "width": video.width,
        "height": video.height,
        "frame_rate": str(video.fps) if video.fps else None,
        "frames": video.frames,
        "bit_depth": video.bit_depth,
        "colour_transfer": video.colour.transfer,
        "audio_codecs": [track.codec for track in output.audio],
        "subtitle_codecs": [track.codec for track in output.subtitles],
    }


def _planned(plan: Plan) -> dict[str, Any]:
    return {"left_out": list(plan.left_out)} if plan.left_out else {}
