"""A file whose streams look right is decoded to its end where a job asks for that."""

from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ResultRequest
from tests.media.specs import BUNNY, FFMPEG, make_clip, run
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from workers.ffmpeg.decoding import decode
from workers.ledger import Held

node = agent_parts.node


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A clip with all its packets, those of the sound damaged."""
    return make_clip(
        tmp_path / "noisy.mkv",
        *("-i", str(BUNNY), "-t", "1", "-c", "copy", "-bsf:a", "noise=amount=50"),
    )


def result_of(node: Node, source: Path, **parameters: Any) -> ResultRequest:
    """How a small job that keeps the sound of this source ends."""
    claim = claim_of(input=str(source), audio="copy", preset="ultrafast", **parameters)
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    node.runner(FFMPEG).run(claim, held)
    body: ResultRequest
    (body,) = node.master.said("report")
    return body


def test_whole_file_decodes_without_a_word() -> None:
    end, log = run(decode(BUNNY, ffmpeg=FFMPEG, threads=1))

    assert (end.exit_code, log) == (0, "")


def test_output_that_does_not_decode_fails_the_attempt_and_leaves_no_file(
    node: Node, noisy: Path
) -> None:
    destination = node.folder / "out.mp4"
    body = result_of(node, noisy, verify="decode", output=str(destination))

    assert body.status == "failed"
    assert body.failure_reason is FailureClass.OUTPUT_WRONG
    assert "the output does not decode" in (body.error or "")
    assert list(node.folder.glob("*out*")) == []


def test_output_is_not_decoded_unless_that_is_asked(node: Node, noisy: Path) -> None:
    assert result_of(node, noisy).status == "completed"


def test_output_that_decodes_completes_with_the_rates_of_its_encode(node: Node) -> None:
    body = result_of(node, BUNNY, verify="decode", duration="1s")

    assert (body.status, body.metrics["frames"]) == ("completed", 30)
    assert body.metrics["fps"] == pytest.approx(30 / body.metrics["encode_seconds"], rel=0.05)
