"""Files that are no usable source: a failure for good, of a class, in one line that says why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ResultRequest
from tests.media.awkward import X264, picture, tone
from tests.media.specs import FFMPEG, make_clip
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from workers.ledger import Held

node = agent_parts.node
KEY = "76a6c65c5ea762046bd749a2e632ccbb"


def ended(node: Node, source: Path, **parameters: Any) -> ResultRequest:
    """How a job on this file ends on a node."""
    claim = claim_of(input=str(source), preset="ultrafast", **parameters)
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    node.runner(FFMPEG).run(claim, held)
    body: ResultRequest
    (body,) = node.master.said("report")
    return body


def film(folder: Path, name: str, *options: str) -> Path:
    return make_clip(folder / name, *picture(seconds=2), *tone(2), *X264, *options)


def cut(path: Path, *, keep: float) -> Path:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cover_only(folder: Path) -> Path:
    cover = make_clip(folder / "cover.png", *picture("32x32"), "-frames:v", "1")
    return make_clip(
        folder / "song.m4a",
        *("-i", str(cover), *tone(), "-c:v", "copy", "-disposition:v:0", "attached_pic"),
        *("-f", "mp4"),
    )


def encrypted(folder: Path) -> Path:
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY)
    return film(folder, "locked.mp4", *scheme)


def zeroed(folder: Path) -> Path:
    """Whole by its index, and nothing of it can be decoded."""
    data = film(folder, "zeros.mp4", "-movflags", "+faststart").read_bytes()
    begin = data.index(b"mdat") + 4
    return written(folder / "zeros.mp4", data[:begin] + bytes(len(data) - begin))


PLAYLIST = b"ffconcat version 1.0\nfile b.mp4\n"
BAD: tuple[tuple[str, Callable[[Path], Path], str], ...] = (
    ("empty", lambda it: written(it / "a.mp4", b""), "is empty"),
    ("text", lambda it: written(it / "a.mp4", b"hello\n" * 99), "Invalid data found"),
    ("zeros", lambda it: written(it / "a.mkv", bytes(99_999)), "Invalid data found"),
    ("an image", lambda it: make_clip(it / "a.png", *picture(), "-frames:v", "1"), "png_pipe"),
    ("sound only", lambda it: make_clip(it / "a.m4a", *tone()), "has no video"),
    ("sound and a cover", cover_only, "has no video"),
    ("encrypted", encrypted, "is encrypted, and there is no key for it"),
    ("no index", lambda it: cut(film(it, "a.mp4"), keep=0.5), "Invalid data found"),
    (
        "cut mp4",
        lambda it: cut(film(it, "a.mp4", "-movflags", "+faststart"), keep=0.6),
        "is truncated, it says 2.0",
    ),
    ("cut mkv", lambda it: cut(film(it, "a.mkv"), keep=0.6), "is truncated, it says 2.0"),
    ("cut avi", lambda it: cut(film(it, "a.avi"), keep=0.4), "is truncated, it says 2."),
    ("undecodable", zeroed, "Decode error rate 1 exceeds maximum"),
    ("a playlist", lambda it: written(it / "a.mp4", PLAYLIST), "format concat"),
)


@pytest.mark.parametrize(
    ("make", "why"), [pytest.param(make, why, id=name) for name, make, why in BAD]
)
def test_unusable_file_fails_for_good_in_one_line(
    node: Node, make: Callable[[Path], Path], why: str
) -> None:
    source = make(node.folder)

    body = ended(node, source, output=str(node.folder / "out.mp4"))

    assert (body.status, body.failure_reason) == ("failed", FailureClass.BAD_INPUT)
    assert body.error is not None
    assert why in body.error
    assert "\n" not in body.error
    assert list(node.folder.glob("*out*mp4*")) == []


def test_line_of_ffmpeg_that_matters_is_quoted_and_its_whole_log_kept(node: Node) -> None:
    body = ended(node, zeroed(node.folder), output=str(node.folder / "out.mp4"))

    assert body.error == "Decode error rate 1 exceeds maximum 0.666667"
    assert body.error in body.logs
    assert "Input #0, mov,mp4" in body.logs
    assert len(body.logs.splitlines()) > 20
    assert body.exit_code == 69
    assert body.argv[0] == str(FFMPEG)
