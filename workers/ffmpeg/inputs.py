"""How each kind of input may be opened, by ffmpeg and by the probe: protocols, demuxers, time.

Both lists are closed. What reads further files or hosts because a file says so (playlists of any
kind, image sequences, session descriptions) is on none of them.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from ffrtmp.domain.locations import Kind, kind_of

NETWORK_TIMEOUT_SECONDS: Final = 15
RTMP_PORT: Final = 1935
_DEEP_PATH: Final = 3

DEMUXERS: Final = (
    # containers
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "live_flv", "asf", "ogg", "mxf", "gxf"),
    *("nut", "wtv", "rm", "dv", "ivf", "gif", "yuv4mpegpipe"),
    # bare video
    *("h264", "hevc", "vvc", "obu", "av1", "m4v", "mpegvideo", "h263", "vc1"),
)
"""Names of libavformat; of one with several names the first."""


_ANALYZED_MICROSECONDS: Final = "2000000"
"""What is read of a live source before it is shown: ffmpeg's own five seconds are a delay."""
_LIVE_OPTIONS: Final = {
    "rw_timeout": str(NETWORK_TIMEOUT_SECONDS * 1_000_000),
    "rtmp_live": "live",
    "analyzeduration": _ANALYZED_MICROSECONDS,
}


class Look(StrEnum):
    """How much of a location the probe reads, and of which kind it is.

    brief         the beginning, and of a local file the end.
    count         everything.
    own-playlist  everything of an HLS folder that this node has made.
    """

    BRIEF = "brief"
    COUNT = "count"
    OWN_PLAYLIST = "own-playlist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How an input is opened: its URL for libavformat, and options of protocol and demuxer."""

    url: str
    protocols: tuple[str, ...]
    demuxers: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    """Those both ffmpeg and the probe have."""
    reconnects: dict[str, str] = field(default_factory=dict)
    """Those of a long read."""

    def arguments(self) -> tuple[str, ...]:
        """ffmpeg's arguments, ``-i`` included."""
        options = self.for_probe() | self.reconnects
        return (
            *(word for name, it in options.items() for word in (f"-{name}", it)),
            "-i",
            self.url,
        )

    def for_probe(self) -> dict[str, str]:
        """The options of one look."""
        return {
            "protocol_whitelist": ",".join(self.protocols),
            "format_whitelist": ",".join(self.demuxers),
            **self.options,
        }


def takes_proxy(source: str) -> bool:
    """True for URLs that libavformat opens through the proxy that its environment names."""
    return kind_of(source) is Kind.HTTP or source.lower().startswith("rtmps:")


def access(source: str, *, address: str | None = None) -> Access:
    """How to open an absolute path or a URL; ValueError for anything else.

    ``address``, of a live source that takes no proxy, is what to connect to in place of its host.
    """
    match kind_of(source):
        case Kind.PATH if source.startswith("/"):
            return Access(url=f"file:{source}", protocols=("file",), demuxers=DEMUXERS)
        case Kind.HTTP:
            return _http(source)
        case Kind.RTMP if takes_proxy(source):
            return _rtmps(source)
        case Kind.RTMP if address is not None:
            return _rtmp(source, address)
        case Kind.SRT if address is not None:
            return _srt(source, address)
    raise ValueError(f"{source!r} is neither absolute nor a URL that ffmpeg may read")


def own_playlist(path: str) -> Access:
    """How to open an HLS folder that this node has just made, and nothing else."""
    return Access(url=f"file:{path}", protocols=("file",), demuxers=("hls", "mov"))


def _http(source: str) -> Access:
    return Access(
        url=source,
        # httpproxy is the tunnel that https takes through the gate
        protocols=("http", "https", "tcp", "tls", "httpproxy"),
        demuxers=DEMUXERS,
        options={"rw_timeout": _microseconds(NETWORK_TIMEOUT_SECONDS), "reconnect": "1"}
        | ({"tls_verify": "1"} if source.lower().startswith("https:") else {}),
        reconnects={"reconnect_streamed": "1", "reconnect_delay_max": "5"},
    )


def _rtmp(source: str, address: str) -> Access:
    parts = urlsplit(source)
    return Access(
        url=_at(source, address, RTMP_PORT),
        protocols=("rtmp", "tcp"),
        demuxers=("flv", "live_flv"),
        # by its name a server knows which of its hosts is meant
        options=_LIVE_OPTIONS | {"rtmp_tcurl": f"rtmp://{parts.netloc}/{_application(parts.path)}"},
    )


def _rtmps(source: str) -> Access:
    return Access(
        url=source,
        protocols=("rtmps", "tls", "tcp", "httpproxy"),
        demuxers=("flv", "live_flv"),
        options=_LIVE_OPTIONS | {"tls_verify": "1"},
    )


def _srt(source: str, address: str) -> Access:
    return Access(
        url=_at(source, address, 0),
        protocols=("srt",),
        demuxers=("mpegts",),
        options={
            "mode": "caller",
            "analyzeduration": _ANALYZED_MICROSECONDS,
            "timeout": _microseconds(NETWORK_TIMEOUT_SECONDS),
            "connect_timeout": str(1000 * NETWORK_TIMEOUT_SECONDS),
        },
    )


def _at(source: str, address: str, default_port: int) -> str:
    """The same URL with an address in place of its host."""
    parts = urlsplit(source)
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port or default_port}"))


def _application(path: str) -> str:
    """What ffmpeg takes for the application: the path's first part, or two where it has three."""
    parts = path.lstrip("/").split("/")
    return "/".join(parts[: 1 if len(parts) < _DEEP_PATH else 2])


def _microseconds(seconds: int) -> str:
    return str(seconds * 1_000_000)
