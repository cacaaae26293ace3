"""The processes of one attempt."""

from pathlib import Path

import psutil
import pytest

from workers.errors import AttemptStopped
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.started import ProcessIdentity
from workers.ledger import Held, StopReason
from workers.reading import Reading
from workers.running import Encode, Running


def test_attempt_that_is_stopped_as_its_process_starts_leaves_no_process(tmp_path: Path) -> None:
    started: list[psutil.Process] = []

    def stop(identity: ProcessIdentity) -> None:
        started.append(psutil.Process(identity.pid))
        raise AttemptStopped(StopReason.GONE)

    held = Held(job_id="job-1", number=1, lease="lease")
    reading = Reading(location=None, environment={})
    running = Running(held, Encode(log=BoundedLog()), stop, reading, scratch=tmp_path)
    with pytest.raises(AttemptStopped):
        running.run(FfmpegProcess(["/bin/sleep", "3600"]), None)

    assert not started[0].is_running()
