"""What must survive the agent process: one folder with one journal for each attempt."""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ffrtmp.schemas import ResultRequest
from workers.files import sync_folder, write_durably
from workers.remote.items import Upload

JOURNAL_FILE = "journal.json"
DAMAGED_SUFFIX = ".damaged"
log = logging.getLogger(__name__)


class Phase(StrEnum):
    """How far an attempt is on disk.

    running    nothing of it survives its process: the next one removes what is left.
    encoded    the temporary file is whole, verified and on disk; waits for the commit.
    committed  the master accepted it; waits for its name.
    published  it has its name; waits for the report to be answered.
    failed     it ended without a file; waits for the report to be answered.
    """

    RUNNING = "running"
    ENCODED = "encoded"
    COMMITTED = "committed"
    PUBLISHED = "published"
    FAILED = "failed"


class Journal(BaseModel):
    """One attempt as the disk knows it; changed only by writing a new one.

    ``location`` is the URL of an output that is sent away, and ``upload`` how far that is.
    ``temporary`` is None where an earlier attempt's own file was adopted: nothing is to be
    published. ``inode`` is its own, and it lies below ``root``. ``result`` is the report to send,
    from phase encoded on.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    job_id: str
    attempt: int
    lease: str
    phase: Phase
    root: Path | None = None
    destination: Path | None = None
    temporary: Path | None = None
    inode: int | None = None
    overwrite: bool = False
    committed_sha256: tuple[str, ...] = ()
    pid: int | None = None
    start_identity: str | None = None
    sha256: str | None = None
    size: int | None = None
    location: str | None = None
    upload: Upload = Upload()
    result: ResultRequest | None = None
    trace_parent: str | None = None

    @property
    def is_ended(self) -> bool:
        """True where only the report is left to do."""
        return self.phase in (Phase.PUBLISHED, Phase.FAILED)

    @property
    def is_finished(self) -> bool:
        """True where the work is done and only the master must hear of it."""
        return self.phase is not Phase.RUNNING


class Spool:
    """The journals under one folder, ``<job>-<attempt>/journal.json`` each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self, journal: Journal) -> None:
        """Put this state on disk; OSError where the disk cannot take it."""
        folder = self._folder_of(journal)
        if not folder.exists():
            folder.mkdir(mode=0o700)
            sync_folder(self._folder)
        write_durably(folder / JOURNAL_FILE, journal.model_dump_json(exclude_none=True))

    def input_folder(self, journal: Journal) -> Path:
        """Where the attempt's input lies, alone; removed with the attempt at the latest."""
        return self._folder_of(journal) / "input"

    @contextmanager
    def scratch_folder(self, journal: Journal) -> Iterator[Path]:
        """An empty folder for what the attempt's tools write beside its output, such as logs.

        Removed at the end of the block, and at the latest with the attempt.
        """
        folder = self._folder_of(journal) / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, journal: Journal) -> None:
        """Forget an attempt."""
        shutil.rmtree(self._folder_of(journal), ignore_errors=True)

    def journals(self) -> list[Journal]:
        """Every attempt on disk; a damaged journal is set aside under another name and logged."""
        found = []
        for folder in sorted(self._folder.iterdir()):
            if folder.is_dir() and folder.suffix != DAMAGED_SUFFIX:
                journal = self._read(folder)
                if journal is not None:
                    found.append(journal)
        return found

    def _read(self, folder: Path) -> Journal | None:
        try:
            return Journal.model_validate_json((folder / JOURNAL_FILE).read_bytes())
        except FileNotFoundError:
            shutil.rmtree(folder, ignore_errors=True)
        except (ValidationError, OSError):
            log.exception("%s is damaged and set aside", folder)
            folder.rename(folder.with_name(folder.name + DAMAGED_SUFFIX))
        return None

    def _folder_of(self, journal: Journal) -> Path:
        if re.fullmatch(r"[0-9A-Za-z-]{1,64}", journal.job_id) is None:
            raise ValueError(f"{journal.job_id!r} is not a job id")
        return self._folder / f"{journal.job_id}-{journal.attempt}"
