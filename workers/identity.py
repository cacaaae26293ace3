"""Who this node is: an id and a secret of its own making, kept in the state folder."""

import fcntl
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from workers.errors import StateFolderTaken, StateUnreadable
from workers.files import write_durably

IDENTITY_FILE = "node.json"
LOCK_FILE = "agent.lock"


class _Saved(BaseModel):
    model_config = ConfigDict(extra="ignore")

    node_id: str
    node_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The node's id and its secret; ``token`` stays out of every log."""

    node_id: str
    token: str

    def __repr__(self) -> str:
        return f"Identity(node_id={self.node_id!r})"


def default_state_folder() -> Path:
    """``ffrtmp/agent`` in the user's state home (XDG)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "ffrtmp" / "agent"


def open_state_folder(folder: Path) -> int:
    """Create the folder (0700) and lock it; the descriptor holds the lock until it is closed.

    StateFolderTaken where another process has it: two agents must not share one identity.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateFolderTaken(
            f"{folder} is in use by another agent; give each agent its own --state-dir"
        ) from None
    return descriptor


def load_or_create(folder: Path) -> Identity:
    """The saved identity, or a new one that is on disk before anyone hears of it.

    Saved first, because a registration whose answer is lost must be repeated by the same node.
    """
    path = folder / IDENTITY_FILE
    if not path.exists():
        saved = _Saved(node_id=str(uuid.uuid4()), node_token=secrets.token_urlsafe(32))
        write_durably(path, saved.model_dump_json())
    try:
        found = _Saved.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise StateUnreadable(
            f"{path} is damaged ({type(error).__name__}); restore it, or delete it to become a"
            " new node"
        ) from error
    return Identity(node_id=found.node_id, token=found.node_token)
