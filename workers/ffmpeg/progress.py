"""ffmpeg's ``-progress`` output: blocks of ``key=value`` lines, each ended by ``progress=``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One block. None is a value that ffmpeg does not know (``N/A``) or did not send."""

    frame: int | None
    fps: float | None
    out_time_seconds: float | None
    """How much of the output, in its own time, is written."""
    speed: float | None
    """Output seconds per wall second."""
    total_bytes: int | None
    dropped_frames: int | None = None
    """Frames left out because they came too late or too close to another."""
    is_end: bool
    """True for the last block of a run that ended by itself."""

    @property
    def bits_per_second(self) -> float | None:
        """The rate of the output so far, over its own time."""
        if not self.total_bytes or not self.out_time_seconds:
            return None
        return 8 * self.total_bytes / self.out_time_seconds


class ProgressReader:
    """Puts lines together to blocks."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def feed(self, line: str) -> Progress | None:
        """The block that ``line`` completes, if it does; lines that make no sense are ignored."""
        key, separator, value = line.strip().partition("=")
        if not separator:
            return None
        if key != "progress":
            if key in _KEYS:
                self._values[key] = value.strip()
            return None
        values, self._values = self._values, {}
        microseconds = _number(values.get("out_time_us"))
        frame, total = _whole(values.get("frame")), _whole(values.get("total_size"))
        return Progress(
            frame=frame,
            fps=_number(values.get("fps")),
            out_time_seconds=None if microseconds is None else max(0.0, microseconds / 1e6),
            speed=_number(values.get("speed", "").removesuffix("x")),
            total_bytes=total,
            dropped_frames=_whole(values.get("drop_frames")),
            is_end=value.strip() == "end",
        )


_KEYS = frozenset({"frame", "fps", "out_time_us", "speed", "total_size", "drop_frames"})


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    if number is None or number != number or abs(number) > 1e18:
        return None
    return number
