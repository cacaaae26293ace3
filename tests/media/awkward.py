"""Awkward sources, made at test time, and what is really in a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from tests.media.specs import command, make_clip, plan, run
from workers.ffmpeg.probe import probe
from workers.ffmpeg.verify import differences

X264 = ("-c:v", "libx264", "-preset", "ultrafast")
BRIGHT = 128
_KEPT: dict[str, Any] = {"keeps_size": True, "fps": None, "duration_seconds": None}


def picture(size: str = "96x64", *, rate: str = "25", seconds: float = 0.6) -> tuple[str, ...]:
    """An input of moving pictures."""
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}")


def tone(seconds: float = 0.6, *, rate: int = 48000) -> tuple[str, ...]:
    """An input of sound."""
    return ("-f", "lavfi", "-i", f"sine=sample_rate={rate}:duration={seconds}")


def cornered(path: Path, *options: str) -> Path:
    """A black clip of 96x64 whose top left corner, as it is stored, is white."""
    box = "color=black:size=96x64:rate=25:duration=0.2,drawbox=c=white:w=24:h=16:t=fill"
    return make_clip(path, "-f", "lavfi", "-i", box, *X264, *options)


def transcoded(source: Path, *, to: str = "mp4", **changes: Any) -> Path:
    """The output of the whole path, right by the verifier; what is not asked is the source's."""
    asked = _KEPT | {"container": to} | changes
    facts = probe(str(source))
    made = plan(facts, **asked)
    destination = source.parent / f"out-{source.stem}.{to}"
    end, log = run(command(str(source), facts, destination=destination, **asked))
    assert end.exit_code == 0, log
    assert differences(made, made.pictures[0], probe(str(destination), count_frames=True)) == []
    return destination


def times(path: Path) -> list[float]:
    """When each frame of the video is shown, in seconds from the first."""
    with av.open(str(path)) as media:
        found = [
            frame.pts * (frame.time_base or 0)
            for frame in media.decode(video=0)
            if frame.pts is not None
        ]
    return [float(time - found[0]) for time in found]


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as media:
        return next(media.decode(video=0))


def bright_corners(path: Path) -> set[str]:
    """Which corners of the first frame are white, before a player turns it."""
    frame = first_frame(path)
    plane, row = bytes(frame.planes[0]), frame.planes[0].line_size
    across = {"left": 4, "right": frame.width - 5}
    down = {"top": 4, "bottom": frame.height - 5}
    return {
        f"{vertical} {horizontal}"
        for vertical, y in down.items()
        for horizontal, x in across.items()
        if plane[y * row + x] > BRIGHT
    }


def flash_and_beep(path: Path, *, at: float) -> Path:
    """A clip of 1.2 s that is black and silent but for 0.2 s of white and tone."""
    during = f"between(t\\,{at}\\,{at + 0.199})"
    shown = f"color=black:size=96x64:rate=25:duration=1.2,drawbox=c=white:t=fill:enable={during}"
    heard = f"aevalsrc=0.8*sin(2*PI*1000*t)*{during}:s=48000:d=1.2"
    return make_clip(path, "-f", "lavfi", "-i", shown, "-f", "lavfi", "-i", heard, *X264, "-g", "5")


def flash(path: Path) -> float:
    """When the video turns white, in seconds of the file."""
    with av.open(str(path)) as media:
        for frame in media.decode(video=0):
            if bytes(frame.planes[0])[0] > BRIGHT and frame.time is not None:
                return frame.time
    raise AssertionError("it never turns white")


def beep(path: Path) -> float:
    """When the sound begins to be heard, in seconds of the file."""
    with av.open(str(path)) as media:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48000)
        for frame in media.decode(audio=0):
            for part in resampler.resample(frame):
                for index, value in enumerate(_samples(part)):
                    if abs(value) > 8000 and part.time is not None:
                        return part.time + index / 48000
    raise AssertionError("nothing is heard")


def _samples(frame: av.AudioFrame) -> Iterator[int]:
    return iter(memoryview(bytes(frame.planes[0])[: frame.samples * 2]).cast("h"))


def rate_of(path: Path) -> float:
    with av.open(str(path)) as media:
        return float(media.streams.video[0].average_rate or 0)


def metadata_of_light(path: Path) -> list[bytes]:
    """HDR10's two records, as they lie on the first frame."""
    found: list[Any] = [
        first_frame(path).side_data.get(kind)
        for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
    ]
    return [bytes(record) for record in found if record is not None]
