"""What is sent to a place outside of the node, and what is known of it while it is on its way."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict

from ffrtmp.domain.locations import path_of
from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed

CHUNK_BYTES: Final = 1 << 20
_TYPES: Final = {
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".m3u8": "application/vnd.apple.mpegurl",
}


class Upload(BaseModel):
    """How far the upload of one output is; changed only by making a new one.

    ``sent`` names the files that are there, ``ids`` what a store calls those begun in parts.
    """

    model_config = ConfigDict(frozen=True)

    sent: tuple[str, ...] = ()
    ids: dict[str, str] = {}

    def with_sent(self, name: str) -> "Upload":
        """The same once this file is there."""
        ids = {other: known for other, known in self.ids.items() if other != name}
        return Upload(sent=(*self.sent, name), ids=ids)

    def with_id(self, name: str, known_as: str) -> "Upload":
        """The same once this file has been begun in parts."""
        return Upload(sent=self.sent, ids=self.ids | {name: known_as})


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The output that a file is, or is part of."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that is there; ``whole`` is the output it is, or is of, where that can be told."""

    whole: Whole | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to be sent; ``name`` is its path within the output, empty where it is all of it.

    ``own`` are hashes that earlier attempts of the job committed: an object of such an output
    may be replaced.
    """

    name: str
    path: Path
    location: str
    sha256: str
    size: int
    whole: Whole
    overwrite: bool
    own: Collection[str]

    @property
    def content_type(self) -> str:
        """What a web server is to say that it is."""
        name = self.name or path_of(self.location)
        return _TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")

    def chunks(self, moved: Callable[[int], None]) -> Iterator[bytes]:
        """The file piece by piece; ``moved`` hears after each how far it is.

        AttemptFailed before the last piece where it is not what was verified: so nobody who waits
        for the announced length gets a whole file.
        """
        digest, at = hashlib.sha256(), 0
        with self.path.open("rb") as file:
            following = file.read(CHUNK_BYTES)
            while chunk := following:
                digest.update(chunk)
                following = file.read(CHUNK_BYTES)
                if not following and digest.hexdigest() != self.sha256:
                    raise changed(self.path)
                yield chunk
                at += len(chunk)
                moved(at)


def shown(location: str) -> str:
    """A place as messages name it: the query of a signed URL lets whoever knows it write there."""
    return location.partition("?")[0]


def changed(path: Path) -> AttemptFailed:
    """The failure of an output that is not any more what was verified."""
    return AttemptFailed(FailureClass.OUTPUT_WRONG, f"{path} is not any more what was verified")


class Way(Protocol):
    """What sending tells, asks and keeps meanwhile."""

    @property
    def upload(self) -> Upload:
        """How far it is."""
        ...

    def remember(self, upload: Upload) -> None:
        """Keep how far it is, for the next process too."""
        ...

    def moved(self, at_bytes: int) -> None:
        """Hear that the present file is sent up to there; raises where nobody wants it any more."""
        ...

    def confirm(self) -> None:
        """Make sure that the attempt still may publish; raises where it may not."""
        ...
