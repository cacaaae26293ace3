"""One encode: probe the source, plan the output, run ffmpeg, look at what came out."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ffrtmp.domain.media import Verify
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import ClaimAnswer
from workers.deadline import Deadline
from workers.digests import size_of
from workers.errors import AttemptFailed
from workers.ffmpeg.command import transcode
from workers.ffmpeg.gpu_filters import stays_on_gpu
from workers.ffmpeg.passes import FIRST, SECOND, Pass
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.quality import check_measurable
from workers.ffmpeg.target import Target
from workers.hardware.devices import Targets
from workers.inspection import Made, bits_per_second, check_decodes, inspect
from workers.quality import Measured, Meter, Scored, gated
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
        spec, source = claim.spec, running.source_facts()
        plan = supported(lambda: plan_of(spec, source))
        supported(lambda: check_measurable(spec.quality.metrics, plan))
        running.limits.require_room(plan.expected_bytes)
        task = _Task(
            spec=spec,
            staged=staged,
            target=target_of(self._targets, claim),
            running=running,
            deadline=Deadline.after(spec.limits.timeout_seconds, running.held.suspension.clock),
            threads=running.limits.threads(self._threads),
        )
        encode = partial(self._on_what_decodes, task)
        measured = gated(encode, plan, spec.quality.min_vmaf, running)
        return facts_of(measured.pictures) | measured.rates() | _planned(plan)

    def _on_what_decodes(self, task: "_Task", plan: Plan) -> Measured:
        """The plan carried out, with the CPU's decoder where the GPU's refuses this source."""
        try:
            return self._once(task, plan)
        except AttemptFailed as failed:
            if not is_refused(failed, plan, task.target):
                raise
        return self._once(replace(task, target=task.target.without_decoding()), plan)

    def _once(self, task: "_Task", plan: Plan) -> Measured:
        """The plan carried out, inspected and measured."""
        running, destination = task.running, task.staged.temporary
        for done, turn in enumerate(_turns(plan, running)):
            running.encode.argv = supported(
                partial(
                    transcode,
                    plan,
                    ffmpeg=self._ffmpeg,
                    source=running.source.location,
                    destination=destination,
                    threads=task.threads,
                    target=task.target,
                    turn=turn,
                )
            )
            self._run(task, plan, passes_done=done)
        outputs = inspect(plan, destination, running)
        if task.spec.verify is Verify.DECODE:
            self._check_decode(task, outputs)
        return self._measured(task, plan, outputs)

    def _measured(self, task: "_Task", plan: Plan, outputs: tuple[Made, ...]) -> Measured:
        meter = Meter(ffmpeg=self._ffmpeg, threads=task.threads)
        metrics = task.spec.quality.metrics
        pictures = tuple(
            Scored(made=made, scores=meter.scores(metrics, plan, made, task.running, task.deadline))
            for made in outputs
        )
        check_source_unchanged(task.staged)
        return Measured(plan=plan, pictures=pictures)

    def _run(self, task: "_Task", plan: Plan, *, passes_done: int) -> None:
        running, deadline = task.running, task.deadline
        process = FfmpegProcess(
            running.encode.argv,
            timeout_seconds=deadline.left,
            working_directory=task.staged.temporary if plan.makes_folder else None,
            environment=running.source.environment,
        )
        one = plan.expected_seconds
        end = running.run(
            process,
            one and one * (2 if plan.is_two_pass else 1),
            phase=ANALYSING if plan.is_two_pass and not passes_done else ENCODING,
            fraction=running.held.progress.fraction,
            before_seconds=(one or 0.0) * passes_done,
        )
        check_not_stopped(running.held)
        if not end.timed_out:
            check_source_unchanged(task.staged)
        running.require_success(end, task.target, timeout_seconds=deadline.seconds)

    def _check_decode(self, task: "_Task", outputs: tuple[Made, ...]) -> None:
        for made in outputs:
            check_decodes(
                made,
                task.running,
                ffmpeg=self._ffmpeg,
                threads=task.threads,
                timeout_seconds=task.deadline.left,
                asked_seconds=task.deadline.seconds,
            )


def _turns(plan: Plan, running: Running) -> tuple[Pass | None, ...]:
    if not plan.is_two_pass:
        return (None,)
    return tuple(Pass(number=number, folder=running.scratch) for number in (FIRST, SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One attempt's encode, whatever its plan."""

    spec: JobSpec
    staged: Staged
    target: Target
    running: Running
    deadline: Deadline
    threads: int


def is_refused(failure: AttemptFailed, plan: Plan, target: Target) -> bool:
    """True where a GPU may have failed for what it was to decode: its encoder may still do."""
    return failure.failure_class is FailureClass.INCAPABLE and stays_on_gpu(plan, target)


def target_of(targets: Targets, claim: ClaimAnswer) -> Target:
    """How to speak to what the attempt was given; AttemptFailed where this node has no such."""
    try:
        return targets[claim.device][claim.hardware]
    except KeyError:
        raise AttemptFailed(
            FailureClass.HARDWARE,
            f"this node has no {claim.hardware} encoder on a device {claim.device}",
        ) from None


def facts_of(pictures: tuple[Scored, ...]) -> dict[str, Any]:
    """The largest picture as the job's result shows it, and of a folder each of them."""
    facts = _facts_of(pictures[0])
    if len(pictures) == 1:
        return facts
    return facts | {"renditions": [_rendition(it) for it in pictures]}


def _rendition(picture: Scored) -> dict[str, Any]:
    made = picture.made
    size = size_of(made.path.parent if made.is_playlist else made.path)
    return {
        "name": made.picture.name,
        **_facts_of(picture),
        "size_bytes": size,
        "bits_per_second": bits_per_second(size, made.facts.duration_seconds),
    }


def _facts_of(picture: Scored) -> dict[str, Any]:
    output, video = picture.made.facts, picture.made.facts.video
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
        **picture.quality(),
    }


def _planned(plan: Plan) -> dict[str, Any]:
    return {"left_out": list(plan.left_out)} if plan.left_out else {}
