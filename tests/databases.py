"""SQLite databases of this release's schema: migrating takes longer than most tests."""

import functools
import tempfile
from pathlib import Path

from ffrtmp.store.engine import Store
from tests.builders import START


def new_database(file: Path) -> str:
    """The URL of a database without rows, new at ``file``."""
    file.write_bytes(_migrated())
    return f"sqlite:///{file}"


@functools.cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "farm.db"
        store = Store(f"sqlite:///{file}")
        store.migrate(now=START)
        store.close()
        return file.read_bytes()
