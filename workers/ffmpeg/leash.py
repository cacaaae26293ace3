"""A dead man's switch for streams: ``leash.py UNTIL ARGV...``, run as a script.

Runs ARGV and kills it as soon as the host's clock (CLOCK_BOOTTIME, seconds) passes UNTIL, unless
a later UNTIL has come as a line on standard input. So a publisher ends in time even when the
agent that started it is frozen. Ends as ARGV ends: with its code or by its signal, and with
EXIT_EXPIRED where it was killed for the time. Standard library only, to start in milliseconds.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

EXIT_EXPIRED = 75
POLL_SECONDS = 0.1
READ_BYTES = 4096
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run until the child has ended."""
    until = float(sys.argv[1])
    # A handler, not SIG_IGN, which the child would inherit: the whole group gets the signal.
    signal.signal(signal.SIGTERM, lambda *_: None)
    libc = ctypes.CDLL(None)
    child = subprocess.Popen(
        sys.argv[2:],
        stdin=subprocess.DEVNULL,
        close_fds=False,  # what the agent hands over is meant for the child
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
    )
    is_expired = _watch(child, until)
    code = child.wait()
    if is_expired:
        sys.stderr.write("[fatal] the lease of this stream could not be renewed in time\n")
        sys.exit(EXIT_EXPIRED)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _watch(child: "subprocess.Popen[bytes]", until: float) -> bool:
    """True when the time was over before the child."""
    ended = os.pidfd_open(child.pid)
    listened, rest = [0, ended], b""
    while True:
        ready, _, _ = select.select(listened, [], [], POLL_SECONDS)
        if ended in ready:
            return False
        if 0 in ready:
            data = os.read(0, READ_BYTES)
            if not data:
                listened.remove(0)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError):
                    until = max(until, float(line))
        if time.clock_gettime(time.CLOCK_BOOTTIME) > until:
            child.kill()
            return True


if __name__ == "__main__":
    main()
