"""The places outside of a node that outputs are sent to and inputs are brought from."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ffrtmp.domain.locations import Kind, kind_of, path_of
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from workers.addresses import Networks
from workers.errors import AttemptFailed, OutputAway
from workers.remote.http import HttpStore
from workers.remote.items import Upload, Whole, shown
from workers.remote.s3 import AWS, S3Access, fetch, output_errors
from workers.remote.s3_upload import S3Store
from workers.remote.shipping import Store
from workers.room import MIN_FREE_BYTES
from workers.sources import tame

log = logging.getLogger(__name__)


class Stores:
    """Opens the place of an output by the kind of its URL."""

    def __init__(self, *, allow_networks: Networks = (), s3: S3Access = AWS) -> None:
        self._allow_networks = allow_networks
        self._s3 = s3

    def adopted(self, claim: ClaimAnswer, location: str) -> Whole | None:
        """What an earlier attempt of this job has sent there; None where the way seems free.

        AttemptFailed where somebody else's is there and is to stay, or nothing can be sent there.
        """
        spec = claim.spec
        try:
            with self.opened(location) as store:
                found = store.look(location, is_folder=spec.makes_folder)
        except OutputAway as away:
            raise AttemptFailed(FailureClass.CONNECTION, str(away)) from away
        if found is None:
            return None
        if found.whole is not None and found.whole.sha256 in claim.committed_sha256:
            return found.whole
        if spec.overwrite:
            return None
        raise AttemptFailed(
            FailureClass.OUTPUT_EXISTS,
            f"output {shown(location)} exists; overwrite was not asked for",
        )

    def abandon(self, location: str, upload: Upload) -> None:
        """Leave nothing of what was begun and will not be sent to its end."""
        try:
            with self.opened(location) as store:
                store.abandon(location, upload)
        except (AttemptFailed, OutputAway) as error:
            log.warning("something of %s may be left: %s", shown(location), error)

    def fetch(self, location: str, folder: Path, moved: Callable[[int], None]) -> Path:
        """Bring an s3 input into a folder and say where it lies; AttemptFailed, and whatever
        ``moved`` raises, which hears how many bytes are there."""
        target = folder / tame(PurePosixPath(path_of(location)).name)
        room = shutil.disk_usage(folder).free - MIN_FREE_BYTES
        fetch(self._s3, location, target, moved=moved, room_bytes=room)
        return target

    @contextmanager
    def opened(self, location: str) -> Iterator[Store]:
        """Where this output goes; AttemptFailed where this node sends nothing like that."""
        match kind_of(location):
            case Kind.HTTP:
                with HttpStore(self._allow_networks) as store:
                    yield store
            case Kind.S3:
                with output_errors(location):
                    objects = S3Store(self._s3)
                with objects as store:
                    yield store
            case _:
                raise AttemptFailed(
                    FailureClass.OUTPUT_REFUSED,
                    f"output {shown(location)}: this node sends none there",
                )
