"""The command line, as a value; tests/media runs it."""

from pathlib import Path
from typing import Any

import pytest

from tests.media.specs import command
from workers.errors import UnsupportedSpec


def argv(
    source: str | None = "/in.mkv", *, threads: int | None = None, **changes: Any
) -> list[str]:
    """The command line of a small job with the given changes."""
    destination = Path("/out/.tmp-1")
    return list(command(source, destination=destination, threads=threads, **changes))


def after(arguments: list[str], option: str) -> str:
    """The value of an option."""
    return arguments[arguments.index(option) + 1]


def test_local_source_is_read_by_the_file_protocol_alone() -> None:
    arguments = argv("/a:b.mkv")

    assert after(arguments, "-i") == "file:/a:b.mkv"
    assert after(arguments, "-protocol_whitelist") == "file"
    assert "-reconnect" not in arguments


def test_remote_source_is_read_by_http_alone_and_reconnects() -> None:
    arguments = argv("https://host/x.mp4")

    assert after(arguments, "-i") == "https://host/x.mp4"
    assert after(arguments, "-protocol_whitelist") == "http,https,tcp,tls,httpproxy"
    assert after(arguments, "-reconnect") == "1"


@pytest.mark.parametrize("source", ["relative.mp4", "concat:a|b", "-i", "ftp://host/x", ""])
def test_source_that_is_neither_absolute_nor_http_is_refused(source: str) -> None:
    with pytest.raises(UnsupportedSpec):
        argv(source)


def test_destination_is_last_and_never_guessed_from_its_name() -> None:
    arguments = argv(container="mkv")

    assert arguments[-1] == "file:/out/.tmp-1"
    assert arguments[arguments.index("-f") + 1] == "matroska"


def test_frame_rate_filter_is_there_only_when_a_rate_is_asked() -> None:
    assert after(argv(fps="30000/1001"), "-vf").startswith("fps=30000/1001,")
    assert "fps=" not in after(argv(fps=None), "-vf")


def test_live_bit_rate_has_a_ceiling_and_others_do_not() -> None:
    live = argv(crf=None, bits_per_second=1_000_000, live=True)

    assert (after(live, "-b:v"), after(live, "-maxrate")) == ("1000000", "1000000")
    assert "-maxrate" not in argv(crf=None, bits_per_second=1_000_000)
    assert "-crf" not in live


def test_hevc_is_tagged_for_players_only_in_mp4() -> None:
    assert after(argv(codec="hevc"), "-tag:v") == "hvc1"
    assert "-tag:v" not in argv(codec="hevc", container="mkv")


def test_threads_are_given_to_decoder_and_encoder() -> None:
    assert argv(threads=3).count("-threads") == 2
    assert "-threads" not in argv()


def test_silent_test_source_has_no_tone() -> None:
    assert argv(None).count("lavfi") == 2
    assert argv(None, audio="none").count("lavfi") == 1


def test_test_source_says_that_it_is_one() -> None:
    assert "title=ffrtmp test source" in argv(None)
    assert "title=ffrtmp test source" not in argv()
