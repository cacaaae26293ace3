"""Where an attempt reads and writes, checked before anything runs."""

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ffrtmp.domain.locations import is_local
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from workers.addresses import Networks
from workers.digests import known_hash
from workers.errors import AttemptFailed
from workers.files import remove
from workers.sources import FileState, check_unchanged, find_source, state_of

PART_SUFFIX = ".part"
MAX_NAME_BYTES = 255
MAX_ATTEMPT_DIGITS = 10
REFUSALS = {
    errno.ENOSPC: FailureClass.NO_SPACE,
    errno.EDQUOT: FailureClass.NO_SPACE,
    errno.EROFS: FailureClass.OUTPUT_REFUSED,
    errno.EACCES: FailureClass.OUTPUT_REFUSED,
    errno.EPERM: FailureClass.OUTPUT_REFUSED,
    errno.ENOTDIR: FailureClass.OUTPUT_REFUSED,
    errno.EISDIR: FailureClass.OUTPUT_REFUSED,
    errno.ENAMETOOLONG: FailureClass.OUTPUT_REFUSED,
    errno.ELOOP: FailureClass.OUTPUT_REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The places of one attempt.

    ``source`` is None for a test source; ``source_state`` is a local one's when it was checked.
    Where several files come out, ``destination`` and ``temporary`` are folders.
    ``adopted`` is the hash of what lies at the destination and an earlier attempt of this job
    committed: there is nothing left to encode.
    """

    source: str | None
    source_state: FileState | None = None
    destination: Path
    temporary: Path
    adopted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders a node works in, and what it may read from.

    Local inputs lie under ``media_roots``, remote ones at public addresses or in
    ``allow_networks``.
    """

    output_folder: Path
    media_roots: tuple[Path, ...] = ()
    allow_networks: Networks = ()


def stage(claim: ClaimAnswer, places: Places) -> Staged:
    """Check input and output; AttemptFailed names what is wrong."""
    source = find_source(claim.spec.input, places.media_roots)
    destination = _destination(claim, places.output_folder)
    _refuse_odd_destination(destination, source, makes_folder=claim.spec.makes_folder)
    return Staged(
        source=source,
        source_state=state_of(source),
        destination=destination,
        temporary=part_path(destination, claim.job_id, claim.attempt),
        adopted=_adopted(destination, claim),
    )


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


def failure_of(error: OSError, *, default: FailureClass = FailureClass.AGENT) -> AttemptFailed:
    """The failure an operating system error at the output means."""
    return AttemptFailed(REFUSALS.get(error.errno or 0, default), str(error))


def make_temporary_folder(temporary: Path) -> None:
    """An empty folder for several outputs; AttemptFailed where its name is taken."""
    try:
        temporary.mkdir()
    except FileExistsError as error:
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"{temporary} is there already") from error


def _destination(claim: ClaimAnswer, output_folder: Path) -> Path:
    named = claim.spec.output or _usual_name(claim)
    path = output_folder.absolute() / named
    if ".." in path.parts:
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {named} has '..'")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.parent.resolve() / path.name
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error


def _usual_name(claim: ClaimAnswer) -> str:
    name = f"{claim.scenario}-{claim.job_id}"
    return name if claim.spec.makes_folder else f"{name}.{claim.spec.container}"


def _refuse_odd_destination(destination: Path, source: str | None, *, makes_folder: bool) -> None:
    try:
        mode = destination.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error
    if not (stat.S_ISDIR(mode) if makes_folder else stat.S_ISREG(mode)):
        kind = "folder" if makes_folder else "file"
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {destination} is not a {kind}")
    if source is not None and is_local(source) and _holds(destination, Path(source)):
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {destination} is the input")


def _holds(destination: Path, source: Path) -> bool:
    return destination.samefile(source) or source.is_relative_to(destination)


def _adopted(destination: Path, claim: ClaimAnswer) -> str | None:
    if not destination.exists():
        return None
    found = known_hash(destination, claim.committed_sha256)
    if found is not None or claim.spec.overwrite:
        return found
    raise AttemptFailed(
        FailureClass.OUTPUT_EXISTS, f"output {destination} exists; overwrite was not asked for"
    )
