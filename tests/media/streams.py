"""Attempts that publish with a real ffmpeg, around a scripted master."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.media.specs import FFMPEG
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.clock import boot_seconds
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.probe import probe
from workers.ledger import Held, StopReason

FRAMES_PER_SECOND = 30
HOUR = 3600.0


def to(url: str, **parameters: Any) -> ClaimAnswer:
    """The claim of a small stream to ``url``."""
    usual = {"output_mode": "rtmp", "rtmp_url": url, "preset": "ultrafast"}
    return claim_of(**usual | parameters)


@contextlib.contextmanager
def streaming(node: Node, claim: ClaimAnswer, *, reconnect_seconds: float = 60.0) -> Iterator[Held]:
    """The attempt while it publishes; ended afterwards where it has not ended by itself."""
    node.registered()
    held = Held(
        job_id=claim.job_id,
        number=claim.attempt,
        lease=claim.lease,
        lease_until=boot_seconds() + HOUR,
    )
    node.ledger.admit(held)
    runner = node.runner(FFMPEG, reconnect_seconds=reconnect_seconds)
    thread = threading.Thread(target=runner.run, args=(claim, held))
    thread.start()
    try:
        yield held
    finally:
        held.stop(StopReason.GONE)
        thread.join(timeout=30)
        assert not thread.is_alive()


def report_of(node: Node) -> ResultRequest:
    """What the attempt said at its end, which may have to be waited for."""
    (body,) = wait_until(lambda: node.master.said("report"))
    assert isinstance(body, ResultRequest)
    return body


def looked_at(recording: Path) -> MediaFacts:
    """What a publisher sent, all of it read."""
    return probe(str(recording), count_frames=True)
