"""Processes that SIGKILL does not end, until they are let go: as if they read from a dead mount."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

PTRACE_SEIZE = 0x4206
PTRACE_O_TRACEEXIT = 0x40
FREEZER = Path("/sys/fs/cgroup/freezer")

Hold = Callable[[int], AbstractContextManager[None]]


@contextlib.contextmanager
def traced(pid: int) -> Iterator[None]:
    """The kernel stops a dying process for its tracer, and this one never answers.

    Needs no rights but to be an ancestor of the process.
    """
    held, let_go = threading.Event(), threading.Event()
    failures: list[str] = []

    def hold() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        if libc.ptrace(PTRACE_SEIZE, pid, None, PTRACE_O_TRACEEXIT) != 0:
            failures.append(os.strerror(ctypes.get_errno()))
        held.set()
        let_go.wait()  # a tracer's end lets go of what it traces

    tracer = threading.Thread(target=hold)
    tracer.start()
    held.wait()
    try:
        assert failures == []
        yield
    finally:
        let_go.set()
        tracer.join()


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Frozen by the first version of cgroups, a process takes no signal at all."""
    group = FREEZER / f"ffrtmp-{os.getpid()}-{pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                (FREEZER / "cgroup.procs").write_text(left)
        group.rmdir()


def holds() -> list[Hold]:
    """Every way this host has."""
    return [traced, frozen] if os.access(FREEZER / "cgroup.procs", os.W_OK) else [traced]
