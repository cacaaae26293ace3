"""Where a local output goes: below an output root, and never over what is not this job's."""

import errno
import stat
from pathlib import Path
from typing import Final

from ffrtmp.domain.locations import is_local
from ffrtmp.domain.media import OutputMode
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import ClaimAnswer
from workers.beneath import HeldFolder, open_beneath
from workers.digests import OddFolder, files_in, known_hash, size_of
from workers.errors import AttemptFailed
from workers.ffmpeg.folders import is_of_hls
from workers.remote.items import Whole

REFUSALS: Final = {
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


def failure_of(error: OSError, *, default: FailureClass = FailureClass.AGENT) -> AttemptFailed:
    """The failure an operating system error at the output means."""
    return AttemptFailed(REFUSALS.get(error.errno or 0, default), str(error))


def find_destination(
    named: str, output_folder: Path, output_roots: tuple[Path, ...]
) -> tuple[Path, Path]:
    """The output's path with the links of its folder resolved, and the root it lies below.

    A relative one is meant from ``output_folder``, which is a root as well. AttemptFailed says
    what is wrong; a path outside the roots is refused whether there is anything or not.
    """
    path = output_folder / named
    if ".." in path.parts:
        raise _refused(named, "has '..'")
    try:
        folder = path.parent.resolve()
        usual, *others = [root.resolve() for root in (output_folder, *output_roots)]
        if folder.is_relative_to(usual):
            usual.mkdir(parents=True, exist_ok=True)
            return folder / path.name, usual
        for root in others:
            if folder.is_relative_to(root):
                return folder / path.name, root
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error
    except RuntimeError as error:  # a loop of links
        raise _refused(named, f"cannot be reached: {error}") from error
    raise _refused(named, "is outside this node's output roots: --output-root of its agent")


def hold(destination: Path, root: Path) -> HeldFolder:
    """The destination's folder, made where it is missing; AttemptFailed where it is refused."""
    try:
        return open_beneath(root, destination.parent, creates=True)
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error


def check_destination(
    destination: Path, folder: HeldFolder, spec: JobSpec, source: str | None
) -> None:
    """AttemptFailed where the name belongs to something no output may replace."""
    found = folder.view / destination.name
    try:
        mode = found.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise failure_of(error, default=FailureClass.OUTPUT_REFUSED) from error
    if not (stat.S_ISDIR(mode) if spec.makes_folder else stat.S_ISREG(mode)):
        raise _refused(destination, f"is not a {'folder' if spec.makes_folder else 'file'}")
    if spec.makes_folder and spec.overwrite:
        _refuse_strangers(destination, found, spec)
    if source is not None and is_local(source):
        if found.samefile(source):
            raise _refused(destination, "is the input")
        if Path(source).is_relative_to(destination):
            raise _refused(destination, "holds the input")


def _refuse_strangers(destination: Path, folder: Path, spec: JobSpec) -> None:
    """A folder is replaced as a whole, so it may hold nothing but what such a job makes."""
    try:
        names = files_in(folder)
    except OddFolder as odd:
        raise _refused(destination, f"cannot be replaced: {odd}") from odd
    for name in names:
        if not _is_made(spec, name):
            raise _refused(destination, f"holds {name}, which this job does not make")


def _is_made(spec: JobSpec, name: str) -> bool:
    if spec.output_mode is OutputMode.HLS:
        return is_of_hls(name)
    return name in {f"{rendition.name}.{spec.container}" for rendition in spec.renditions}


def adopted(destination: Path, folder: HeldFolder, claim: ClaimAnswer) -> Whole | None:
    """What an earlier attempt of this job published there; None where the way is free.

    AttemptFailed where somebody else's file is there and is to stay.
    """
    path = folder.view / destination.name
    if not path.exists():
        return None
    found = known_hash(path, claim.committed_sha256)
    if found is not None:
        return Whole(sha256=found, size=size_of(path))
    if claim.spec.overwrite:
        return None
    raise AttemptFailed(
        FailureClass.OUTPUT_EXISTS, f"output {destination} exists; overwrite was not asked for"
    )


def _refused(output: object, why: str) -> AttemptFailed:
    return AttemptFailed(FailureClass.OUTPUT_REFUSED, f"output {output} {why}")
