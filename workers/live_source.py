"""What a live source is, seen in its first moment, which is kept as a file and probed."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.probe import ProbeFailed
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.streaming import sample
from workers.ffmpeg.target import CPU
from workers.running import Running, check_not_stopped, supported

LOOK_SECONDS: Final = 20.0
LOOKING: Final = "probing"


def live_facts(running: Running, *, ffmpeg: Path) -> MediaFacts:
    """The tracks of a source without beginning or end; AttemptFailed, AttemptStopped.

    Nothing that comes within LOOK_SECONDS is a failed connection.
    """
    seen = running.scratch / "live.nut"
    try:
        _keep(running, seen, ffmpeg)
        return without_length(running.probed(str(seen), LOOKING))
    except ProbeFailed as error:
        message = error.message.replace(str(seen), str(running.source.location))
        raise AttemptFailed(error.failure_class, message) from error
    finally:
        seen.unlink(missing_ok=True)


def without_length(facts: MediaFacts) -> MediaFacts:
    """The same of a source that goes on."""
    return replace(
        facts,
        duration_seconds=None,
        size_bytes=None,
        video=replace(facts.video, frames=None, end_seconds=None),
        audio=tuple(replace(track, end_seconds=None) for track in facts.audio),
    )


def _keep(running: Running, destination: Path, ffmpeg: Path) -> None:
    source = running.source
    argv = supported(
        lambda: sample(
            ffmpeg=ffmpeg,
            source=source.location or "",
            address=source.address(),
            destination=destination,
        )
    )
    process = FfmpegProcess(argv, timeout_seconds=LOOK_SECONDS, environment=source.environment)
    once = running.once_more()
    end = once.run(process, None, phase=LOOKING, can_suspend=False)
    check_not_stopped(running.held)
    if end.timed_out:
        raise AttemptFailed(
            FailureClass.CONNECTION,
            f"input {source.location}: nothing came within {LOOK_SECONDS:g} s",
        )
    try:
        once.require_success(end, CPU, timeout_seconds=None)
    except AttemptFailed as failure:
        if failure.failure_class is not FailureClass.BAD_INPUT:
            raise
        # what a live source gives now says nothing of what it gives in a moment
        raise AttemptFailed(
            FailureClass.CONNECTION, failure.message, exit_code=failure.exit_code
        ) from failure
