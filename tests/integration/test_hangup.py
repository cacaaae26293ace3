"""What SIGHUP means: read again, or the terminal is gone."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

from tests.waiting import wait_until

LISTENER = """
import signal, sys
from ffrtmp.hangup import Hangups

hangups = Hangups()
said = open(sys.argv[1], "a", buffering=1)
signal.signal(signal.SIGHUP, lambda *_: print("stop" if hangups.mean_stop() else "read", file=said))
print("up", file=said)
while True:
    signal.pause()
"""


def listener(said: Path, terminal: int | None) -> subprocess.Popen[bytes]:
    """A process that writes down what each SIGHUP means to it, in a session of its own."""

    def take_terminal() -> None:
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(said)],
        start_new_session=True,
        preexec_fn=take_terminal,
    )


def wait_for(said: Path, *words: str) -> None:
    wait_until(lambda: said.exists() and said.read_text().split() == list(words))


def test_hangup_means_stop_only_where_the_terminal_is_gone(tmp_path: Path) -> None:
    said = tmp_path / "said"
    outside, inside = os.openpty()
    process = listener(said, inside)
    try:
        os.close(inside)
        wait_for(said, "up")
        process.send_signal(signal.SIGHUP)
        wait_for(said, "up", "read")

        os.close(outside)
        wait_for(said, "up", "read", "stop")
    finally:
        process.kill()
        process.wait()


def test_service_without_a_terminal_only_reads_again(tmp_path: Path) -> None:
    said = tmp_path / "said"
    process = listener(said, None)
    try:
        wait_for(said, "up")
        process.send_signal(signal.SIGHUP)
        wait_for(said, "up", "read")
    finally:
        process.kill()
        process.wait()
