"""Whatever job is accepted, its command line holds listed options, and its words as places only."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.media import Engine, Hardware, Metric
from ffrtmp.domain.parameters import resolve
from ffrtmp.domain.scenario import parse_scenario
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import Parameters
from tests.security.arguments import ELEMENTS, check, elements_of, filters_of
from tests.security.fuzzing import often
from workers.errors import UnsupportedSpec
from workers.ffmpeg.command import transcode
from workers.ffmpeg.facts import AudioFacts, MediaFacts, SubtitleFacts, VideoFacts
from workers.ffmpeg.inputs import access
from workers.ffmpeg.passes import FIRST, SECOND, Pass
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.quality import measure
from workers.ffmpeg.streaming import publish
from workers.ffmpeg.target import CPU, Coded, Target
from workers.gstreamer import pipeline
from workers.gstreamer.found import Gstreamer

MARK = "Qx7"
PROGRAM = Path("/usr/bin/ffmpeg")
PLAYER = Gstreamer(python=Path("/usr/bin/python3"), aac="avenc_aac", registry=Path("/registry"))
HOSTILE = (
    *(" -f tee ", ",movie=/etc/passwd", ";amovie=/x", "[o]", "'", '"', "\\", "|", "=", ":", "%d"),
    *("%03d", "$(id)", "`id`", "&", "#", "?", "*", "{}", "é", "\u202e", "--", " -i ", "/-version"),
)
TEXT = st.lists(st.sampled_from((MARK, *HOSTILE)), min_size=1, max_size=5).map(
    lambda parts: "".join((MARK, *parts))
)
ADDRESS = TEXT.filter(lambda text: text.isascii() and not set(text) & set(" #"))
DECODES = frozenset({Coded(codec="h264", bit_depth=8)})
NUMBERS = "203.0.113.7"
LIVE = ADDRESS.map("rtmp://source/app/{}".format) | st.just(f"srt://source:9000?streamid={MARK}")
TARGETS = (
    CPU,
    Target(hardware=Hardware.NVENC, address="0", decodes=DECODES),
    Target(hardware=Hardware.QSV, address="/dev/dri/renderD128", decodes=DECODES),
    Target(hardware=Hardware.VAAPI, address="/dev/dri/renderD129", decodes=DECODES),
)
CHOICES: dict[str, tuple[Any, ...]] = {
    "codec": ("h264", "h265", "av1", "vp9"),
    "container": ("mp4", "mkv", "webm"),
    "preset": ("ultrafast", "fast", "slow"),
    "crf": (0, 23, 50),
    "bitrate": ("500k", "2M"),
    "max_bitrate": ("2M", "3M"),
    "two_pass": (True,),
    "resolution": ("720p", "128x96", "4K"),
    "fit": ("pad", "inside"),
    "upscale": (True, False),
    "fps": ("29.97", "25", "24000/1001"),
    "bit_depth": (8, 10),
    "dynamic_range": ("sdr", "keep"),
    "duration": (1, 0.123456),
    "audio": ("auto", "aac", "opus", "copy", "none"),
    "audio_tracks": ([1], [2, 1], [1, 1]),
    "audio_channels": ("stereo", "mono"),
    "audio_bitrate": ("64k",),
    "subtitles": ("auto", "none"),
    "verify": ("decode",),
}
NOT_OF_A_LADDER = ("codec", "container", "bitrate", "max_bitrate", "resolution", "two_pass")
SCENARIOS = ("test", "720p30-h264", "live-1080p30", "360p", "av1", "480p24-batch")


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """Parameters of which each is right by itself."""
    named = draw(st.lists(st.sampled_from(sorted(CHOICES)), max_size=4, unique=True))
    return {name: draw(st.sampled_from(CHOICES[name])) for name in named}


@st.composite
def media(draw: st.DrawFn) -> MediaFacts:
    """A source whose own texts are an attacker's."""
    sounds = draw(st.integers(0, 3))
    return MediaFacts(
        container="matroska,webm",
        duration_seconds=4.0,
        size_bytes=1000,
        video=VideoFacts(
            codec="h264",
            width=draw(st.just(640) | st.integers(2, 5000)),
            height=draw(st.just(480) | st.integers(2, 5000)),
            rotation_degrees=draw(st.sampled_from((0, 90, 180, 270))),
            fps=draw(st.sampled_from((None, Fraction(25), Fraction(1001, 1000)))),
            frames=100,
            pixel_format="yuv420p",
            start_seconds=0.0,
            end_seconds=4.0,
            sample_aspect=draw(st.sampled_from((Fraction(1), Fraction(16, 11)))),
            bit_depth=draw(st.sampled_from((8, 10))),
            is_interlaced=draw(st.booleans()),
            is_variable_rate=draw(st.booleans()),
        ),
        audio=tuple(
            AudioFacts(
                codec="aac",
                channels=draw(st.integers(1, 8)),
                sample_rate=draw(st.sampled_from((7350, 44100, 192000))),
                end_seconds=4.0,
                language=draw(st.none() | TEXT),
            )
            for _ in range(sounds)
        ),
        subtitles=tuple(
            SubtitleFacts(codec=codec, is_text=codec != "dvd_subtitle", language=draw(TEXT))
            for codec in draw(st.lists(st.sampled_from(("subrip", "ass", "dvd_subtitle"))))
        ),
    )


