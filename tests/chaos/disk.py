"""A small disk of a test's own that can be filled: a tmpfs that nobody else sees."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 12


class SmallDisk:
    """Mounted at ``at``, for commands that begin with ``prefix`` and for no others."""

    def __init__(self, at: Path, holder_pid: int) -> None:
        self.at = at
        enter = ("nsenter", "--preserve-credentials", "--user", "--mount")
        self.prefix = (*enter, f"--target={holder_pid}")
        self._inside = Path(f"/proc/{holder_pid}/root{at}")

    def fill(self) -> None:
        """Leave no room at all."""
        chunk = b"\0" * CHUNK_BYTES
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(chunk)

    def make_room(self) -> None:
        """Take back what filled it."""
        self._ballast.unlink(missing_ok=True)

    def copy_out(self) -> None:
        """Put what lies on it where everybody looks for it."""
        shutil.copytree(self._inside, self.at, dirs_exist_ok=True)

    @property
    def _ballast(self) -> Path:
        return self._inside / "ballast"


@contextlib.contextmanager
def small_disk(at: Path, *, size: str) -> Iterator[SmallDisk]:
    """A disk of ``size`` in a user and mount namespace, which needs neither root nor a clean-up: it
    ends with the process that holds the namespace."""
    at.mkdir()
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && echo mounted && exec sleep infinity'
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(at)],
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"mounted\n":
            raise AssertionError("this host lets its users make no mount namespace")
        yield SmallDisk(at, holder.pid)
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
