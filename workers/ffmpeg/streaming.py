"""From a plan to the argument list that publishes it as a stream, purely."""

from pathlib import Path
from typing import Final

from ffrtmp.domain.locations import is_live
from workers.ffmpeg.arguments import encoded, opening, read, test_source
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import CPU, Target

_NETWORK_TIMEOUT_MICROSECONDS: Final = 15_000_000
_NATIVE_SPEED: Final = "-re"
SAMPLE_SECONDS: Final = 1


def publish(
    plan: Plan,
    *,
    ffmpeg: Path,
    source: str | None,
    rtmp_url: str,
    threads: int | None,
    address: str | None = None,
    is_looped: bool = False,
    from_seconds: float = 0.0,
    target: Target = CPU,
) -> tuple[str, ...]:
    """The argv that publishes to ``rtmp_url`` at native speed; the rest as ``transcode``.

    A live source is read as it comes, at ``address`` (see ``inputs.access``).
    ``from_seconds`` of a file are left out at its beginning. ``is_looped`` begins a file
    again at its end, for ever.
    """
    (picture,) = plan.pictures
    return (
        *opening(plan, ffmpeg, target, threads),
        *(
            test_source(plan, picture, _NATIVE_SPEED)
            if source is None
            else _source(source, address=address, is_looped=is_looped, from_seconds=from_seconds)
        ),
        *encoded(plan, picture, target=target, threads=threads),
        *("-map_chapters", "-1", "-flvflags", "no_duration_filesize"),
        *("-rw_timeout", str(_NETWORK_TIMEOUT_MICROSECONDS)),
        *_safely(rtmp_url),
        *("-f", "flv", rtmp_url),
    )


def sample(*, ffmpeg: Path, source: str, address: str | None, destination: Path) -> tuple[str, ...]:
    """The argv that keeps the first moment of a live source as a file, to be looked at.

    The probe cannot: not every libavformat speaks SRT, and a source may be sent only once.
    """
    return (
        str(ffmpeg),
        *("-hide_banner", "-nostdin", "-y", "-loglevel", "level+info"),
        *("-nostats", "-progress", "pipe:1"),
        *read(source, address=address),
        *("-map", "0:V?", "-map", "0:a?", "-c", "copy", "-copyinkf"),
        *("-t", str(SAMPLE_SECONDS), "-f", "nut", f"file:{destination}"),
    )


def _source(
    source: str, *, address: str | None, is_looped: bool, from_seconds: float
) -> tuple[str, ...]:
    if is_live(source):
        return read(source, address=address)
    return (
        _NATIVE_SPEED,
        *(("-stream_loop", "-1") if is_looped else ()),
        *(("-ss", f"{from_seconds:.3f}") if from_seconds > 0 else ()),
        *read(source),
    )


def _safely(rtmp_url: str) -> tuple[str, ...]:
    """The way to the server is not the way to the source: no proxy, whatever the environment."""
    if not rtmp_url.lower().startswith("rtmps:"):
        return ()
    return ("-tls_verify", "1", "-http_proxy", "")
