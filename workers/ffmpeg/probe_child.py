"""The child process of the probe: ``python -m workers.ffmpeg.probe_child MODE LOCATION IDENTITY``.

It goes on as IDENTITY (see ``inside.become``) before it opens LOCATION. MODE is one of
``inputs.Look``: then it prints one JSON object, ``{"facts": …}`` or
``{"failure": {"class", "message"}}``. "rights" prints LOCATION, where the kernel tells of it.
"""

import errno
import json
import os
import re
import stat
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast

import av
import av.container
import av.error
import av.logging
from av.stream import Disposition

from ffrtmp.domain.locations import is_local
from ffrtmp.domain.retry import FailureClass
from workers.box.inside import become
from workers.ffmpeg.inputs import Access, Look, access, own_playlist
from workers.ffmpeg.tracks import (
    Encrypted,
    Extent,
    audio_facts,
    check_clear,
    first_frame_facts,
    is_uneven,
    may_jump,
    seconds,
    subtitle_facts,
    video_facts,
)

RIGHTS: Final = "rights"
OPEN_TIMEOUT_SECONDS: Final = 20.0
READ_TIMEOUT_SECONDS: Final = 10.0
# formats whose header says how long they are: only these can be seen to break off
_WITH_DURATION: Final = frozenset({"mov", "matroska", "avi", "flv", "asf"})
_MISSING_SECONDS: Final = 0.5
_MISSING_FRACTION: Final = 0.02
COUNTED_BYTES: Final = 64 << 20
"""Frames that no header counts are counted in files up to this size: the encode reads them next,
then from memory."""


class Refused(Exception):  # noqa: N818
    """The location is not usable, and why."""

    def __init__(self, failure_class: FailureClass, message: str) -> None:
        super().__init__(message)
        self.failure_class = failure_class


def main(arguments: list[str]) -> int:
    """Print the answer; always 0."""
    mode, location, identity = arguments
    become(identity)
    if mode == RIGHTS:
        sys.stdout.write(Path(location).read_text())
        return 0
    try:
        answer: dict[str, Any] = {
            "facts": look(location, _how(mode, location), count=mode != Look.BRIEF)
        }
    except Refused as refused:
        answer = {"failure": {"class": refused.failure_class, "message": str(refused)}}
    except Encrypted:
        message = f"{location}: is encrypted, and there is no key for it"
        answer = {"failure": {"class": FailureClass.BAD_INPUT, "message": message}}
    except MemoryError:
        message = f"{location}: reading it takes more memory than a probe may have"
        answer = {"failure": {"class": FailureClass.BAD_INPUT, "message": message}}
    except (av.error.FFmpegError, OSError, EOFError) as error:
        answer = {"failure": _failure(location, error)}
    json.dump(answer, sys.stdout)
    return 0


def _how(mode: str, location: str) -> Access:
    path = str(Path(location).absolute()) if is_local(location) else location
    return own_playlist(path) if mode == Look.OWN_PLAYLIST else access(path)


def look(location: str, how: Access, *, count: bool) -> dict[str, Any]:
    """The facts of the location, as JSON."""
    is_url = not is_local(location)
    size = None if is_url else _check_file(location)
    with _opened(location, how) as media:
        video = _main_video(location, media)
        uneven = not is_url and not count and is_uneven(media, video)
        extent = None if is_url and not count else _extent(location, how, media, video, count=count)
        facts = {
            "container": media.format.name,
            "duration_seconds": _duration(media, extent),
            "has_one_clock": is_url or not may_jump(media),
            "size_bytes": size if not is_url else (media.size if media.size > 0 else None),
            "video": video_facts(media, video, extent, is_uneven=uneven),
            "audio": [audio_facts(media, track, extent) for track in media.streams.audio],
            "subtitles": [subtitle_facts(track) for track in media.streams.subtitles],
        }
        index = video.index
    with _opened(location, how) as media:  # from the beginning again
        return {**facts, "first_frame": first_frame_facts(media, index)}


def _check_file(location: str) -> int:
    status = Path(location).stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refused(FailureClass.INPUT_REFUSED, f"{location}: is not a regular file")
    if status.st_size == 0:
        raise Refused(FailureClass.BAD_INPUT, f"{location}: is empty")
    return status.st_size


def _authorities(how: Access) -> dict[str, str]:
    """PyAV brings GnuTLS, which has no SSL_CERT_FILE and looks where its makers' system keeps
    them."""
    file = os.environ.get("SSL_CERT_FILE")
    return {"ca_file": file} if file and "tls_verify" in how.options else {}


def _opened(location: str, how: Access) -> av.container.InputContainer:
    is_url = not is_local(location)
    timeouts = (OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS) if is_url else None
    av.logging.set_level(av.logging.ERROR)  # which list refused it, only the log says
    try:
        return av.open(how.url, options=how.for_probe() | _authorities(how), timeout=timeouts)
    except av.error.ArgumentError as error:
        raise _not_listed(location, error) from error
    finally:
        av.logging.set_level(None)


def _not_listed(location: str, error: av.error.ArgumentError) -> Exception:
    """Refused where a list of ours is the reason, else the error itself."""
    _, name, message = cast("tuple[int, str, str] | None", error.log) or (0, "", "")
    if message.startswith("Format not on whitelist"):
        return Refused(
            FailureClass.BAD_INPUT, f"{location}: is of the format {name}, which is not read here"
        )
    if (protocol := re.match(r"Protocol '(\S*)' not on whitelist", message)) is not None:
        return Refused(
            FailureClass.INPUT_REFUSED,
            f"{location}: leads to the protocol {protocol[1]}, which is not read here",
        )
    return error


