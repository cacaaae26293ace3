"""How every child process of the agent is born: few rights, no secrets, never orphaned."""

import ctypes
import os
import resource
import signal
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
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


def dying_with_parent(limits: Mapping[int, int] | None = None) -> Callable[[], None]:
    """A ``preexec_fn`` that ties the child's life to its parent's and sets resource limits.

    Linux sends the death signal when the *thread* that forked ends, not the process: whoever
    starts a child with this must wait for it in the same thread. ``limits`` maps RLIMIT numbers
    to both soft and hard values; core dumps are always off.
    """
    parent = os.getpid()
    wanted = {resource.RLIMIT_CORE: 0, **(limits or {})}

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl: no signal would come
            os._exit(127)
        for number, value in wanted.items():
            resource.setrlimit(number, (value, value))

    return prepare
