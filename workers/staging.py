"""Where an attempt reads and writes, checked before anything runs."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ffrtmp.domain.locations import is_local, path_of
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from workers.addresses import Networks
from workers.beneath import HeldFolder
from workers.destinations import adopted, check_destination, find_destination, hold
from workers.errors import AttemptFailed
from workers.files import remove
from workers.remote.items import Whole
from workers.remote.stores import Stores
from workers.sources import FileState, check_unchanged, find_source, state_of, tame

PART_SUFFIX = ".part"
MAX_NAME_BYTES = 255
MAX_ATTEMPT_DIGITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The places of one attempt; ``folder`` is held until the attempt has been encoded.

    ``source`` is None for a test source; ``source_state`` is a local one's when it was checked.
    ``temporary`` is a path through the held folder, for whoever writes or reads the output
    before it is published; ``part`` is its name for those who come later, below ``root``.
    Where several files come out, all these are folders.
    ``location`` is the URL the output is sent to; then its destination is only a name beside
    which it is kept until then.
    ``adopted`` is what lies at the destination and an earlier attempt of this job committed:
    there is nothing left to encode.
    """

    source: str | None
    source_state: FileState | None = None
    root: Path
    folder: HeldFolder
    destination: Path
    temporary: Path
    location: str | None = None
    adopted: Whole | None = None

    @property
    def shown(self) -> str:
        """Where the output is, or will be."""
        return self.location or str(self.destination)

    @property
    def published(self) -> Path:
        """The destination, reached through the held folder."""
        return self.folder.view / self.destination.name

    @property
    def part(self) -> Path:
        """The temporary file's own path."""
        return self.destination.with_name(self.temporary.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders a node works in, and what it may read from and write to.

    Local inputs lie under ``media_roots``, remote ones at public addresses or in
    ``allow_networks``. Local outputs lie under ``output_folder`` or one of ``output_roots``.
    """

    output_folder: Path
    media_roots: tuple[Path, ...] = ()
    output_roots: tuple[Path, ...] = ()
    allow_networks: Networks = ()


def stage(claim: ClaimAnswer, places: Places, stores: Stores) -> Staged:
    """Check input and output; AttemptFailed names what is wrong."""
    spec = claim.spec
    source = find_source(spec.input, places.media_roots)
    location = spec.output if spec.output and not is_local(spec.output) else None
    named = _local_name(location) if location else spec.output or _usual_name(claim)
    destination, root = find_destination(named, places.output_folder, places.output_roots)
    folder = hold(destination, root)
    try:
        if location is not None:
            found = stores.adopted(claim, location)
        else:
            check_destination(destination, folder, spec, source)
            found = adopted(destination, folder, claim)
        return Staged(
            source=source,
            source_state=state_of(source),
            root=root,
            folder=folder,
            destination=destination,
            temporary=part_path(folder.view / destination.name, claim.job_id, claim.attempt),
            location=location,
            adopted=found,
        )
    except BaseException:
        folder.close()
        raise


def check_source_unchanged(staged: Staged) -> None:
    """AttemptFailed where a local input is not the file any more that it was when staged."""
    if staged.source is not None and staged.source_state is not None:
        check_unchanged(staged.source, staged.source_state)


def part_path(destination: Path, job_id: str, attempt: int) -> Path:
    """The attempt's own name beside its destination, so that publishing is one rename."""
    return destination.with_name(f"{_part_start(destination, job_id)}{attempt}{PART_SUFFIX}")


def _part_start(destination: Path, job_id: str) -> str:
    """A name as long as a file system takes leaves no room for more: then only its beginning."""
    room = MAX_NAME_BYTES - len(f"..{job_id}.{PART_SUFFIX}") - MAX_ATTEMPT_DIGITS
    beginning = os.fsencode(destination.name)[:room].decode("utf-8", "ignore")
    return f".{beginning}.{job_id}."


def remove_older_parts(destination: Path, job_id: str, attempt: int) -> int:
    """Delete what earlier attempts of the same job left beside the destination."""
    mine = re.compile(re.escape(_part_start(destination, job_id)) + r"(\d+)\.part")
    removed = 0
    for path in destination.parent.iterdir():
        match = mine.fullmatch(path.name)
        if match is not None and int(match[1]) < attempt:
            remove(path)
            removed += 1
    return removed


def make_temporary(staged: Staged, *, is_folder: bool) -> None:
    """An empty file or folder under the temporary name; AttemptFailed where that is taken.

    So nothing that somebody else put there is written to.
    """
    try:
        if is_folder:
            staged.temporary.mkdir()
        else:
            staged.temporary.touch(exist_ok=False)
    except FileExistsError as error:
        raise AttemptFailed(
            FailureClass.OUTPUT_REFUSED, f"{staged.part} is there already"
        ) from error


def _local_name(location: str) -> str:
    return tame(PurePosixPath(path_of(location)).name)


def _usual_name(claim: ClaimAnswer) -> str:
    name = f"{claim.scenario}-{claim.job_id}"
    return name if claim.spec.makes_folder else f"{name}.{claim.spec.container}"