def read_at(place: str | None) -> list[str]:
    """What ffmpeg is told to read for such an input."""
    if place is None:
        return []
    return [access(place, address=NUMBERS).url]


def accepted(scenario: str, wanted: dict[str, Any], *, engine: Engine = Engine.AUTO) -> JobSpec:
    """What the master makes of the job; a refused one is not looked at."""
    try:
        parameters = Parameters.model_validate(wanted).to_domain()
        return resolve(parse_scenario(scenario), parameters, engine)
    except (ValidationError, InvalidRequest):
        assume(False)
        raise


def built(make: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """The command line; what a node refuses has none."""
    try:
        return make()
    except UnsupportedSpec:
        assume(False)
        raise


def planned(spec: JobSpec, source: MediaFacts | None) -> Plan:
    try:
        return plan_of(spec, source)
    except UnsupportedSpec:
        assume(False)
        raise


OFTEN = often(100)


@OFTEN
@given(
    scenario=st.sampled_from(SCENARIOS),
    wanted=wishes(),
    place=st.none() | TEXT.map("/in/{}".format) | ADDRESS.map("https://host/{}".format),
    name=TEXT,
    found=media(),
    target=st.sampled_from(TARGETS),
)
def test_any_file_is_made_by_listed_options_and_its_words_are_places(
    scenario: str,
    wanted: dict[str, Any],
    place: str | None,
    name: str,
    found: MediaFacts,
    target: Target,
) -> None:
    output = {"output": f"/out/{name}.mp4"} if "container" not in wanted else {}
    spec = accepted(scenario, wanted | output | ({} if place is None else {"input": place}))
    plan = planned(spec, None if place is None else found)
    destination = Path(f"/out/.{name}.part")

    argv = built(
        lambda: transcode(
            plan,
            ffmpeg=PROGRAM,
            source=place,
            destination=destination,
            threads=2,
            target=target,
        )
    )

    check(argv, sources=read_at(place), output=f"file:{destination}", mark=MARK)


@OFTEN
@given(
    wanted=wishes(),
    ladder=st.booleans(),
    mode=st.sampled_from(("file", "hls")),
    place=st.none() | TEXT.map("/in/{}".format),
    found=media(),
    turn=st.sampled_from((None, FIRST, SECOND)),
)
def test_any_folder_is_made_by_listed_options_and_its_words_are_places(
    wanted: dict[str, Any],
    ladder: bool,
    mode: str,
    place: str | None,
    found: MediaFacts,
    turn: int | None,
) -> None:
    renditions = [
        {"resolution": "360p", "bitrate": "1M"},
        {"resolution": "128x96", "name": "tiny_-1", "bitrate": "200k"},
    ]
    several = {} if ladder else {"renditions": renditions}
    ours = {name: value for name, value in wanted.items() if name not in NOT_OF_A_LADDER}
    where = {"output_mode": mode} | ({} if place is None else {"input": place})
    spec = accepted("abr-h264" if ladder else "h264", ours | several | where)
    plan = planned(spec, None if place is None else found)

    argv = built(
        lambda: transcode(
            plan,
            ffmpeg=PROGRAM,
            source=place,
            destination=Path("/out/.folder.part"),
            threads=2,
            turn=None if turn is None else Pass(number=turn, folder=Path("/scratch")),
        )
    )

    check(argv, sources=read_at(place), output=None, mark=MARK)


@OFTEN
@given(
    wanted=wishes(),
    place=st.none() | TEXT.map("/in/{}".format) | LIVE,
    stream=ADDRESS.map("rtmp://host/app/{}".format) | ADDRESS.map("rtmps://host/app/{}".format),
    looped=st.booleans(),
    begin=st.sampled_from((0.0, 1.5)),
    found=media(),
    target=st.sampled_from(TARGETS),
)
def test_any_stream_is_made_by_listed_options_and_its_words_are_places(
    wanted: dict[str, Any],
    place: str | None,
    stream: str,
    looped: bool,
    begin: float,
    found: MediaFacts,
    target: Target,
) -> None:
    where = {"output_mode": "rtmp", "rtmp_url": stream}
    source = {} if place is None else {"input": place}
    spec = accepted("live-720p30", {"codec": "h264"} | wanted | where | source)
    plan = planned(spec, None if place is None else found)

    argv = built(
        lambda: publish(
            plan,
            ffmpeg=PROGRAM,
            source=place,
            rtmp_url=stream,
            threads=2,
            address=NUMBERS,
            is_looped=looped,
            from_seconds=begin,
            target=target,
        )
    )

    check(argv, sources=read_at(place), output=stream, mark=MARK)


@OFTEN
@given(
    wanted=wishes(),
    place=st.none() | TEXT.map("/in/{}".format),
    name=TEXT,
    found=media(),
    metrics=st.lists(st.sampled_from(Metric), min_size=1, unique=True),
)
def test_any_comparison_is_made_by_listed_options_and_its_words_are_places(
    wanted: dict[str, Any],
    place: str | None,
    name: str,
    found: MediaFacts,
    metrics: list[Metric],
) -> None:
    spec = accepted("test-h264", wanted | ({} if place is None else {"input": place}))
    plan = planned(spec, None if place is None else found)
    output = f"/out/.{name}.part"

    argv = measure(
        metrics,
        plan,
        plan.pictures[0],
        ffmpeg=PROGRAM,
        source=place,
        output=access(output),
        threads=2,
    )

    check(argv, sources=[f"file:{output}", *read_at(place)], output=None, mark=MARK)


@OFTEN
@given(wanted=wishes(), place=st.none() | TEXT.map("/in/{}".format), name=ADDRESS, found=media())
def test_any_pipeline_is_made_of_listed_elements_and_its_words_stand_beside_it(
    wanted: dict[str, Any], place: str | None, name: str, found: MediaFacts
) -> None:
    url = f"rtmp://host/app/{name}"
    where = {"output_mode": "rtmp", "rtmp_url": url} | ({} if place is None else {"input": place})
    spec = accepted("live-720p30", {"codec": "h264"} | wanted | where, engine=Engine.GSTREAMER)
    plan = planned(spec, None if place is None else found)

    argv = built(lambda: pipeline.publish(plan, PLAYER, source=place, rtmp_url=url, threads=2))

    order = json.loads(argv[-1])
    assert MARK not in " ".join(argv[:-1])
    assert elements_of(order["pipeline"]) <= ELEMENTS
    assert {name for name, value in order.items() if MARK in str(value)} <= {"location", "url"}
    assert (order.get("location"), order["url"]) == (place, url)


@pytest.mark.parametrize(
    "argv",
    [
        ("-report",),
        ("-vstats_file", "x"),
        ("-passlogfile", MARK),
        ("-dump_attachment", "x"),
        ("-/filter", "x"),
        ("-filter_complex_script", "x"),
        ("-init_hw_device", f"vaapi:{MARK}"),
        ("-vf", "scale=1:1,movie=x"),
        ("-vf", f"scale={MARK}"),
        ("-metadata", f"title={MARK}"),
        ("other.mp4",),
    ],
)
def test_what_is_on_no_list_is_found(argv: tuple[str, ...]) -> None:
    usual = ("ffmpeg", "-i", "file:/in", *argv, "file:/out")

    with pytest.raises(AssertionError):
        check(usual, sources=["file:/in"], output="file:/out", mark=MARK)


def test_filters_of_a_graph_are_told_apart() -> None:
    assert filters_of("[0:v]split[a][b];[a]scale=1:1,movie=x[o]") >= {"scale", "movie"}
    assert elements_of("a name=x b=1 ! filesrc location=/x ! y,width=1") == {"a", "filesrc", "y"}
