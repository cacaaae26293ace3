"""How like its source a picture is: the command that compares them, and what it wrote; purely.

Frames are paired by their time. The source is compared in its own pixels, as a player turns them;
the output, less its bars, is scaled to them.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ffrtmp.domain.media import FrameSize, Metric
from workers.errors import UnsupportedSpec
from workers.ffmpeg.arguments import limit, read, test_source
from workers.ffmpeg.filters import timing_filters
from workers.ffmpeg.inputs import Access
from workers.ffmpeg.pictures import PicturePlan, own_size
from workers.ffmpeg.plan import Plan

MIN_VMAF_SIDE: Final = 32
"""libvmaf crashes where a side has 16 pixels or fewer."""
PERFECT_DECIBELS: Final = 100.0
"""Stands for the PSNR of equal pictures, which is infinite."""
LOW_PERCENTILE: Final = 5
MODEL: Final = "vmaf_v0.6.1"
LARGE_MODEL: Final = "vmaf_4k_v0.6.1"
LARGE_SIDES: Final = (3840, 2160)
"""From one of these on, longer and shorter side, the model for screens of that size."""

_FILES: Final = {Metric.VMAF: "vmaf.csv", Metric.PSNR: "psnr.txt", Metric.SSIM: "ssim.txt"}
_PSNR: Final = re.compile(r"\bpsnr_avg:(\S+)")
_SSIM: Final = re.compile(r"\bAll:(\S+)")
_PAIRED: Final = "shortest=1:ts_sync_mode=nearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric over the compared frames.

    ``harmonic_mean`` is libvmaf's, of the scores plus one, less one. ``p5`` is the 5th percentile
    by nearest rank. ``model`` is None but for VMAF.
    """

    mean: float
    harmonic_mean: float
    p5: float
    min: float
    frames: int
    model: str | None = None

    def facts(self) -> dict[str, Any]:
        """The same as a result shows it."""
        shown = {
            "mean": round(self.mean, 6),
            "harmonic_mean": round(self.harmonic_mean, 6),
            "p5": round(self.p5, 6),
            "min": round(self.min, 6),
            "frames": self.frames,
        }
        return shown | ({} if self.model is None else {"model": self.model})


def check_measurable(metrics: Sequence[Metric], plan: Plan) -> None:
    """UnsupportedSpec where the comparison would say nothing, or cannot be made."""
    if not metrics:
        return
    if plan.is_tone_mapped:
        raise UnsupportedSpec(
            f"{metrics[0]} compares pictures of one dynamic range, and an HDR source is made SDR:"
            " leave out one of the two"
        )
    if Metric.VMAF in metrics and _shorter(reference_size(plan)) < MIN_VMAF_SIDE:
        raise UnsupportedSpec(f"VMAF needs sides of {MIN_VMAF_SIDE} pixels; leave it out")


def reference_size(plan: Plan) -> FrameSize:
    """The size in which pictures and their source are compared."""
    if plan.source is None:
        return plan.largest.frame
    size, _, _ = own_size(plan.source.video)
    return size


def model_for(size: FrameSize) -> str:
    """VMAF's model for pictures of that size."""
    longer, shorter = LARGE_SIDES
    is_large = max(size.width, size.height) >= longer or _shorter(size) >= shorter
    return LARGE_MODEL if is_large else MODEL


def measure(
    metrics: Sequence[Metric],
    plan: Plan,
    picture: PicturePlan,
    *,
    ffmpeg: Path,
    source: str | None,
    output: Access,
    threads: int | None,
) -> tuple[str, ...]:
    """The argv that compares the file of one picture with its source.

    It writes ``file_of`` each metric into its working folder. ``source`` is that of ``transcode``.
    """
    share = str(threads or 1)
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning"),
        *("-nostats", "-progress", "pipe:1", "-filter_complex_threads", share),
        *("-threads", share, *output.arguments()),
        *("-threads", share, *_reference(plan, source)),
        *("-filter_complex", _graph(metrics, plan, picture, share)),
        *("-map", "[measured]", "-fps_mode", "passthrough", "-f", "null", "-"),
        *_same_clock(plan),
    )


def file_of(metric: Metric) -> str:
    """The name of the file with the scores of all frames."""
    return _FILES[metric]


