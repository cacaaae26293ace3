"""What a file or URL holds, found out in a child process: a parser may crash, hang or grow."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from resource import RLIMIT_AS, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC
from typing import Any, Final

from ffrtmp.domain.retry import FailureClass
from workers.box.programs import identity_of
from workers.box.view import EVERYTHING, View
from workers.ffmpeg.child import (
    MINIMAL_ENVIRONMENT,
    NO_ENVIRONMENT,
    UNCONFINED,
    Confinement,
    dying_with_parent,
)
from workers.ffmpeg.facts import AudioFacts, Colour, MediaFacts, SubtitleFacts, VideoFacts
from workers.ffmpeg.inputs import Look
from workers.ffmpeg.process import own_end

MEMORY_LIMIT_BYTES: Final = 4 << 30
_CRASHES: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGXCPU)


class ProbeFailed(Exception):  # noqa: N818
    """The location could not be read as media."""

    def __init__(self, failure_class: FailureClass, message: str) -> None:
        super().__init__(message)
        self.failure_class = failure_class
        self.message = message


def probe(
    location: str,
    *,
    timeout_seconds: float = 30,
    count_frames: bool = False,
    is_own_playlist: bool = False,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
    confinement: Confinement = UNCONFINED,
    view: View = EVERYTHING,
    on_start: Callable[[Callable[[], None]], None] = lambda _kill: None,
) -> MediaFacts:
    """The facts of an absolute path or an http(s) URL; raises ProbeFailed.

    ``on_start`` is given what ends the probe early, from any thread. Of ``confinement`` the
    cgroups hold it and the limit of processes, beside its own limits.

    ``view`` is what the child sees.
    ``environment`` is the child's beside what every child gets: the way to the gate.
    ``count_frames`` reads the file to its end: for outputs. Otherwise only the beginning is
    read and, of a local file, the end, which shows a file that breaks off.
    ``is_own_playlist`` reads HLS that this node has made, to its end; sources never are playlists.
    """
    cpu_seconds = max(1, int(timeout_seconds) + 1)
    limits = {
        RLIMIT_AS: MEMORY_LIMIT_BYTES,
        RLIMIT_CPU: cpu_seconds,
        RLIMIT_FSIZE: 0,
        RLIMIT_NOFILE: 64,
    }
    limits |= {number: value for number, value in confinement.rlimits if number == RLIMIT_NPROC}
    mode = Look.COUNT if count_frames else Look.BRIEF
    if is_own_playlist:
        mode = Look.OWN_PLAYLIST
    words = (sys.executable, "-I", "-m", "workers.ffmpeg.probe_child", mode, location)
    command = view.python(
        (*words, identity_of(view.user)), environment={**MINIMAL_ENVIRONMENT, **environment}
    )
    with subprocess.Popen(
        command.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(command.environment),
        pass_fds=command.descriptors,
        start_new_session=True,
        preexec_fn=dying_with_parent(limits, confinement=Confinement(groups=confinement.groups)),
    ) as child:
        on_start(partial(_end, child))
        try:
            said, complained = child.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise ProbeFailed(
                FailureClass.CONNECTION, f"{location}: not read within {timeout_seconds:g} s"
            ) from error
        finally:
            _end(child)
    code = own_end(child.returncode) if command.is_minded else child.returncode
    if code < 0:
        raise _crashed(location, -code)
    try:
        answer: dict[str, Any] = json.loads(said)
    except ValueError as error:
        last = complained.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ProbeFailed(FailureClass.AGENT, f"the probe failed: {''.join(last)}") from error
    if "failure" in answer:
        message = view.names.outside(answer["failure"]["message"])
        raise ProbeFailed(FailureClass(answer["failure"]["class"]), message)
    return _facts(answer["facts"])


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill its whole group, unless it has ended and been read: a box that has only just begun
    waits for whoever minds it, for ever where that is killed alone."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _crashed(location: str, number: int) -> ProbeFailed:
    if number in _CRASHES:
        return ProbeFailed(
            FailureClass.BAD_INPUT,
            f"{location}: reading it crashes the parser ({signal.Signals(number).name})",
        )
    return ProbeFailed(FailureClass.KILLED, f"the probe was ended by signal {number}")


def _facts(raw: dict[str, Any]) -> MediaFacts:
    video = {**raw["video"], **raw["first_frame"]}
    video["fps"] = Fraction(video["fps"]) if video["fps"] else None
    video["sample_aspect"] = Fraction(video["sample_aspect"])
    video["colour"] = Colour(**video["colour"])
    return MediaFacts(
        container=raw["container"],
        duration_seconds=raw["duration_seconds"],
        size_bytes=raw["size_bytes"],
        video=VideoFacts(**video),
        has_one_clock=raw["has_one_clock"],
        audio=tuple(AudioFacts(**track) for track in raw["audio"]),
        subtitles=tuple(SubtitleFacts(**track) for track in raw["subtitles"]),
    )
