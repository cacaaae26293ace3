"""The step that compares an output with its source, and the gate that it must pass."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ffrtmp.domain.media import Metric
from ffrtmp.domain.retry import FailureClass
from workers.deadline import Deadline
from workers.errors import AttemptFailed
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.quality import (
    Score,
    file_of,
    measure,
    model_for,
    read_scores,
    reference_size,
    score_of,
)
from workers.ffmpeg.rate_points import better, rate_of, rate_text
from workers.ffmpeg.target import CPU
from workers.files import open_plain
from workers.inspection import Made
from workers.running import Running, check_not_stopped

MEASURING = "measuring"
log = logging.getLogger(__name__)


Scores = dict[Metric, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One file and what it scores in each metric that was asked for."""

    made: Made
    scores: Scores

    def quality(self) -> dict[str, Any]:
        """What a result shows of them; nothing where nothing was measured."""
        shown = {str(metric): score.facts() for metric, score in self.scores.items()}
        return {"quality": shown} if shown else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All that came of a plan, the largest picture first.

    ``rejected`` is what came before and was not good enough.
    """

    plan: Plan
    pictures: tuple[Scored, ...]
    rejected: "Measured | None" = None

    @property
    def top(self) -> Scored:
        """The largest picture, which stands for all."""
        return self.pictures[0]

    @property
    def vmaf(self) -> float:
        """The mean VMAF of the largest picture."""
        return self.top.scores[Metric.VMAF].mean

    def rates(self) -> dict[str, Any]:
        """What a result shows of an output that was made anew; else nothing."""
        if self.rejected is None:
            return {}
        return {"accepted_rate": self._point(), "rejected_rate": self.rejected._point()}

    def _point(self) -> dict[str, Any]:
        return rate_of(self.top.made.picture) | {"vmaf": round(self.vmaf, 3)}


class Meter:
    """Compares with a share of the node's cores."""

    def __init__(self, *, ffmpeg: Path, threads: int) -> None:
        self._ffmpeg = ffmpeg
        self._threads = threads

    def scores(
        self,
        metrics: tuple[Metric, ...],
        plan: Plan,
        made: Made,
        running: Running,
        deadline: Deadline,
    ) -> Scores:
        """What one file scores in each metric; AttemptFailed, AttemptStopped."""
        if not metrics:
            return {}
        argv = measure(
            metrics,
            plan,
            made.picture,
            ffmpeg=self._ffmpeg,
            source=running.source.location,
            output=made.access,
            threads=self._threads,
        )
        self._run(argv, made, running, deadline)
        size = reference_size(plan)
        found = {}
        for metric in metrics:
            frames = _frames(metric, running.scratch / file_of(metric))
            _check_complete(metric, len(frames), made.facts.video.frames)
            model = model_for(size) if metric is Metric.VMAF else None
            found[metric] = score_of(frames, model=model)
        return found

    def _run(self, argv: tuple[str, ...], made: Made, running: Running, deadline: Deadline) -> None:
        process = FfmpegProcess(
            argv,
            timeout_seconds=deadline.left,
            working_directory=running.scratch,
            environment=running.source.environment,
        )
        beside = running.beside()
        end = beside.run(process, made.facts.duration_seconds, phase=MEASURING, fraction=1.0)
        check_not_stopped(running.held)
        running.encode.log.append(beside.encode.log.text())
        beside.require_success(end, CPU, timeout_seconds=deadline.seconds)


def gated(
    encode: Callable[[Plan], Measured], plan: Plan, min_vmaf: float | None, running: Running
) -> Measured:
    """What comes of the plan, or of one better, with at least ``min_vmaf``; else AttemptFailed.

    Of several pictures the largest must have it, and only that one is made better.
    """
    first = encode(plan)
    if min_vmaf is None or first.vmaf >= min_vmaf:
        return first
    wanted = better(first.top.made.picture, plan.codec, vmaf=first.vmaf, asked=min_vmaf)
    if wanted is None:
        raise _too_low(min_vmaf, first)
    said = f"{_said(first)} is below the {min_vmaf:g} asked for: once more at {rate_text(wanted)}"
    log.info("attempt %s: %s", running.held, said)
    running.encode.log.append(f"{said}\n")
    running.encode.restart()
    second = encode(_with(plan, first.top.made.picture, wanted))
    if second.vmaf < min_vmaf:
        raise _too_low(min_vmaf, first, second)
    return replace(second, rejected=first)


def _with(plan: Plan, old: PicturePlan, new: PicturePlan) -> Plan:
    pictures = tuple(new if picture == old else picture for picture in plan.pictures)
    return replace(plan, pictures=pictures)


def _too_low(min_vmaf: float, first: Measured, second: Measured | None = None) -> AttemptFailed:
    if second is None:
        why = ", and the job allows no better rate"
        message = f"{_said(first)} is below the {min_vmaf:g} asked for{why}"
    else:
        message = f"{_said(second)} is below the {min_vmaf:g} asked for; it was {_said(first)}"
    return AttemptFailed(FailureClass.QUALITY_LOW, message)


def _said(measured: Measured) -> str:
    # rounded down: 92.999 is below 93
    vmaf = math.floor(measured.vmaf * 100) / 100
    return f"VMAF {vmaf:.2f} at {rate_text(measured.top.made.picture)}"


def _frames(metric: Metric, path: Path) -> list[float]:
    try:
        with open_plain(path) as lines:
            return read_scores(metric, lines)
    except (OSError, ValueError) as error:
        raise AttemptFailed(FailureClass.ENCODER, f"no {metric} was written: {error}") from error


def _check_complete(metric: Metric, compared: int, expected: int | None) -> None:
    """A source that broke off in the middle ends the comparison early, and ffmpeg well."""
    if expected is not None and compared < expected:
        raise AttemptFailed(
            FailureClass.CONNECTION,
            f"the source ended early: {metric} has {compared} of {expected} frames",
        )
