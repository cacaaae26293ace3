"""How each kind of input may be opened, by ffmpeg and by the probe: protocols, demuxers, time.

Both lists are closed. What reads further files or hosts because a file says so (playlists of any
kind, image sequences, session descriptions) is on none of them.
"""

from dataclasses import dataclass, field
from typing import Final

from ffrtmp.domain.locations import Kind, kind_of

NETWORK_TIMEOUT_SECONDS: Final = 15

DEMUXERS: Final = (
    # containers
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "live_flv", "asf", "ogg", "mxf", "gxf"),
    *("nut", "wtv", "rm", "dv", "ivf", "gif", "yuv4mpegpipe"),
    # bare video
    *("h264", "hevc", "vvc", "obu", "av1", "m4v", "mpegvideo", "h263", "vc1"),
)
"""Names of libavformat; of one with several names the first."""


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


def access(source: str) -> Access:
    """How to open an absolute path or a URL; ValueError for anything else."""
    match kind_of(source):
        case Kind.PATH if source.startswith("/"):
            return Access(url=f"file:{source}", protocols=("file",), demuxers=DEMUXERS)
        case Kind.HTTP:
            return _http(source)
    raise ValueError(f"{source!r} is neither absolute nor a URL that ffmpeg may read")


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


def _microseconds(seconds: int) -> str:
    return str(seconds * 1_000_000)
