"""Disks that a test fills: a small file system of their own where the host lets us mount one."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from tests.chaos.wrapped import wrapped_ffmpeg
from workers.ffmpeg.binary import find_ffmpeg

SIZE_BYTES = 100 << 20
WITHOUT_SPACE = Path("/proc")
"""A file system with no byte free, on every host."""


class Disk(Protocol):
    """``folder`` lies on it; an agent that writes to it has to use this ``ffmpeg``."""

    folder: Path
    ffmpeg: Path

    def fill(self) -> None:
        """Leave no byte free, also for what is being written now."""
        ...

    def free(self) -> None:
        """Give the space back."""
        ...


MakeDisk = Callable[[Path], AbstractContextManager[Disk]]


class SmallDisk:
    """A tmpfs, filled with a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ffmpeg = find_ffmpeg(None)
        self._filler = folder / "filler"

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 20)):
                pass

    def free(self) -> None:
        self._filler.unlink()


class FullDevice:
    """For hosts that mount nothing: ffmpeg writes to /dev/full, and the folder's name leads to a
    file system without space. It waits for ``fill`` where it would otherwise have ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self._roomy, self._is_full = folder / "roomy", folder / "is-full"
        self._roomy.mkdir()
        self.folder.symlink_to(self._roomy)
        self._is_small = folder / "is-small"
        self._is_small.touch()
        to_dev_full = (
            f"if [ -e {self._is_small} ]; then\n"
            f"  while [ ! -e {self._is_full} ]; do sleep 0.05; done\n"
            "  n=$#\n"
            '  for a in "$@"; do\n'
            "    shift; n=$((n-1)); [ $n -eq 0 ] && a=file:/dev/full\n"
            '    set -- "$@" "$a"\n'
            "  done\n"
            "fi"
        )
        self.ffmpeg = wrapped_ffmpeg(folder / "ffmpeg", to_dev_full)

    def fill(self) -> None:
        self._lead_to(WITHOUT_SPACE)
        self._is_full.touch()

    def free(self) -> None:
        self._is_small.unlink()
        self._lead_to(self._roomy)

    def _lead_to(self, target: Path) -> None:
        new = self.folder.with_name("new")
        new.symlink_to(target)
        new.rename(self.folder)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A tmpfs at ``folder``."""
    options = ["-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs"]
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full_device(folder: Path) -> Iterator[Disk]:
    """A stand-in under ``folder``."""
    yield FullDevice(folder)


def may_mount() -> bool:
    """Whether this host lets us mount a file system."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    return os.geteuid() == 0 and bool(capabilities >> 21 & 1)  # CAP_SYS_ADMIN


def disks() -> list[MakeDisk]:
    """Every kind this host has."""
    return [full_device, small_disk] if may_mount() else [full_device]
