"""What an attempt writes and what its disk still has, looked at while it runs."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed

RESERVE_BYTES: Final = 16 << 20
"""Left for journals and logs of the node, and for whatever else writes to that disk."""
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """At one moment; ``free_bytes`` None where the file system says nothing of its size."""

    written_bytes: int
    free_bytes: int | None


def breach(use: DiskUse, *, max_disk_mb: int | None) -> AttemptFailed | None:
    """What must end an attempt that has written so much; None where it may go on."""
    if max_disk_mb is not None and use.written_bytes > max_disk_mb * MIB:
        return wrote_too_much(max_disk_mb)
    if use.free_bytes is not None and use.free_bytes < RESERVE_BYTES:
        return AttemptFailed(
            FailureClass.NO_SPACE,
            f"the disk of the output has {use.free_bytes // MIB} MiB left; the last"
            f" {RESERVE_BYTES // MIB} MiB are not for outputs",
        )
    return None


def no_room(expected_bytes: int, free_bytes: int | None) -> AttemptFailed | None:
    """Why an output of about that size is not begun; None where it fits."""
    if free_bytes is None or expected_bytes <= free_bytes - RESERVE_BYTES:
        return None
    return AttemptFailed(
        FailureClass.NO_SPACE,
        f"the output is going to have {expected_bytes // MIB} MiB, and its disk has"
        f" {free_bytes // MIB} MiB left",
    )


def wrote_too_much(max_disk_mb: int) -> AttemptFailed:
    """The failure of an attempt that wrote more than it may."""
    return AttemptFailed(
        FailureClass.LIMIT_EXCEEDED,
        f"wrote more than the {max_disk_mb} MB it may (max_disk_mb)",
    )


class DiskWatch:
    """Looks at ``written``, files or folders that need not be there yet, while processes run.

    The disk whose room counts is that of ``output``; None where nothing is kept of what is made.
    """

    def __init__(self, *, output: Path | None, scratch: Path, max_disk_mb: int | None) -> None:
        self._output = output
        self._written = (scratch,) if output is None else (output, scratch)
        self._max_disk_mb = max_disk_mb
        self._found: AttemptFailed | None = None

    def look(self) -> AttemptFailed | None:
        """What must end the attempt, found now or before, if anything."""
        self._found = self._found or self._breach()
        return self._found

    def free_bytes(self) -> int | None:
        """Room on the disk of the output; None where there is none, or nobody knows."""
        return None if self._output is None else _free(self._output.parent)

    def _breach(self) -> AttemptFailed | None:
        use = DiskUse(
            written_bytes=sum(map(_bytes_in, self._written)) if self._max_disk_mb else 0,
            free_bytes=self.free_bytes(),
        )
        return breach(use, max_disk_mb=self._max_disk_mb)


def _bytes_in(path: Path) -> int:
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return found.st_size
        with os.scandir(path) as entries:
            return sum(_bytes_in(Path(entry.path)) for entry in entries)
    except OSError:  # not there yet, or not any more
        return 0


def _free(folder: Path) -> int | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return usage.free if usage.total else None
