"""A small disk of a test's own that can be filled: a tmpfs that nobody else sees."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 12


class SmallDisk:
    """``folder`` lies on the disk, for every process of this user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no room at all."""
        chunk = b"\0" * CHUNK_BYTES
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(chunk)

    @property
    def is_full(self) -> bool:
        """Whether a file cannot grow here."""
        probe = self.folder / "probe"
        try:
            probe.write_bytes(b"\0" * CHUNK_BYTES)
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            probe.unlink(missing_ok=True)
        return False

    def make_room(self) -> None:
        """Take back what filled it."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextlib.contextmanager
def small_disk(at: Path, *, size: str) -> Iterator[SmallDisk]:
    """A disk of ``size`` mounted at ``at`` in a user and mount namespace, so that neither root nor
    a clean-up is needed: it ends with the process that holds the namespace."""
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
        yield SmallDisk(Path(f"/proc/{holder.pid}/root{at}"))
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
