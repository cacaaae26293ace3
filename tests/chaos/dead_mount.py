"""A mount whose server never answers: whoever looks at it waits."""

import contextlib
import ctypes
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.chaos.disks import may_mount

FUSE = Path("/dev/fuse")
FUSE_INIT = 26
REQUEST_BYTES = 1 << 17
REQUEST = struct.Struct("=IIQ")  # length, operation, number
ANSWER = struct.Struct("=IiQ")  # length, error, number
HELLO = struct.Struct("=IIIIHHIIHHI28x")
MNT_DETACH = 2

MakeDeadMount = Callable[[Path], AbstractContextManager[None]]


@contextlib.contextmanager
def over(folder: Path) -> Iterator[None]:
    """Mounted over ``folder`` until it is left; then those who wait get an error, and the folder
    is as it was. Nothing in this process may look at it meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)
    server = os.open(FUSE, os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"dead", bytes(folder), b"fuse", 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"cannot mount over {folder}")
    threading.Thread(target=_serve, args=(server,), daemon=True).start()
    try:
        yield
    finally:
        libc.umount2(bytes(folder), MNT_DETACH)
        os.close(server)


def _serve(server: int) -> None:
    """Answer the greeting, and take every other request without a word."""
    with contextlib.suppress(OSError):
        while True:
            request = os.read(server, REQUEST_BYTES)
            _, operation, number = REQUEST.unpack_from(request)
            if operation == FUSE_INIT:
                hello = HELLO.pack(7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 32, 0, 0)
                os.write(server, ANSWER.pack(ANSWER.size + len(hello), 0, number) + hello)


def dead_mounts() -> list[MakeDeadMount]:
    """Every kind this host has."""
    return [over] if may_mount() and FUSE.exists() else []
