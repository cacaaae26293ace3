"""A look at what an encode has made: whether it is what was planned, and whether it decodes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ffrtmp.domain.retry import FailureClass
from workers.digests import files_in, size_of
from workers.errors import AttemptFailed
from workers.ffmpeg.decoding import decode, undecoded
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.failures import classify
from workers.ffmpeg.folders import MASTER_PLAYLIST, file_name
from workers.ffmpeg.hls import faults
from workers.ffmpeg.inputs import Access, access, own_playlist
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.probe import ProbeFailed
from workers.ffmpeg.process import FfmpegProcess
from workers.ffmpeg.target import CPU
from workers.ffmpeg.verify import differences
from workers.running import PROBE_BASE_SECONDS, Encode, Running, check_not_stopped

PROBE_BYTES_PER_SECOND = 10_000_000
VERIFYING = "verifying"
DECODING = "decoding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The finished file of one picture, or its HLS playlist, and what a probe says of it.

    Of HLS, where sound stands in playlists of its own, ``facts`` have that sound, too.
    """

    picture: PicturePlan
    path: Path
    facts: MediaFacts
    is_playlist: bool

    @property
    def access(self) -> Access:
        """How ffmpeg opens it."""
        return own_playlist(str(self.path)) if self.is_playlist else access(str(self.path))


def inspect(plan: Plan, destination: Path, running: Running) -> tuple[Made, ...]:
    """What was made, the largest picture first; AttemptFailed where it is not what was planned."""
    if not plan.makes_folder:
        (picture,) = plan.pictures
        return (_inspected(plan, picture, destination, running, None),)
    if plan.is_hls:
        _raise_for(list(_playlist_faults(plan, destination)), running)
    heard = None
    if plan.is_hls and plan.sounds:
        heard = _probed(destination / MASTER_PLAYLIST, running, is_playlist=True)
    made = [
        _inspected(plan, picture, destination / file_name(plan, picture), running, heard)
        for picture in plan.pictures
    ]
    return tuple(sorted(made, key=lambda one: -one.picture.pixels))


def bits_per_second(size_bytes: int, seconds: float | None) -> int | None:
    """The rate of a file, sound and container included; None where its length is not known."""
    return round(size_bytes * 8 / seconds) if seconds else None


def check_decodes(
    made: Made,
    running: Running,
    *,
    ffmpeg: Path,
    threads: int,
    timeout_seconds: float | None,
    asked_seconds: float | None,
) -> None:
    """AttemptFailed where some of it does not decode, or not in time.

    ``timeout_seconds`` are left of the ``asked_seconds`` that the whole attempt has.
    """
    beside = running.beside()
    process = FfmpegProcess(
        decode(made.access, ffmpeg=ffmpeg, threads=threads), timeout_seconds=timeout_seconds
    )
    end = beside.run(process, made.facts.duration_seconds, phase=DECODING, fraction=1.0)
    check_not_stopped(running.held)
    if end.timed_out or end.signal is not None:
        beside.require_success(end, CPU, timeout_seconds=asked_seconds)
    said = beside.encode.log.text()
    running.encode.log.append(said)
    wrong = undecoded(
        end.exit_code, said, frames=beside.encode.frames, expected=made.facts.video.frames
    )
    if wrong is not None:
        raise AttemptFailed(FailureClass.OUTPUT_WRONG, wrong, exit_code=end.exit_code)


def _inspected(
    plan: Plan, picture: PicturePlan, path: Path, running: Running, heard: MediaFacts | None
) -> Made:
    facts = _probed(path, running, is_playlist=plan.is_hls)
    if heard is not None:
        facts = replace(facts, audio=heard.audio)
    wrong = differences(plan, picture, facts)
    named = [f"{picture.name}: {what}" for what in wrong] if plan.makes_folder else wrong
    _raise_for(named, running)
    return Made(picture=picture, path=path, facts=facts, is_playlist=plan.is_hls)


def _probed(path: Path, running: Running, *, is_playlist: bool) -> MediaFacts:
    whole = path.parent if is_playlist else path
    seconds = PROBE_BASE_SECONDS + size_of(whole) / PROBE_BYTES_PER_SECOND
    try:
        facts = running.probed(
            str(path),
            VERIFYING,
            seconds=seconds,
            fraction=1.0,
            count_frames=True,
            is_own_playlist=is_playlist,
        )
    except ProbeFailed as error:
        what = f"the output cannot be read: {error.message}"
        raise _wrong(what, running.encode) from error
    check_not_stopped(running.held)
    return facts


def _playlist_faults(plan: Plan, folder: Path) -> Iterator[str]:
    sizes = {name: (folder / name).stat().st_size for name in files_in(folder)}
    texts = {name: (folder / name).read_text() for name in sizes if name.endswith(".m3u8")}
    yield from faults(plan, texts, sizes)


def _raise_for(wrong: list[str], running: Running) -> None:
    if wrong:
        raise _wrong("; ".join(wrong), running.encode)


def _wrong(what: str, encode: Encode) -> AttemptFailed:
    """ffmpeg also ends with 0 after an input that broke off: then its log names the class."""
    failure = classify(exit_code=0, signal=None, stderr=encode.log.text())
    if failure.failure_class is FailureClass.OUTPUT_WRONG:
        return AttemptFailed(FailureClass.OUTPUT_WRONG, what, exit_code=0)
    return AttemptFailed(failure.failure_class, f"{failure.message}; {what}", exit_code=0)
