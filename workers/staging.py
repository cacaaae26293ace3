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
from workers.errors import AttemptFailed
from workers.files import sha256_of
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
    ``adopted`` is the hash of a file at the destination
    that an earlier attempt of this job committed: there is nothing left to encode.
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
    _refuse_odd_destination(destination, source)
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
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def failure_of(error: OSError, *, default: FailureClass = FailureClass.AGENT) -> AttemptFailed:
    """The failure an operating system error at the output means."""
    return AttemptFailed(REFUSALS.get(error.errno or 0, default), str(error))


def _destination(claim: ClaimAnswer, output_folder: Path) -> Path:
    named = claim.spec.output or f"{claim.scenario}-{claim.job_id}.{claim.spec.container}"
    path = output_folder.absolute() / named
    if ".." in path.parts:
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {named} has '..'")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.parent.resolve() / path.name
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error


def _refuse_odd_destination(destination: Path, source: str | None) -> None:
    try:
        mode = destination.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error
    if not stat.S_ISREG(mode):
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {destination} is not a file")
    if source is not None and is_local(source) and destination.samefile(source):
        raise AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {destination} is the input")


def _adopted(destination: Path, claim: ClaimAnswer) -> str | None:
    if not destination.exists():
        return None
    if claim.committed_sha256:
        found = sha256_of(destination)
        if found in claim.committed_sha256:
            return found
    if claim.spec.overwrite:
        return None
    raise AttemptFailed(
        FailureClass.OUTPUT_EXISTS, f"output {destination} exists; overwrite was not asked for"
    )
