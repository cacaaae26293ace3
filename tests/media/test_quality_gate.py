"""Attempts whose output is measured, and is to be good enough."""

import itertools
import threading
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.media import test_quality
from tests.media.specs import BUNNY, FFMPEG, make_clip
from tests.media.test_quality import clip
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.ledger import Held, Progress, StopReason
from workers.quality import MEASURING
from workers.running import ENCODING

node = agent_parts.node
shelf = test_quality.shelf


class Watched(Held):
    """An attempt that keeps all that is said of its progress."""

    def __init__(self, **about: Any) -> None:
        self.seen: list[Progress] = []
        super().__init__(**about)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "progress":
            self.seen.append(value)


H = TypeVar("H", bound=Held)


def attempt(node: Node, kind: type[H], **parameters: Any) -> tuple[H, ClaimAnswer]:
    claim = claim_of(preset="ultrafast", **parameters)
    held = kind(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    return held, claim


def result_of(node: Node, **parameters: Any) -> ResultRequest:
    held, claim = attempt(node, Held, **parameters)
    node.runner(FFMPEG).run(claim, held)
    body: ResultRequest
    (body,) = node.master.said("report")
    return body


def test_result_has_what_was_asked_and_its_encode_is_not_repeated(node: Node, shelf: Path) -> None:
    body = result_of(node, input=str(clip(shelf)), duration="0.4s", vmaf=True, ssim=True)

    assert body.status == "completed", body.error
    assert set(body.metrics["quality"]) == {"vmaf", "ssim"}
    assert body.metrics["quality"]["vmaf"]["model"] == "vmaf_v0.6.1"
    assert body.metrics["quality"]["vmaf"]["frames"] == body.metrics["frames"] == 12
    assert "rejected_rate" not in body.metrics
    assert list(node.folder.glob("attempts/*/*/*")) == []


def test_output_below_the_gate_is_encoded_once_more_and_accepted(node: Node, shelf: Path) -> None:
    source = str(clip(shelf))
    held, claim = attempt(node, Watched, input=source, duration="0.4s", crf=40, min_vmaf=88)
    node.runner(FFMPEG).run(claim, held)
    (body,) = node.master.said("report")

    assert body.status == "completed", body.error
    assert body.metrics["rejected_rate"]["vmaf"] < 88 <= body.metrics["accepted_rate"]["vmaf"]
    assert body.metrics["rejected_rate"]["crf"] == 40
    accepted = body.metrics["accepted_rate"]["crf"]
    assert body.argv[body.argv.index("-crf") + 1] == str(accepted)
    assert body.metrics["quality"]["vmaf"]["mean"] >= 88
    phases = [progress.phase for progress in held.seen]
    assert [phase for phase, _ in itertools.groupby(phases) if phase in (ENCODING, MEASURING)] == [
        *(ENCODING, MEASURING),
        *(ENCODING, MEASURING),
    ]
    fractions = [progress.fraction for progress in held.seen]
    assert fractions == sorted(fractions)


def test_output_that_stays_below_the_gate_fails_with_both_scores_and_no_file(
    node: Node, shelf: Path
) -> None:
    destination = node.folder / "out.mp4"
    rates: dict[str, Any] = {"bitrate": "20k", "min_vmaf": 95, "output": str(destination)}

    body = result_of(node, input=str(clip(shelf)), duration="0.4s", **rates)

    assert (body.status, body.failure_reason) == ("failed", FailureClass.QUALITY_LOW)
    assert body.error is not None
    assert "at 80 kbit/s is below the 95 asked for; it was VMAF" in body.error
    assert body.error.endswith("at 20 kbit/s")
    assert list(node.folder.glob("*out*")) == []


LADDER = [
    {"resolution": "320x180", "crf": 40, "name": "large"},
    {"resolution": "160x90", "crf": 30, "name": "small"},
]


@pytest.mark.parametrize("mode", ["file", "hls"])
def test_largest_of_several_renditions_must_pass_the_gate_and_each_is_measured(
    node: Node, shelf: Path, mode: str
) -> None:
    asked = {"renditions": LADDER, "output_mode": mode, "min_vmaf": 80}

    body = result_of(node, scenario="h264", input=str(clip(shelf)), **asked)

    assert body.status == "completed", body.error
    large, small = body.metrics["renditions"]
    assert (large["name"], small["name"]) == ("large", "small")
    assert large["quality"] == body.metrics["quality"]
    assert large["quality"]["vmaf"]["mean"] >= 80 > small["quality"]["vmaf"]["mean"]
    assert large["quality"]["vmaf"]["frames"] == small["quality"]["vmaf"]["frames"] == 15
    assert body.metrics["rejected_rate"]["crf"] == 40
    assert body.metrics["rejected_rate"]["vmaf"] < 80


def test_comparison_that_cannot_be_made_fails_before_the_encode(node: Node, tmp_path: Path) -> None:
    tiny = make_clip(tmp_path / "tiny.mkv", *("-t", "0.2", "-i", str(BUNNY), "-vf", "scale=64:16"))

    body = result_of(node, input=str(tiny), vmaf=True)

    assert (body.status, body.failure_reason) == ("failed", FailureClass.UNSUPPORTED)
    assert body.argv == []


def test_cancel_in_the_middle_of_the_measuring_leaves_nothing(node: Node) -> None:
    held, claim = attempt(node, Held, duration="12s", vmaf=True)
    runner = node.runner(FFMPEG)
    thread = threading.Thread(target=lambda: runner.run(claim, held))
    thread.start()
    try:
        wait_until(lambda: held.progress.phase == MEASURING)
    finally:
        held.stop(StopReason.CANCELED)
        thread.join(20)

    assert not thread.is_alive()
    assert node.master.said("report") == []
    assert list((node.folder / "output").iterdir()) == []
    assert list((node.folder / "attempts").iterdir()) == []
