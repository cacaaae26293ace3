"""One file to S3 in parts: what has arrived once is not sent again, and nothing is seen of it
before the last step."""

import base64
import contextlib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed
from workers.remote.items import CHUNK_BYTES, Found, Item, Upload, Way, Whole, changed
from workers.remote.s3 import (
    S3Access,
    errors,
    head,
    is_unknown,
    output_errors,
    place_in,
)
from workers.remote.shipping import main_file, place_of

MIB: Final = 1 << 20
LEAST_PART_BYTES: Final = 8 * MIB
MAX_PARTS: Final = 10_000
OUTPUT_SHA256: Final = "output-sha256"
OUTPUT_SIZE: Final = "output-size"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a file and what it is known by."""

    number: int
    start: int
    size: int
    sha256: bytes
    md5: str

    @property
    def checksum(self) -> str:
        """Its hash as S3 writes it."""
        return base64.b64encode(self.sha256).decode()

    def is_stored(self, told: Mapping[str, Any] | None) -> bool:
        """Whether what a store tells of a part is this one."""
        if told is None or told.get("Size") != self.size:
            return False
        known = told.get("ChecksumSHA256")
        return known == self.checksum if known else str(told["ETag"]).strip('"') == self.md5


class S3Store:
    """Objects in parts; usable within ``with``."""

    def __init__(self, access: S3Access) -> None:
        self._client = access.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def look(self, location: str, *, is_folder: bool) -> Found | None:
        """What is there; of a folder the file that comes last, else any."""
        with output_errors(location):
            place = place_of(location, self._last_below(location)) if is_folder else location
            found = head(self._client, place)
        return None if found is None else Found(whole=_whole(found))

    def put(self, item: Item, way: Way) -> None:
        """Send one file; AttemptFailed where it is refused for good, OutputAway for now."""
        with output_errors(item.location):
            found = head(self._client, item.location)
            if found is not None and _sha256(found) == item.sha256:
                self._abort(item.location, way.upload.ids.get(item.name))
                return
            if found is not None and not _may_replace(item, found):
                raise AttemptFailed(
                    FailureClass.OUTPUT_EXISTS, f"output {item.location} exists on the store"
                )
            upload_id, stored = self._begun(item, way)
            parts = self._send(item, upload_id, stored, way)
            way.confirm()
            self._complete(item, upload_id, parts, replaces=found is not None)

    def abandon(self, location: str, upload: Upload) -> None:
        """Leave no parts of files that will not be completed; errors are only logged."""
        for name, upload_id in upload.ids.items():
            self._abort(place_of(location, name), upload_id)

    def _last_below(self, location: str) -> str:
        place = place_in(location)
        prefix = f"{place['Key'].rstrip('/')}/"
        try:
            listed = self._client.list_objects_v2(Bucket=place["Bucket"], Prefix=prefix)
        except errors():
            return main_file(())
        return main_file([one["Key"].removeprefix(prefix) for one in listed.get("Contents", ())])

    def _begun(self, item: Item, way: Way) -> tuple[str, Mapping[int, Mapping[str, Any]]]:
        """The upload of this file and its parts that have arrived."""
        known = way.upload.ids.get(item.name)
        if known is not None:
            with contextlib.suppress(self._client.exceptions.NoSuchUpload):
                return known, self._stored(item.location, known)
        answer = self._client.create_multipart_upload(
            **place_in(item.location),
            ChecksumAlgorithm="SHA256",
            ContentType=item.content_type,
            Metadata={
                "sha256": item.sha256,
                OUTPUT_SHA256: item.whole.sha256,
                OUTPUT_SIZE: str(item.whole.size),
            },
        )
        way.remember(way.upload.with_id(item.name, answer["UploadId"]))
        return answer["UploadId"], {}

    def _stored(self, location: str, upload_id: str) -> Mapping[int, Mapping[str, Any]]:
        pages = self._client.get_paginator("list_parts").paginate(
            **place_in(location), UploadId=upload_id
        )
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}

    def _send(
        self, item: Item, upload_id: str, stored: Mapping[int, Mapping[str, Any]], way: Way
    ) -> list[tuple[Part, str]]:
        """Every part with the tag it is stored under."""
        digest, parts = hashlib.sha256(), []
        size = part_bytes(item.size)
        for number, start in enumerate(range(0, item.size, size), 1):
            part = _read(item.path, number, start, min(size, item.size - start), digest)
            told = stored.get(number)
            if told is not None and part.is_stored(told):
                tag = told["ETag"]
            else:
                tag = self._send_part(item, upload_id, part)
            parts.append((part, tag))
            way.moved(start + part.size)
        if digest.hexdigest() != item.sha256:
            raise changed(item.path)
        return parts

    def _send_part(self, item: Item, upload_id: str, part: Part) -> str:
        from s3transfer.utils import ReadFileChunk

        with ReadFileChunk.from_filename(str(item.path), part.start, part.size) as body:
            answer = self._client.upload_part(
                **place_in(item.location),
                UploadId=upload_id,
                PartNumber=part.number,
                Body=body,
                ChecksumSHA256=part.checksum,
            )
        return str(answer["ETag"])

    def _complete(
        self, item: Item, upload_id: str, parts: list[tuple[Part, str]], *, replaces: bool
    ) -> None:
        last_step = {
            **place_in(item.location),
            "UploadId": upload_id,
            "MultipartUpload": {
                "Parts": [
                    {"PartNumber": part.number, "ETag": tag, "ChecksumSHA256": part.checksum}
                    for part, tag in parts
                ]
            },
        }
        condition = {} if replaces or item.overwrite else {"IfNoneMatch": "*"}
        try:
            answer = self._client.complete_multipart_upload(**last_step, **condition)
        except errors() as error:
            if not condition or not is_unknown(error):
                raise
            # what is there was looked at before
            answer = self._client.complete_multipart_upload(**last_step)
        told = answer.get("ChecksumSHA256")
        found = head(self._client, item.location)
        stored = None if found is None else found["ContentLength"]
        # some stores leave out the number of parts behind the checksum
        is_right = told is None or told.partition("-")[0] == composite(parts)
        if not is_right or stored not in (None, item.size):
            why = f"output {item.location} is not stored as it was sent: {stored} bytes, {told}"
            raise AttemptFailed(FailureClass.OUTPUT_WRONG, why)

    def _abort(self, location: str, upload_id: str | None) -> None:
        if upload_id is None:
            return
        try:
            self._client.abort_multipart_upload(**place_in(location), UploadId=upload_id)
        except errors() as error:
            log.warning("parts of %s may be left on the store: %s", location, error)


def part_bytes(size: int) -> int:
    """How large the parts of a file are: the same each time, so that they are known again."""
    least = -(-size // MAX_PARTS)
    return max(LEAST_PART_BYTES, -(-least // MIB) * MIB)


def composite(parts: list[tuple[Part, str]]) -> str:
    """The checksum of an object that was sent in parts: that of their checksums."""
    whole = hashlib.sha256(b"".join(part.sha256 for part, _ in parts))
    return base64.b64encode(whole.digest()).decode()


def _read(path: Path, number: int, start: int, size: int, whole: Any) -> Part:
    """What a part of a file is known by; ``whole`` is the hash of the file so far."""
    sha256, md5, left = hashlib.sha256(), hashlib.md5(usedforsecurity=False), size
    with path.open("rb") as file:
        file.seek(start)
        while left and (chunk := file.read(min(CHUNK_BYTES, left))):
            for digest in (sha256, md5, whole):
                digest.update(chunk)
            left -= len(chunk)
    if left:
        raise changed(path)
    return Part(number=number, start=start, size=size, sha256=sha256.digest(), md5=md5.hexdigest())


def _sha256(found: Mapping[str, Any]) -> str | None:
    told = found.get("Metadata", {}).get("sha256")
    return None if told is None else str(told)


def _whole(found: Mapping[str, Any]) -> Whole | None:
    told = found.get("Metadata", {})
    sha256, size = told.get(OUTPUT_SHA256), str(told.get(OUTPUT_SIZE, ""))
    return Whole(sha256=str(sha256), size=int(size)) if sha256 and size.isdecimal() else None


def _may_replace(item: Item, found: Mapping[str, Any]) -> bool:
    whole = _whole(found)
    return item.overwrite or (whole is not None and whole.sha256 in item.own)
