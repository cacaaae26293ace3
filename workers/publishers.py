"""The engines that publish streams: how each is told what to do, and what its end means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from ffrtmp.domain.retry import FailureClass
from workers.ffmpeg import failures, streaming
from workers.ffmpeg.child import NO_ENVIRONMENT
from workers.ffmpeg.failures import Failure
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import Target
from workers.gstreamer import ends, pipeline
from workers.gstreamer.found import PLAYER, Gstreamer

_SENDING: Final = re.compile(
    r"\[error\] Error (submitting a packet to the muxer|muxing a packet|writing trailer)"
)
"""What ffmpeg says of a stream that its server does not take any more, whatever the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one process is to publish; as the parameters of ``streaming.publish``."""

    plan: Plan
    source: str | None
    address: str | None
    rtmp_url: str
    is_looped: bool
    from_seconds: float
    target: Target
    threads: int


class Publisher(Protocol):
    """One engine."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes need beside what every child gets."""
        ...

    @property
    def tools(self) -> tuple[Path, ...]:
        """The files that its processes need beside the program."""
        ...

    def argv(self, turn: Turn) -> tuple[str, ...]:
        """What publishes it; UnsupportedSpec where this engine does not."""
        ...

    def failure(self, *, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
        """What a run died of; of one that ended well (0) ``connection`` where its source broke
        off, and any other class where it did not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FfmpegPublisher:
    """ffmpeg: every source."""

    ffmpeg: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """See Publisher."""
        return NO_ENVIRONMENT

    @property
    def tools(self) -> tuple[Path, ...]:
        """See Publisher."""
        return ()

    def argv(self, turn: Turn) -> tuple[str, ...]:
        """See Publisher."""
        return streaming.publish(
            turn.plan,
            ffmpeg=self.ffmpeg,
            source=turn.source,
            rtmp_url=turn.rtmp_url,
            threads=turn.threads,
            address=turn.address,
            is_looped=turn.is_looped,
            from_seconds=turn.from_seconds,
            target=turn.target,
        )

    def failure(self, *, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
        """See Publisher."""
        found = failures.classify(exit_code=exit_code, signal=signal, stderr=stderr)
        if found.failure_class is FailureClass.ENCODER and _SENDING.search(stderr):
            return replace(found, failure_class=FailureClass.CONNECTION)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class GstreamerPublisher:
    """GStreamer: files and the test source."""

    gstreamer: Gstreamer

    @property
    def environment(self) -> Mapping[str, str]:
        """See Publisher."""
        return self.gstreamer.environment

    @property
    def tools(self) -> tuple[Path, ...]:
        """See Publisher."""
        return (PLAYER,)

    def argv(self, turn: Turn) -> tuple[str, ...]:
        """See Publisher."""
        return pipeline.publish(
            turn.plan,
            self.gstreamer,
            source=turn.source,
            rtmp_url=turn.rtmp_url,
            threads=turn.threads,
            from_seconds=turn.from_seconds,
        )

    def failure(self, *, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
        """See Publisher."""
        return ends.failure(exit_code=exit_code, signal=signal, stderr=stderr)
