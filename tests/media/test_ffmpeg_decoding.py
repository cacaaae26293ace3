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
from workers.ffmpeg.decoding import decode, undecoded
from workers.ffmpeg.inputs import access
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess
from workers.ledger import Held
from workers.reading import Reading
from workers.running import Encode, Running

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
    end, log = run(decode(access(str(BUNNY)), ffmpeg=FFMPEG, threads=1))

    assert (end.exit_code, log) == (0, "")


def test_output_that_does_not_decode_fails_the_attempt_and_leaves_no_file(
    node: Node, noisy: Path
) -> None:
    destination = node.folder / "out.mp4"
    body = result_of(node, noisy, verify="decode", output=str(destination))

    assert body.status == "failed"
    assert body.failure_reason is FailureClass.OUTPUT_WRONG
    assert body.error is not None
    assert body.error.startswith("the output does not decode: ")
    assert body.error.removeprefix("the output does not decode: ")[:40] in body.logs
    assert list(node.folder.glob("*out*")) == []


def test_output_is_not_decoded_unless_that_is_asked(node: Node, noisy: Path) -> None:
    assert result_of(node, noisy).status == "completed"


def test_output_that_decodes_completes(node: Node) -> None:
    body = result_of(node, BUNNY, verify="decode", duration="1s")

    assert (body.status, body.metrics["frames"]) == ("completed", 30)


def test_frames_that_are_lost_without_an_error_are_counted() -> None:
    assert undecoded(0, "", frames=30, expected=30) is None
    assert undecoded(0, "", frames=29, expected=30) == "29 of 30 frames decode"


def test_decoding_counts_for_itself_not_for_the_encode(tmp_path: Path) -> None:
    held = Held(job_id="job-1", number=1, lease="lease")
    encode = Encode(log=BoundedLog())
    reading = Reading(location=None, environment={})
    beside = Running(held, encode, lambda _: None, reading, scratch=tmp_path).beside()

    beside.run(
        FfmpegProcess(decode(access(str(BUNNY)), ffmpeg=FFMPEG, threads=1)), None, phase="decoding"
    )

    assert beside.encode.frames == 132
    assert (encode.frames, encode.seconds) == (None, 0.0)
