"""A farm's data folder: one farm at a time, its key, and the file that says where it listens."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.exits import CliError

OWNER_ONLY = 0o600
KEY_BYTES = 32


class FolderInUse(CliError):  # noqa: N818
    """Another farm runs in this folder."""


class FarmFolder:
    """The paths of one data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def farm_file(self) -> Path:
        """Addresses and processes of the farm that runs; absent while none is ready."""
        return self.path / "farm.json"

    @property
    def logs(self) -> Path:
        """A log per part."""
        return self.path / "logs"

    @property
    def outputs(self) -> Path:
        """Where outputs go that name no path of their own."""
        return self.path / "output"

    @property
    def certificates(self) -> Path:
        """The farm's own authority, where it serves HTTPS with certificates of its own."""
        return self.path / "certs"

    def agent(self, number: int) -> Path:
        """State of the agent of that number: its identity and its spool."""
        return self.path / "agents" / str(number)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; FolderInUse where another farm does. The lock dies with the process."""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FolderInUse(
                f"another farm runs in {self.path}; stop it, or give another --data-dir"
            ) from None
        try:
            yield
        finally:
            os.close(lock)

    def api_key(self) -> str:
        """The key kept here; made at the first farm."""
        file = self.path / "api_key"
        if file.exists() and (kept := file.read_text(encoding="ascii").strip()):
            return kept
        key = secrets.token_urlsafe(KEY_BYTES)
        write_secret(file, key + "\n")
        return key

    def announce(self, facts: dict[str, Any]) -> None:
        """Write ``farm.json``, whole or not at all."""
        write_secret(self.farm_file, json.dumps(facts, indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove ``farm.json``."""
        self.farm_file.unlink(missing_ok=True)

    def _open_lock(self) -> int:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        except OSError as error:
            raise CliError(
                f"cannot use {self.path}: {error.strerror}; give another --data-dir"
            ) from error


def write_secret(file: Path, text: str) -> None:
    """A file only its owner reads, replaced in one step."""
    write_file(file, text, mode=OWNER_ONLY)


def write_file(file: Path, text: str, *, mode: int = 0o644) -> None:
    """A file of that mode from its first byte on, replaced in one step."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
