"""What may stand in a command line of ffmpeg: closed lists, and where the words of a job may be."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FLAGS = frozenset({"-hide_banner", "-nostdin", "-nostats", "-y", "-an", "-sn", "-dn", "-re"})
"""Options without a value."""
OPTIONS = frozenset(
    {
        # of the run
        *("-loglevel", "-progress", "-abort_on", "-threads", "-filter_complex_threads"),
        # of the device
        *("-vaapi_device", "-qsv_device", "-init_hw_device", "-filter_hw_device", "-hwaccel"),
        *("-hwaccel_output_format", "-hwaccel_device", "-gpu"),
        # of the input
        *("-f", "-i", "-protocol_whitelist", "-format_whitelist", "-rw_timeout", "-reconnect"),
        *("-reconnect_streamed", "-reconnect_delay_max", "-tls_verify", "-stream_loop", "-ss"),
        *("-rtmp_tcurl", "-rtmp_live", "-mode", "-timeout", "-connect_timeout"),
        *("-analyzeduration", "-probesize"),
        # which tracks, how long, with which names
        *(
            "-map",
            "-filter_complex",
            "-map_metadata",
            "-map_chapters",
            "-metadata",
            "-t",
            "-disposition",
        ),
        # of the picture
        *("-vf", "-c", "-b", "-crf", "-preset", "-tune", "-maxrate", "-bufsize", "-g", "-qp"),
        *("-keyint_min", "-sc_threshold", "-flags", "-force_key_frames", "-forced-idr", "-tag"),
        *("-forced_idr", "-bf", "-rc", "-cq", "-rc_mode", "-global_quality", "-async_depth"),
        *("-zerolatency", "-delay", "-deadline", "-cpu-used", "-row-mt", "-lag-in-frames"),
        *("-x265-params", "-svtav1-params", "-fps_mode", "-enc_time_base", "-profile"),
        # of the sound
        *("-ac", "-ar", "-filter"),
        # of the output
        *("-movflags", "-flvflags", "-http_proxy", "-hls_time", "-hls_playlist_type"),
        *("-hls_segment_type", "-hls_flags", "-hls_fmp4_init_filename"),
        *("-hls_segment_filename", "-master_pl_name", "-var_stream_map"),
        # of two passes: the place is a folder of the attempt's own
        *("-pass", "-passlogfile"),
    }
)
"""Options with a value, without what says of which stream."""
FILTERS = frozenset(
    {
        *("fps", "scale", "pad", "setsar", "format", "hwupload", "aresample", "bwdif"),
        *("setparams", "zscale", "tonemap", "sidedata", "split", "hwdownload"),
        *("scale_vaapi", "scale_cuda", "vpp_qsv", "crop", "settb", "setpts"),
        # these write their scores, under names of ours, into a folder of the attempt's own
        *("libvmaf", "psnr", "ssim"),
    }
)
"""Those that open neither a file nor a connection, and are given no expression of a job's."""
ELEMENTS = frozenset(
    {
        *("flvmux", "rtmp2sink", "queue", "decodebin", "videoconvert", "videoflip", "videoscale"),
        *("videotestsrc", "audiotestsrc", "videorate", "x264enc", "h264parse", "audioconvert"),
        *("audioresample", "audiorate", "aacparse", "video/x-raw", "audio/x-raw", "audio/mpeg"),
        *("fdkaacenc", "voaacenc", "avenc_aac", "identity", "audiomixer", "mux."),
    }
)
"""Of GStreamer, with the kinds of media between them."""
PLACES = ("-i", "-rtmp_tcurl", None)
"""Where the words of a job may stand: what is read, what a server is asked for, what is made."""
FILTER_OPTIONS = ("-vf", "-filter", "-filter_complex")
IN_A_FOLDER = re.compile(r"file:[a-z0-9][a-z0-9_-]{0,31}\.(mp4|mkv|webm)|%v/index\.m3u8|-")
"""Outputs of a job that makes several, and that of a run which makes none."""
SOURCES = re.compile(
    r"testsrc2=size=\d+x\d+:rate=\d+(/\d+)?|sine=frequency=440:sample_rate=\d+|"
    r"anullsrc=[a-z0-9_.:=]+"
)
"""Graphs that may follow ``-f lavfi -i``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An option with its value, None for a flag; ``name`` None is an output."""

    name: str | None
    value: str | None


def parsed(argv: Sequence[str]) -> Iterator[Argument]:
    """The arguments after the program's name; AssertionError for an option that is on no list."""
    words = iter(argv[1:])
    for word in words:
        name = word.partition(":")[0]
        if word in FLAGS:
            yield Argument(name=word, value=None)
        elif word.startswith("-") and word != "-":
            assert name in OPTIONS, f"{word} is on no list"
            yield Argument(name=name, value=next(words))
        else:
            yield Argument(name=None, value=word)


def filters_of(graph: str) -> set[str]:
    """The names of a graph's filters."""
    links = re.sub(r"\[[a-z0-9:V]+\]", "", graph)
    return {part.partition("=")[0] for part in re.split(r"[,;]", links)}


def elements_of(pipeline: str) -> set[str]:
    """The names of a description's elements, without their properties."""
    words = re.sub(r"[a-z-]+=\S+", "", pipeline).split()
    return {word.partition(",")[0] for word in words if word != "!"}


def check(argv: Sequence[str], *, sources: Sequence[str], output: str | None, mark: str) -> None:
    """AssertionError unless everything is on a list, and what holds the mark a place or a name.

    ``sources`` are what is read, beside test sources. ``output`` None stands for files of a
    folder, or for none. ``mark`` is part of every text that whoever wrote the job, or its media,
    was free to choose.
    """
    arguments = list(parsed(argv))
    outputs = [it.value for it in arguments if it.name is None]
    inputs = [it.value for it in arguments if it.name == "-i"]

    if output is None:
        assert outputs
        assert all(IN_A_FOLDER.fullmatch(place or "") for place in outputs)
    else:
        assert outputs == [output]
    assert [graph for graph in inputs if not SOURCES.fullmatch(graph or "")] == list(sources)
    for argument in arguments:
        value = argument.value or ""
        if argument.name in FILTER_OPTIONS:
            assert filters_of(value) <= FILTERS, value
        if mark in value:
            is_name = argument.name == "-metadata" and value.partition("=")[0] == "language"
            assert argument.name in PLACES or is_name, argument
