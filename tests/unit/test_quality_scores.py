"""What is made of the scores of frames, and of a score that is too low."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Codec, FrameSize, Metric
from ffrtmp.domain.retry import FailureClass
from tests.media.specs import SOURCE, plan
from workers.deadline import Deadline
from workers.errors import AttemptFailed, UnsupportedSpec
from workers.ffmpeg.facts import Colour
from workers.ffmpeg.inputs import access
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.quality import (
    Score,
    check_measurable,
    measure,
    model_for,
    read_scores,
    score_of,
)
from workers.ffmpeg.rate_points import better
from workers.inspection import Made
from workers.ledger import Held
from workers.quality import Measured, Scored, gated
from workers.reading import Reading
from workers.running import Encode, Running


def test_deadline_stands_still_with_its_clock() -> None:
    now = 100.0
    deadline = Deadline.after(5.0, lambda: now)

    now = 103.0
    assert deadline.left == 2.0
    now = 106.0
    assert deadline.left == 0.0
    assert Deadline.after(None, lambda: now).left is None


def test_statistics_are_those_of_the_definition() -> None:
    score = score_of([float(number) for number in range(40, 0, -1)], model="m")

    assert score.mean == 20.5
    assert score.harmonic_mean == pytest.approx(40 / sum(1 / (n + 1) for n in range(1, 41)) - 1)
    assert (score.p5, score.min, score.frames, score.model) == (2, 1, 40, "m")


@pytest.mark.parametrize(("frames", "rank"), [(1, 1), (19, 1), (20, 1), (21, 2), (100, 5)])
def test_fifth_percentile_is_that_of_the_nearest_rank(frames: int, rank: int) -> None:
    assert score_of([float(number) for number in range(1, frames + 1)]).p5 == rank


def test_frame_without_any_likeness_leaves_a_harmonic_mean() -> None:
    score = score_of([0.0, 100.0])

    assert score.harmonic_mean == pytest.approx(2 / (1 + 1 / 101) - 1)


def test_no_frames_have_no_score() -> None:
    with pytest.raises(ValueError, match="no frame"):
        score_of([])


def test_scores_are_read_frame_by_frame() -> None:
    vmaf = ["Frame,integer_motion,vmaf,other,\n", "0,0.5,92.97,1,\n", "1,0.5,93.01,1,\n"]
    psnr = ["n:1 mse_avg:3.34 psnr_avg:42.89 psnr_y:42.30 \n", "n:2 mse_avg:0 psnr_avg:inf\n"]
    ssim = ["n:1 Y:0.98 U:0.97 V:0.97 All:0.985641 (18.428618)\n"]

    assert read_scores(Metric.VMAF, vmaf) == [92.97, 93.01]
    assert read_scores(Metric.PSNR, psnr) == [42.89, 100.0]
    assert read_scores(Metric.SSIM, ssim) == [0.985641]


@pytest.mark.parametrize(
    ("metric", "lines"),
    [
        (Metric.VMAF, []),
        (Metric.VMAF, ["Frame,other,\n", "0,1,\n"]),
        (Metric.VMAF, ["Frame,vmaf,\n", "0,nan,\n"]),
        (Metric.SSIM, ["nothing\n"]),
        (Metric.PSNR, ["n:1 psnr_avg:nan\n"]),
    ],
)
def test_file_without_scores_is_not_taken_for_one(metric: Metric, lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"no number|not in list|no score"):
        read_scores(metric, lines)


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ((1920, 1080), "vmaf_v0.6.1"),
        ((2560, 1440), "vmaf_v0.6.1"),
        ((3840, 1600), "vmaf_4k_v0.6.1"),
        ((2160, 3840), "vmaf_4k_v0.6.1"),
    ],
)
def test_large_sources_have_a_model_of_their_own(size: tuple[int, int], model: str) -> None:
    assert model_for(FrameSize(width=size[0], height=size[1])) == model


def test_comparison_of_hdr_with_sdr_is_refused() -> None:
    hdr = replace(SOURCE, video=replace(SOURCE.video, colour=Colour(transfer="smpte2084")))

    check_measurable((Metric.SSIM,), plan(hdr))
    check_measurable((), plan(hdr, dynamic_range="sdr"))
    with pytest.raises(UnsupportedSpec, match="ssim compares pictures of one dynamic range"):
        check_measurable((Metric.SSIM,), plan(hdr, dynamic_range="sdr"))


def test_picture_too_small_for_vmaf_is_refused_before_libvmaf_crashes() -> None:
    tiny = replace(SOURCE, video=replace(SOURCE.video, width=640, height=30))

    check_measurable((Metric.PSNR,), plan(tiny))
    with pytest.raises(UnsupportedSpec, match="32 pixels"):
        check_measurable((Metric.VMAF,), plan(tiny))


def test_deep_source_is_compared_in_its_own_depth() -> None:
    deep = replace(SOURCE, video=replace(SOURCE.video, bit_depth=10))

    assert "format=yuv420p10le" in _graph(plan(deep, bit_depth=8))
    assert "format=yuv420p," in _graph(plan(SOURCE))


def test_both_sides_have_the_range_that_vmaf_is_trained_on() -> None:
    assert _graph(plan(SOURCE)).count(":out_range=tv") == 2


def test_reference_has_the_rate_of_the_output() -> None:
    assert "[1:V:0]fps=12,scale" in _graph(plan(SOURCE, fps=Fraction(12)))
    assert "[1:V:0]scale" in _graph(plan(SOURCE, fps=None))


@pytest.mark.parametrize(
    ("vmaf", "asked", "crf"),
    [(92.9, 93.0, 21), (86.9, 93.0, 18), (58.0, 93.0, 6), (12.0, 99.0, 1)],
)
def test_lower_score_asks_for_a_lower_crf(vmaf: float, asked: float, crf: int) -> None:
    found = better(_picture(crf=23), Codec.H264, vmaf=vmaf, asked=asked)

    assert found is not None
    assert found.crf == crf


def test_scale_of_the_codec_is_kept() -> None:
    found = better(_picture(crf=40), Codec.AV1, vmaf=86.9, asked=93.0)

    assert found is not None
    assert found.crf == 40 - math.ceil(4.89 * 63 / 51)


@pytest.mark.parametrize(
    ("ceiling", "vmaf", "bits"),
    [(None, 92.9, 1_130_000), (None, 86.9, 1_760_000), (None, 12.0, 4_000_000), (2e6, 12.0, 2e6)],
)
def test_lower_score_asks_for_more_bits_up_to_four_times_or_the_ceiling(
    ceiling: int | None, vmaf: float, bits: int
) -> None:
    picture = _picture(crf=None, bits_per_second=1_000_000, max_bits_per_second=ceiling)

    found = better(picture, Codec.H264, vmaf=vmaf, asked=93.0)

    assert found is not None
    assert found.bits_per_second == pytest.approx(bits, rel=0.01)


@pytest.mark.parametrize(
    "rate",
    [
        {"crf": 1},
        {"crf": 0},
        {"crf": None, "bits_per_second": 1_000_000, "max_bits_per_second": 1_000_000},
    ],
)
def test_best_rate_has_no_better(rate: dict[str, Any]) -> None:
    assert better(_picture(**rate), Codec.H264, vmaf=50.0, asked=93.0) is None


def test_good_enough_output_is_encoded_once(tmp_path: Path) -> None:
    encodes = Encodes(93.0)

    found = gated(encodes, plan(SOURCE, crf=23), 93.0, _running(tmp_path))

    assert encodes.crfs == [23]
    assert found.rejected is None
    assert found.rates() == {}


def test_output_below_the_gate_is_encoded_once_more_and_says_so(tmp_path: Path) -> None:
    encodes, running = Encodes(86.9, 94.0), _running(tmp_path)
    running.encode.seconds = 5.0

    found = gated(encodes, plan(SOURCE, crf=23), 93.0, running)

    assert encodes.crfs == [23, 18]
    assert running.encode.seconds == 0.0
    assert found.rates()["accepted_rate"] == {"crf": 18, "vmaf": 94.0}
    assert found.rates()["rejected_rate"] == {"crf": 23, "vmaf": 86.9}
    assert "once more at crf 18" in running.encode.log.text()


@pytest.mark.parametrize(
    ("crf", "scores", "said"),
    [
        (23, [86.9, 92.999], "VMAF 92.99 at crf 18 is below the 93 asked for; it was VMAF 86.90"),
        (1, [86.9], "VMAF 86.90 at crf 1 is below the 93 asked for, and the job allows no better"),
    ],
)
def test_gate_stays_shut_with_the_score(
    tmp_path: Path, crf: int, scores: list[float], said: str
) -> None:
    encodes = Encodes(*scores)

    with pytest.raises(AttemptFailed, match=said) as failed:
        gated(encodes, plan(SOURCE, crf=crf), 93.0, _running(tmp_path))

    assert failed.value.failure_class is FailureClass.QUALITY_LOW
    assert failed.value.failure_class.is_permanent
    assert len(encodes.crfs) == len(scores)


def test_largest_of_several_pictures_stands_at_the_gate(tmp_path: Path) -> None:
    (picture,) = plan(SOURCE, crf=23).pictures
    small = replace(picture, name="tiny", frame=FrameSize(width=64, height=48))
    several = replace(plan(SOURCE), pictures=(small, picture))

    found = gated(Encodes(90.0, 95.0, small=10.0), several, 93.0, _running(tmp_path))

    assert [one.crf for one in found.plan.pictures] == [23, found.top.made.picture.crf]
    assert found.top.made.picture.crf != 23


class Encodes:
    """Encodes that only have scores: one for each largest picture, one for all smaller ones."""

    def __init__(self, *scores: float, small: float = 0.0) -> None:
        self._scores = list(scores)
        self._small = small
        self.crfs: list[int | None] = []

    def __call__(self, made: Plan) -> Measured:
        largest = made.pictures[-1]
        self.crfs.append(largest.crf)
        vmaf = self._scores.pop(0)
        return Measured(
            plan=made,
            pictures=tuple(
                Scored(
                    made=Made(
                        picture=picture, path=Path("/nowhere"), facts=SOURCE, is_playlist=False
                    ),
                    scores={Metric.VMAF: _score(vmaf if picture is largest else self._small)},
                )
                for picture in reversed(made.pictures)
            ),
        )


def _score(vmaf: float) -> Score:
    return score_of([vmaf], model="m")


def _picture(**rate: Any) -> Any:
    return replace(plan(SOURCE).pictures[0], **rate)


def _graph(made: Plan) -> str:
    argv = measure(
        (Metric.VMAF,),
        made,
        made.pictures[0],
        ffmpeg=Path("/ffmpeg"),
        source="/source.mkv",
        output=access("/output.mp4"),
        threads=2,
    )
    return argv[argv.index("-filter_complex") + 1]


def _running(folder: Path) -> Running:
    held = Held(job_id="job-1", number=1, lease="lease")
    reading = Reading(location=None, environment={})
    encode = Encode(log=BoundedLog())
    return Running(held, encode, lambda _: None, reading, scratch=folder)
