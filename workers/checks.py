"""What a node stands on, looked at once: folders, the master, the broker."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx
from redis.exceptions import RedisError

from ffrtmp.broker.link import connect
from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.config import WorkerSettings
from ffrtmp.tls import TlsFileError
from workers.box.box import Box
from workers.limits.means import Means
from workers.room import MIN_FREE_BYTES, Room
from workers.watched import Overdue, watched

PATIENCE_SECONDS: Final = 5.0
MIB: Final = 1 << 20


class Status(StrEnum):
    """What came of a check."""

    OK = "ok"
    FAILED = "failed"
    """This host cannot work before that is mended."""
    UNUSED = "unused"
    """It is there, the node does without it."""
    SKIPPED = "skipped"
    """There was nothing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str


def check_folder(name: str, folder: Path) -> Check:
    """Whether files can be written there, or will be once the folder is made."""

    def failed(why: str) -> Check:
        return Check(name=name, status=Status.FAILED, detail=f"{folder}: {why}")

    give_up_at = time.monotonic() + PATIENCE_SECONDS
    try:
        watched(
            "write",
            lambda: _write_in(folder),
            is_overdue=lambda: time.monotonic() > give_up_at,
            when_late=lambda: None,
        )
    except Overdue:
        return failed(f"did not answer within {PATIENCE_SECONDS:g} s")
    except OSError as error:
        return failed(error.strerror or str(error))
    free = Room(folder).free_bytes()
    if free is None:
        return failed("does not say how much room it has")
    if free <= MIN_FREE_BYTES:
        return failed(f"{free // MIB} MiB free; below {MIN_FREE_BYTES // MIB} MiB nothing is taken")
    return Check(name=name, status=Status.OK, detail=f"{folder}: {free // MIB} MiB free")


def _write_in(folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.TemporaryFile(dir=there) as file:
        file.write(b"ffrtmp")
        file.flush()


def check_master(settings: WorkerSettings, *, is_named: bool) -> Check:
    """Whether the master answers and takes the key; skipped where nobody named one."""
    if not is_named:
        detail = "none was named; give --master or set MASTER_URL"
        return Check(name="master", status=Status.SKIPPED, detail=detail)
    connection = Connection.of(settings, key=settings.api_key)

    def ask() -> str:
        with MasterClient(connection, timeout=httpx.Timeout(PATIENCE_SECONDS)) as client:
            return f"it answers and knows {client.nodes().count} nodes"

    return _answered("master", settings.master_url, ask)


def check_broker(settings: WorkerSettings) -> Check:
    """Whether the broker answers; skipped where only the master knows which it is."""
    if settings.broker is None:
        detail = "the master names it when the agent registers"
        return Check(name="broker", status=Status.SKIPPED, detail=detail)
    url = settings.secured(settings.broker)

    def ask() -> str:
        with connect(
            url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS
        ) as client:
            client.ping()
        return "it answers"

    # A password may stand before the host.
    return _answered("broker", settings.broker.rpartition("@")[2], ask)


def check_limits(means: Means) -> Check:
    """By what attempts are limited here, and why not by cgroups."""
    said = [
        f"{limit} by {by}" + (f" ({means.reasons[limit]})" if limit in means.reasons else "")
        for limit, by in means.named().items()
    ]
    return Check(name="limits", status=Status.OK, detail=", ".join(said))


def check_box(box: Box) -> Check:
    """What media processes are in here, and why there is nothing better."""
    said = "; ".join((box.name, *box.reasons))
    return Check(name="box", status=Status.OK, detail=said)


def _answered(name: str, where: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name=name, status=Status.OK, detail=f"{where}: {ask()}")
    except (ClientError, TlsFileError, RedisError, OSError) as error:
        said = str(error)
        detail = said if where in said else f"{where}: {said}"
        return Check(name=name, status=Status.FAILED, detail=detail)