def _main_video(location: str, media: av.container.InputContainer) -> av.VideoStream:
    for track in media.streams.video:
        is_cover = bool(track.disposition & Disposition.attached_pic)
        if not is_cover and track.codec_context.width > 0:
            return track
    raise Refused(FailureClass.BAD_INPUT, f"{location}: has no video")


def _extent(
    location: str,
    how: Access,
    media: av.container.InputContainer,
    video: av.VideoStream,
    *,
    count: bool,
) -> Extent:
    """How far the data really go; Refused where they end well before the header says."""
    promised = _promised(media, video)
    is_small = Path(location).stat().st_size <= COUNTED_BYTES if is_local(location) else False
    if count:
        extent = _read(media, video)
    elif is_small and not video.frames:
        extent = _read_again(location, how, video)
    else:
        extent = _read_tail(media, video)
    if media.format.name.partition(",")[0] not in _WITH_DURATION or promised is None:
        return extent
    begin = _begin(media)
    if extent.frames is None and _breaks_off(extent, promised, begin):
        extent = _read_again(location, how, video)
    if _breaks_off(extent, promised, begin):
        raise Refused(
            FailureClass.BAD_INPUT,
            f"{location}: is truncated, it says {promised:.2f} s long "
            f"and ends after {extent.end() or 0:.2f} s",
        )
    return extent


def _promised(media: av.container.InputContainer, video: av.VideoStream) -> float | None:
    """How long the header says that it is. Of an AVI without its index, which lies at its end,
    libavformat tells what is there; the header still counts all frames."""
    said = seconds(media.duration, Fraction(1, 1_000_000))
    if media.format.name == "avi" and said is not None and video.frames and video.average_rate:
        return max(said, float(video.frames / video.average_rate))
    return said


def _duration(media: av.container.InputContainer, extent: Extent | None) -> float | None:
    """How long it plays."""
    said = seconds(media.duration, Fraction(1, 1_000_000))
    end = None if extent is None else extent.end()
    if said is None or end is None or _begin(media) <= 0 or may_jump(media):
        return said
    return min(said, end)


def _begin(media: av.container.InputContainer) -> float:
    return (media.start_time or 0) / 1_000_000


def _breaks_off(extent: Extent, promised: float, begin: float) -> bool:
    """``begin`` is the time of its first packet, from which some of Matroska do not count."""
    missing = promised - (extent.end() or 0.0) - max(0.0, begin)
    return missing > max(_MISSING_SECONDS, promised * _MISSING_FRACTION)


def _read_tail(media: av.container.InputContainer, video: av.VideoStream) -> Extent:
    if media.duration is None:
        return Extent()
    try:
        media.seek((media.start_time or 0) + media.duration, backward=True)
    except (av.error.FFmpegError, OSError):
        return Extent()
    extent = _read(media, video)
    extent.frames = None
    return extent


def _read_again(location: str, how: Access, video: av.VideoStream) -> Extent:
    """From the beginning, also where nothing can be sought."""
    with _opened(location, how) as media:
        return _read(media, video)


def _read(media: av.container.InputContainer, video: av.VideoStream) -> Extent:
    """Demux from here to the end; a broken end just ends it."""
    extent = Extent(frames=0)
    begin = Fraction(media.start_time or 0, 1_000_000)
    frame = 1 / video.average_rate if video.average_rate else Fraction(1, 25)
    try:
        for packet in media.demux():
            if not packet.size or packet.is_discard:
                continue
            check_clear(packet)
            is_main = packet.stream.index == video.index
            extent.frames = (extent.frames or 0) + is_main
            if packet.pts is None or packet.time_base is None:
                continue
            length = (packet.duration or 0) * packet.time_base or (frame if is_main else 0)
            end = float(packet.pts * packet.time_base + length - begin)
            index = packet.stream.index
            extent.ends[index] = max(end, extent.ends.get(index, 0.0))
    except (av.error.FFmpegError, OSError, EOFError):
        return extent
    return extent


def _failure(location: str, error: Exception) -> dict[str, str]:
    text = getattr(error, "strerror", None) or str(error)
    number = getattr(error, "errno", None)
    return {"class": _class_of(error, number), "message": f"{location}: {text}"}


def _class_of(error: Exception, number: int | None) -> FailureClass:
    for kinds, failure_class in _CLASSES:
        if isinstance(error, kinds):
            return failure_class
    if number in (errno.EIO, errno.EHOSTUNREACH, errno.ENETUNREACH):
        return FailureClass.CONNECTION
    return FailureClass.BAD_INPUT


_CLASSES: Final = (
    (
        (FileNotFoundError, NotADirectoryError, av.error.HTTPNotFoundError),
        FailureClass.INPUT_MISSING,
    ),
    (
        (PermissionError, av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError),
        FailureClass.INPUT_REFUSED,
    ),
    (
        (ConnectionError, TimeoutError, av.error.ExitError, av.error.HTTPError),
        FailureClass.CONNECTION,
    ),
    (
        (av.error.HTTPClientError, av.error.HTTPServerError),
        FailureClass.CONNECTION,
    ),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
