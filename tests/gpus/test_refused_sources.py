"""A source that a GPU's decoder refuses after all is decoded on the CPU, by the same attempt."""

from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Hardware
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ResultRequest
from tests.gpus.standin import GpuBehaviour, hardware_runs, write_standin
from tests.media.specs import make_clip
from tests.rtmp import RtmpServer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from workers.clock import boot_seconds
from workers.ffmpeg.target import Coded, Target
from workers.ledger import Held

node = agent_parts.node
HOUR = 3600.0
QSV = Target(
    hardware=Hardware.QSV,
    address="/dev/dri/renderD128",
    decodes=frozenset({Coded(codec="h264", bit_depth=8)}),
)


def ended(
    node: Node, behaviour: GpuBehaviour, **parameters: Any
) -> tuple[ResultRequest, list[bool]]:
    """How a job ends on such a GPU, and of each of its encodes whether the GPU was to decode."""
    folder = node.folder / "gpus"
    ffmpeg = write_standin(folder, behaviour={"qsv": {str(QSV.address): behaviour}})
    clip = make_clip(
        node.folder / "in.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=0.5"),
        *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"),
    )
    usual = {} if "rtmp_url" in parameters else {"output": str(node.folder / "out.mp4")}
    asked = claim_of(input=str(clip), fit="inside", **usual | parameters)
    claim = asked.model_copy(update={"device": "gpu0", "hardware": Hardware.QSV})
    held = Held(
        job_id=claim.job_id,
        number=claim.attempt,
        lease=claim.lease,
        lease_until=boot_seconds() + HOUR,
    )
    node.ledger.admit(held)
    node.runner(ffmpeg, targets={"gpu0": {Hardware.QSV: QSV}}).run(claim, held)
    body: ResultRequest
    (body,) = node.master.said("report")
    return body, ["-hwaccel" in run.argv for run in hardware_runs(folder)]


def test_attempt_goes_on_with_the_decoder_of_the_cpu(node: Node) -> None:
    body, decoded_there = ended(node, "no_decoder")

    assert (body.status, body.failure_reason) == ("completed", None), body.error
    assert decoded_there == [True, False]


def test_stream_goes_on_with_the_decoder_of_the_cpu(node: Node, tmp_path: Path) -> None:
    server = RtmpServer(tmp_path, publishers=1)
    try:
        body, decoded_there = ended(node, "no_decoder", output_mode="rtmp", rtmp_url=server.url)
    finally:
        server.close()

    assert (body.status, body.failure_reason) == ("completed", None), body.error
    assert decoded_there == [True, False]


@pytest.mark.parametrize(
    ("behaviour", "failure", "runs"),
    [
        ({"fail_codecs": ["h264"]}, FailureClass.INCAPABLE, [True, False]),
        ("no_session", FailureClass.HARDWARE, [True]),
    ],
)
def test_gpu_that_does_not_encode_either_fails_as_before(
    node: Node, behaviour: GpuBehaviour, failure: FailureClass, runs: list[bool]
) -> None:
    body, decoded_there = ended(node, behaviour)

    assert (body.status, body.failure_reason) == ("failed", failure)
    assert decoded_there == runs
    assert not Path(node.folder / "out.mp4").exists()
