"""Running a program that may hang in its driver; one that cannot even be killed is left behind."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from typing import Final

from workers.box.view import Command
from workers.ffmpeg.child import dying_with_parent
from workers.ffmpeg.process import own_end

_KILL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: ``return_code`` is None where it took too long, -N after signal N."""

    return_code: int | None
    stdout: str = ""
    stderr: str = ""


def run_bounded(command: Command, *, timeout_seconds: float) -> Ended:
    """Run it in a process group of its own; OSError where it cannot be started.

    Returns within ``timeout_seconds`` and a second more, whatever the program does.
    """
    child = subprocess.Popen(
        command.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(command.environment),
        cwd=command.working_directory,
        pass_fds=command.descriptors,
        start_new_session=True,
        preexec_fn=dying_with_parent(),
        text=True,
        errors="replace",
    )
    try:
        stdout, stderr = child.communicate(timeout=timeout_seconds)
        code = own_end(child.returncode) if command.is_minded else child.returncode
        return Ended(return_code=code, stdout=stdout, stderr=stderr)
    except subprocess.TimeoutExpired:
        return Ended(return_code=None)
    finally:
        _end(child)


def _end(child: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    # A process that hangs inside the kernel outlives SIGKILL: Popen's own exit would wait for it.
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=_KILL_SECONDS)
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
