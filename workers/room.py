"""How much room the node's disks have, asked so that a dead mount holds nobody up."""

import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from workers.watched import Overdue, watched

MIN_FREE_BYTES = 64 << 20
"""Below this a node takes nothing new: the attempt would end as no_space."""
PATIENCE_SECONDS = 2.0
log = logging.getLogger(__name__)


class Room:
    """The file systems that some folders are on, or will be once they are made."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._unanswered: threading.Thread | None = None

    @property
    def is_enough(self) -> bool:
        """Whether another attempt may start here."""
        free = self.free_bytes()
        return free is not None and free > MIN_FREE_BYTES

    def load(self) -> dict[str, Any]:
        """What a heartbeat says about it."""
        free = self.free_bytes()
        return {"disk_answers": False} if free is None else {"disk_free_bytes": free}

    def free_bytes(self) -> int | None:
        """Room on the fullest of them; None while one does not answer."""
        if self._unanswered is not None and self._unanswered.is_alive():
            return None
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        try:
            return watched(
                "room",
                self._measured,
                is_overdue=lambda: time.monotonic() > give_up_at,
                when_late=lambda: log.warning("the disks answer again"),
            )
        except Overdue as overdue:
            self._unanswered = overdue.thread
            folders = ", ".join(map(str, self._folders))
            log.warning("a disk of %s does not answer; nothing is taken until it does", folders)
        except OSError as error:
            log.warning("%s", error)
        return None

    def _measured(self) -> int:
        return min(shutil.disk_usage(_existing(folder)).free for folder in self._folders)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
