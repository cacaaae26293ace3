"""How every child process of the agent is born: few rights, no secrets, never orphaned."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_LIBC: Final = ctypes.CDLL(None, use_errno=True)

MINIMAL_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {"LC_ALL": "C", "SVT_LOG": "2", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
)
"""All a media process gets: nothing is inherited (no keys, LD_PRELOAD, FFREPORT, proxies).

SVT_LOG=2 keeps SVT-AV1's banner out of the job's log; it has no option for that. CUDA counts the
fastest GPU first unless it is told to count as NVML does, whose index names the GPU.
"""
NO_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({})
"""Of a child that needs nothing besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What a child is held by from before its program begins, with all that it starts.

    It joins the cgroups whose folders are ``groups``; ``rlimits`` are RLIMIT numbers with
    their values;
    it runs on no other ``cores`` than these, None is any.
    """

    groups: tuple[Path, ...] = ()
    rlimits: tuple[tuple[int, int], ...] = ()
    cores: frozenset[int] | None = None
    niceness: int = 0

    def enter(self) -> None:
        """Put the calling process under it; for a child between fork and exec. OSError."""
        for group in self.groups:
            descriptor = os.open(group / "cgroup.procs", os.O_WRONLY)
            os.write(descriptor, b"0")  # whoever writes it
            os.close(descriptor)
        if self.cores is not None:
            os.sched_setaffinity(0, self.cores)
        if self.niceness:
            os.nice(self.niceness)
        for number, value in self.rlimits:
            _, hard = resource.getrlimit(number)
            own = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (own, own))


UNCONFINED: Final = Confinement()


def dying_with_parent(
    limits: Mapping[int, int] | None = None, *, confinement: Confinement = UNCONFINED
) -> Callable[[], None]:
    """A ``preexec_fn`` that ties the child's life to its parent's and sets resource limits.

    Linux sends the death signal when the *thread* that forked ends, not the process: whoever
    starts a child with this must wait for it in the same thread. ``limits`` maps RLIMIT numbers
    to both soft and hard values; core dumps are always off, and no program it starts gives it
    rights that it has not. What ``confinement`` says is set
    first, and ``limits`` goes on top of it.
    """
    parent = os.getpid()
    wanted = {resource.RLIMIT_CORE: 0, **(limits or {})}

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl: no signal would come
            os._exit(127)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        confinement.enter()
        for number, value in wanted.items():
            resource.setrlimit(number, (value, value))

    return prepare
