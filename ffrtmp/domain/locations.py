"""Where media are read and written: which places a job may name, and of which kind they are."""

import re
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ffrtmp.domain.media import Container

MAX_LOCATION_LENGTH: Final = 4096
MIN_STREAM_PATH: Final = len("/a/b")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_STREAM_ID: Final = re.compile(r"streamid=[!-%'-~]+")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Kind(StrEnum):
    """How a place is reached; a path has no scheme."""

    PATH = "path"
    HTTP = "http"
    S3 = "s3"
    RTMP = "rtmp"
    SRT = "srt"


_KINDS: Final = {
    "http": Kind.HTTP,
    "https": Kind.HTTP,
    "s3": Kind.S3,
    "rtmp": Kind.RTMP,
    "rtmps": Kind.RTMP,
    "srt": Kind.SRT,
}
LIVE_KINDS: Final = (Kind.RTMP, Kind.SRT)
INPUT_KINDS: Final = (Kind.PATH, Kind.HTTP, Kind.S3, *LIVE_KINDS)
OUTPUT_KINDS: Final = (Kind.PATH, Kind.HTTP, Kind.S3)


def kind_of(location: str) -> Kind | None:
    """The kind of a place; None for a protocol that no job may name."""
    scheme = _SCHEME.match(location)
    if scheme is None:
        return Kind.PATH
    return _KINDS.get(scheme[0][:-1].lower()) if "://" in location else None


def is_local(location: str | None) -> bool:
    """True for an input that a checked job reads from the node itself: a path, or a test source."""
    return location is None or kind_of(location) is Kind.PATH


def is_live(location: str | None) -> bool:
    """True for an input that is sent at its own speed and has no beginning."""
    return location is not None and kind_of(location) in LIVE_KINDS


def check_input(location: str) -> str:
    """A path, or a URL of http(s), s3, rtmp(s) or srt, unchanged; ValueError for anything else."""
    _check_text(location)
    kind = kind_of(location)
    if kind not in INPUT_KINDS:
        scheme = location.partition(":")[0] + ":"
        raise ValueError(
            f"protocol {scheme!r} is not allowed; give a path or a URL of http(s), s3, rtmp or srt"
        )
    if kind is not Kind.PATH:
        _check_url(location, kind)
    return location


def check_output(location: str) -> str:
    """A path, or a URL of http(s) or s3, unchanged; ValueError for anything else.

    ``container_of`` and ``check_folder`` say whether its name suits what is made.
    """
    _check_text(location)
    kind = kind_of(location)
    if kind not in OUTPUT_KINDS:
        raise ValueError("is neither a path nor a URL of http(s) or s3")
    if kind is not Kind.PATH:
        _check_url(location, kind)
    if ".." in PurePosixPath(path_of(location)).parts:
        raise ValueError("an output has no '..' in its path")
    if not PurePosixPath(path_of(location)).name:
        raise ValueError("names no file or folder")
    return location


def check_rtmp_url(location: str) -> str:
    """``rtmp://host[:port]/app/name``, also rtmps, unchanged; ValueError otherwise."""
    _check_text(location)
    if kind_of(location) is not Kind.RTMP or not urlsplit(location).hostname:
        raise ValueError("is no stream address such as rtmp://host/app/name")
    _check_url(location, Kind.RTMP)
    return location


def path_of(location: str) -> str:
    """The path of a place, without what a URL has before and behind it."""
    return location if kind_of(location) is Kind.PATH else urlsplit(location).path


def container_of(location: str) -> Container:
    """The container that a file's extension names; ValueError where it names none."""
    extension = PurePosixPath(path_of(location)).suffix.lower().lstrip(".")
    if extension not in list(Container):
        raise ValueError("an output file ends in .mp4, .mkv or .webm")
    return Container(extension)


def check_folder(location: str) -> str:
    """A place that a folder may have, unchanged; ValueError for the name of a media file."""
    extension = PurePosixPath(path_of(location)).suffix.lower().lstrip(".")
    if extension in (*Container, "m3u8"):
        raise ValueError(
            f"several files come out, so it names a folder: leave .{extension} out of its name"
        )
    return location


def _check_text(location: str) -> None:
    if not location or len(location) > MAX_LOCATION_LENGTH:
        raise ValueError(f"has 1 to {MAX_LOCATION_LENGTH} characters")
    if location.startswith("-"):
        raise ValueError("must not begin with '-'")
    if any(ord(character) < 32 or ord(character) == 127 for character in location):
        raise ValueError("has control characters")


def _check_url(location: str, kind: Kind) -> None:
    parts = _split(location)
    if not parts.hostname:
        raise ValueError("the URL has no bucket" if kind is Kind.S3 else "the URL has no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if parts.fragment:
        raise ValueError("must not hold a '#'")
    match kind:
        case Kind.S3 if not _BUCKET.fullmatch(parts.netloc) or len(parts.path) <= 1:
            raise ValueError("is no object such as s3://bucket/folder/name.mp4")
        case Kind.S3 if parts.query:
            raise ValueError("must not hold a '?'")
        case Kind.RTMP if not re.fullmatch(r"[!-~]+", location):
            raise ValueError("has no blanks: rtmp://host/app/name")
        case Kind.RTMP if len(parts.path) < MIN_STREAM_PATH:
            raise ValueError("has an application and a stream name: rtmp://host/app/name")
        case Kind.SRT if parts.port is None:
            raise ValueError("has a port: srt://host:port")
        case Kind.SRT if parts.query and not _STREAM_ID.fullmatch(parts.query):
            raise ValueError("has no option but streamid: srt://host:port?streamid=name")


def _split(location: str) -> SplitResult:
    parts = urlsplit(location)
    _ = parts.port  # ValueError for one that is none
    return parts