def read_scores(metric: Metric, lines: Iterable[str]) -> list[float]:
    """The scores in such a file, frame by frame; ValueError where it has no sense."""
    match metric:
        case Metric.VMAF:
            found = _column(lines, "vmaf")
        case Metric.PSNR:
            found = _matches(lines, _PSNR)
        case Metric.SSIM:
            found = _matches(lines, _SSIM)
    return [_number(metric, text) for text in found]


def score_of(scores: Sequence[float], *, model: str | None = None) -> Score:
    """What the frames come to; ValueError where there are none."""
    if not scores:
        raise ValueError("no frame was compared")
    ranked, count = sorted(scores), len(scores)
    return Score(
        mean=math.fsum(ranked) / count,
        harmonic_mean=count / math.fsum(1 / (score + 1) for score in ranked) - 1,
        p5=ranked[math.ceil(count * LOW_PERCENTILE / 100) - 1],
        min=ranked[0],
        frames=count,
        model=model,
    )


def _reference(plan: Plan, source: str | None) -> tuple[str, ...]:
    # an input without a reader would never end
    return test_source(replace(plan, sounds=()), plan.largest) if source is None else read(source)


def _same_clock(plan: Plan) -> tuple[str, ...]:
    """Where times start over ffmpeg mends them by all tracks that it reads: so it reads the same
    ones as the encode did."""
    if plan.source is None or plan.source.has_one_clock or not plan.sounds:
        return ()
    tracks = (option for it in plan.sounds for option in ("-map", f"1:a:{it.source_track}"))
    return (*tracks, "-c", "copy", *limit(plan.limit_seconds), "-f", "null", "-")


def _graph(metrics: Sequence[Metric], plan: Plan, picture: PicturePlan, share: str) -> str:
    size = reference_size(plan)
    copies = "".join(f"[reference{n}]" for n in range(len(metrics)))
    alike = _alike(plan, size)
    place = "1:v:0" if plan.is_synthetic else "1:V:0"
    main = ",".join((*_without_bars(picture), *alike))
    reference = ",".join((*timing_filters(plan, picture), *alike))
    chains = [f"[0:v:0]{main}[main0]", f"[{place}]{reference},split={len(metrics)}{copies}"]
    for n, metric in enumerate(metrics):
        after = "[measured]" if n == len(metrics) - 1 else f"[main{n + 1}]"
        chains.append(f"[main{n}][reference{n}]{_filter(metric, size, share)}:{_PAIRED}{after}")
    return ";".join(chains)


def _without_bars(picture: PicturePlan) -> tuple[str, ...]:
    inner = picture.inner
    return (f"crop={inner.width}:{inner.height}",) if picture.is_padded else ()


def _alike(plan: Plan, size: FrameSize) -> tuple[str, ...]:
    """What both sides go through, so that only the encode is between them.

    The first frames make a pair whatever the containers say that they begin at, and both have the
    range that VMAF is trained on.
    """
    deep = plan.bit_depth > 8 or (plan.source is not None and plan.source.video.bit_depth > 8)
    return (
        f"scale={size.width}:{size.height}:flags=bicubic:out_range=tv",
        f"format={'yuv420p10le' if deep else 'yuv420p'}",
        *("settb=AVTB", "setpts=PTS-STARTPTS"),
    )


def _filter(metric: Metric, size: FrameSize, share: str) -> str:
    name = file_of(metric)
    if metric is Metric.VMAF:
        model = f"model=version={model_for(size)}"
        return f"libvmaf={model}:n_threads={share}:log_fmt=csv:log_path={name}"
    return f"{metric}=stats_file={name}"


def _shorter(size: FrameSize) -> int:
    return min(size.width, size.height)


def _number(metric: Metric, text: str) -> float:
    if metric is Metric.PSNR and text == "inf":
        return PERFECT_DECIBELS
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{metric} has a score that is no number: {text}")
    # SSIM is below 0 where a picture is the contrary of the other
    return max(0.0, number)


def _column(lines: Iterable[str], name: str) -> Iterator[str]:
    rows = iter(lines)
    place = next(rows, "").strip().split(",").index(name)
    for row in rows:
        if row.strip():
            yield row.split(",")[place]


def _matches(lines: Iterable[str], pattern: re.Pattern[str]) -> Iterator[str]:
    for line in lines:
        found = pattern.search(line)
        if found is None:
            raise ValueError(f"{line[:80]!r} has no score")
        yield found[1]
